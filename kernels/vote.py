"""Runs in, one submission out: the ensemble's vote (one run is a vote of one).

python kernels/vote.py kernels/vote.toml [key=value ...]
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from quorum.config import from_table
from quorum.console import print_status, run_story
from quorum.errors import BadInput
from quorum.question import label_prior


@dataclass(frozen=True)
class Vote:
    """The settings of one vote."""

    run: str  # what its answers are called
    runs: tuple[str, ...]  # answers files of one question file
    questions: Path  # that question file
    out: Path  # folder: OUT/<question file>.parquet and OUT/submission.csv
    sample: Path | None = None  # the competition's sample submission
    train: Path | None = None  # solved questions: their letters fill what no run could read
    labelled: tuple[str, ...] = ()  # the same runs' answers files of labelled questions that no member learnt from
    gold: Path | None = None  # those questions with their answers; OUT/<gold file>.parquet is their cross-fitted vote
    split: Path | None = None  # of them: every one has to be held out, and clusters are kept whole
    method: Literal["auto", "mean", "majority"] = "auto"  # auto: elected on the labelled; without them the mean
    layout: Mapping[str, Any] = field(default_factory=dict)  # column mapping, where detection needs help

    def __post_init__(self) -> None:
        if not self.runs:
            raise BadInput("runs is empty; a vote takes one answers file or more")
        if (self.gold is None) != (not self.labelled):
            raise BadInput("labelled and gold go together: the runs' answers to labelled questions, and their answers")


def main(config: Vote) -> None:
    """Votes, and writes the answers and the submission."""
    import polars as pl

    from quorum.data.layout import Layout
    from quorum.data.read import read_records
    from quorum.data.repair import repair_table
    from quorum.files.answers import ballots_from_answers, read_runs_answers, write_answers
    from quorum.files.submission import read_sample, write_submission
    from quorum.judge.ensemble.crossfit import FEWEST_TO_CROSS, cross_fit_votes
    from quorum.judge.ensemble.pool import average_probabilities, vote_majority
    from quorum.judge.ensemble.select import apply_rule, select_rule
    from quorum.judge.ensemble.weighting import collect_labelled_ballots

    layout = from_table(Layout, config.layout, "layout")
    questions = repair_table(read_records(config.questions, layout)).questions
    solved = repair_table(read_records(config.train, layout)).questions if config.train else []
    answers = read_runs_answers([Path(path) for path in config.runs])
    plain = vote_majority if config.method == "majority" else average_probabilities
    voted = plain(answers, run=config.run)
    if config.gold:
        gold = repair_table(read_records(config.gold, layout)).questions
        known = pl.DataFrame([(q.id, q.answer) for q in gold if q.answer], schema=["id", "answer"], orient="row")
        labelled = read_runs_answers([Path(path) for path in config.labelled])
        crossed = plain(labelled, run=config.run)
        if config.method == "auto" and len(known) >= FEWEST_TO_CROSS:
            cluster = held_out_clusters(config.split, known["id"].to_list()) if config.split else None
            crossed = cross_fit_votes(labelled, known, cluster, run=config.run)
            election = select_rule(collect_labelled_ballots(labelled, known))
            voted = apply_rule(answers, election, run=config.run)
            shares = ", ".join(f"{run} {weight:.2f}" for run, weight in election.weights.items())
            print_status(
                f"{config.run}: {election.method}, elected on {election.labelled} labelled questions ({shares})"
            )
        write_answers(crossed, config.out / f"{config.gold.stem}.parquet")
    answered = config.out / f"{config.questions.stem}.parquet"
    write_answers(voted, answered)
    count = "1 run" if len(config.runs) == 1 else f"{len(config.runs)} runs"
    print_status(f"{config.run}: {count} over {len(questions)} questions: {answered}")
    if config.sample:
        labels = {question.id: question.labels for question in questions}
        sample = read_sample(config.sample)
        write_submission(
            config.out / "submission.csv", ballots_from_answers(voted), labels, sample, label_prior(solved)
        )


def held_out_clusters(split: Path, ids: list[str]) -> dict[str, int]:
    """The cluster of each labelled question; one that members may have learnt from is refused."""
    from quorum.data.split import HELD_OUT, read_split
    from quorum.errors import list_some

    parts = read_split(split)
    if learnt := [id for id in ids if parts.fold_of.get(id) != HELD_OUT]:
        raise BadInput(f"{len(learnt)} labelled questions are not held out in {split}: {list_some(learnt)}")
    return dict(parts.frame.select("id", "cluster").iter_rows())


if __name__ == "__main__":
    run_story(Vote, main, __doc__)
