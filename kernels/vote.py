"""Poll several runs and write one submission (a vote over one run is allowed).

python kernels/vote.py kernels/vote.toml [key=value ...]
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.config import from_table
from quorum.console import print_status, run_story
from quorum.errors import BadInput
from quorum.question import label_prior

if TYPE_CHECKING:
    from quorum.data.layout import Layout
    from quorum.judge.poll import GoldQuestions
    from quorum.question import Question


@dataclass(frozen=True, kw_only=True)
class Vote:
    """The settings of one vote."""

    run: str  # the name of its answers
    runs: tuple[str, ...]  # answers files over one question file (.parquet, or a CSV as in docs/voting.md)
    questions: Path  # this question file
    out: Path  # folder: OUT/<question file>.parquet and OUT/submission.csv
    sample: Path | None = None  # the competition's sample submission
    train: Path | None = None  # solved questions: the shares of their letters fill what no run could read
    labelled: tuple[str, ...] = ()  # the same runs' answers to labelled questions that no run was trained on
    gold: Path | None = None  # these questions with their answers; OUT/<gold file>.parquet is their cross-fitted vote
    split: Path | None = None  # split file: every labelled question must be held out in it; clusters stay together
    method: str = "auto"  # of docs/voting.md; auto: selected on the labelled questions, without them by agreement
    layout: Mapping[str, Any] = field(default_factory=dict)  # column mapping, where detection needs help

    def __post_init__(self) -> None:
        if not self.runs:
            raise BadInput("runs is empty; a vote needs one answers file or more")
        if (self.gold is None) != (not self.labelled):
            raise BadInput("labelled and gold go together: the runs' answers to labelled questions, and their answers")


def main(config: Vote) -> None:
    """Poll the runs, and write the answers and the submission."""
    from quorum.data.layout import Layout
    from quorum.files.answers import ballots_from_answers, write_answers
    from quorum.files.runs import read_runs
    from quorum.files.submission import read_sample, write_submission
    from quorum.judge.poll import poll

    layout = from_table(Layout, config.layout, "layout")
    questions = read_clean(config.questions, layout)
    solved = read_clean(config.train, layout) if config.train else []
    labels = {question.id: question.labels for question in questions}
    gold = read_gold(config, layout)
    result = poll(
        read_runs([Path(path) for path in config.runs]),
        gold,
        method=config.method,
        labels=labels,
        run=config.run,
        cross_fit=True,
    )
    for warning in result.warnings:
        print_status(f"warning: {warning}")
    print_status(f"{config.run}: {result.rule.summary}")
    if config.gold and result.crossed is not None:
        write_answers(result.crossed, config.out / f"{config.gold.stem}.parquet")
    answered = config.out / f"{config.questions.stem}.parquet"
    write_answers(result.ballots, answered)
    count = "1 run" if len(config.runs) == 1 else f"{len(config.runs)} runs"
    print_status(f"{config.run}: {count} over {len(questions)} questions: {answered}")
    if config.sample:
        ballots = ballots_from_answers(result.ballots)
        sample = read_sample(config.sample)
        write_submission(config.out / "submission.csv", ballots, labels, sample, label_prior(solved))


def read_clean(path: Path, layout: "Layout") -> "list[Question]":
    """Read the questions of a file; repair what can be repaired, and leave out the rest."""
    from quorum.data.read import read_records
    from quorum.data.repair import repair_table

    return repair_table(read_records(path, layout)).questions


def read_gold(config: Vote, layout: "Layout") -> "GoldQuestions | None":
    """Read the labelled questions, the runs' answers to them, and their clusters.

    Raises:
        BadInput: a labelled question is not held out in the split: a run may have been trained on it.
    """
    from quorum.data.split import HELD_OUT, read_split
    from quorum.errors import list_some
    from quorum.files.runs import read_runs
    from quorum.judge.poll import GoldQuestions

    if not config.gold:
        return None
    gold = [question for question in read_clean(config.gold, layout) if question.answer]
    clusters: dict[str, int] = {}
    if config.split:
        split = read_split(config.split)
        if seen := [question.id for question in gold if split.fold_of.get(question.id) != HELD_OUT]:
            raise BadInput(f"{len(seen)} labelled questions are not held out in {config.split}: {list_some(seen)}")
        clusters = dict(split.frame.select("id", "cluster").iter_rows())
    return GoldQuestions(
        answers={question.id: question.answer or "" for question in gold},
        runs=None if config.labelled == config.runs else read_runs([Path(path) for path in config.labelled]),
        labels={question.id: question.labels for question in gold},
        clusters=clusters,
    )


if __name__ == "__main__":
    run_story(Vote, main, __doc__)
