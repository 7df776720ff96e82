"""Combine several runs into one submission by a vote (one run is allowed).

python kernels/vote.py kernels/vote.toml [key=value ...]
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.console import print_status, print_warning, run_story
from quorum.data.layout import Layout
from quorum.errors import BadInput
from quorum.files.form_setting import FORM_HELP, parse_form
from quorum.question import label_prior

if TYPE_CHECKING:
    from quorum.judge.poll import GoldQuestions


@dataclass(frozen=True, kw_only=True)
class Vote:
    """The settings of one vote."""

    run: str = field(metadata={"help": "Name of the vote in its answers."})
    runs: tuple[str, ...] = field(
        metadata={"help": "Answers files over one question file: .parquet, or a CSV as in docs/voting.md."}
    )
    questions: Path = field(metadata={"help": "The question file of the runs."})
    out: Path = field(metadata={"help": "Folder for OUT/<question file>.parquet and OUT/submission.csv."})
    sample: Path | None = field(default=None, metadata={"help": "The competition's sample submission."})
    form: str | None = field(default=None, metadata={"help": FORM_HELP})
    train: Path | None = field(
        default=None, metadata={"help": "Solved questions; their label shares fill answers that no run has."}
    )
    labelled: tuple[str, ...] = field(
        default=(),
        metadata={"help": "Answers files of the same runs to labelled questions that no run was trained on."},
    )
    gold: Path | None = field(
        default=None,
        metadata={"help": "The labelled questions; OUT/<gold file>.parquet gets their cross-fitted vote."},
    )
    split: Path | None = field(
        default=None,
        metadata={
            "help": "Split that holds out every labelled question, or has no held-out fold because each is held out"
            " once; cross-fitting does not split its clusters."
        },
    )
    method: str = field(
        default="auto",
        metadata={"help": "A method of docs/voting.md. auto: select on labelled questions, or use agreement without."},
    )
    layout: Layout = field(default_factory=Layout)

    def __post_init__(self) -> None:
        if not self.runs:
            raise BadInput("runs is empty; a vote needs one answers file or more")
        if self.form is not None:
            parse_form(self.form)
        if (self.gold is None) != (not self.labelled):
            raise BadInput(
                "labelled and gold go together: the runs' answers to labelled questions, and those questions"
            )


def main(config: Vote) -> None:
    """Poll the runs, and write the answers and the submission."""
    from quorum.data.read import read_records
    from quorum.data.repair import read_clean_questions, repair_table
    from quorum.files.answers import ballots_from_answers, write_answers
    from quorum.files.runs import ReadingOptions, read_runs
    from quorum.files.sample import read_sample
    from quorum.files.submission import write_submission
    from quorum.files.train_answers import collect_evidence
    from quorum.judge.poll import poll

    train = read_records(config.train, config.layout) if config.train else None
    solved = repair_table(train).questions if train else []
    questions = read_clean_questions(config.questions, config.layout, train.layout if train else Layout())
    labels = {question.id: question.labels for question in questions}
    choices = {question.id: question.choices for question in questions if question.choices}
    gold = read_gold(config)
    result = poll(
        read_runs([Path(path) for path in config.runs], ReadingOptions(choices=choices)),
        gold,
        method=config.method,
        labels=labels,
        run=config.run,
        cross_fit=True,
    )
    for warning in result.warnings:
        print_warning(warning)
    print_status(f"{config.run}: {result.rule.summary}")
    if config.gold and result.crossed is not None:
        write_answers(result.crossed, config.out / f"{config.gold.stem}.parquet")
    answered = config.out / f"{config.questions.stem}.parquet"
    write_answers(result.ballots, answered)
    count = "1 run" if len(config.runs) == 1 else f"{len(config.runs)} runs"
    print_status(f"{config.run}: {count} over {len(questions)} questions: {answered}")
    if config.sample:
        ballots = ballots_from_answers(result.ballots)
        evidence = collect_evidence(train, choices)
        sample = read_sample(config.sample, config.form, evidence)
        write_submission(config.out / "submission.csv", ballots, labels, sample, label_prior(solved), choices=choices)


def read_gold(config: Vote) -> "GoldQuestions | None":
    """Read the labelled questions, the runs' answers to them, and their clusters.

    Raises:
        BadInput: a labelled question is not held out in the split, so a run may have been trained on it.
    """
    from quorum.data.repair import read_clean_questions
    from quorum.data.split import read_split
    from quorum.errors import list_some
    from quorum.files.runs import ReadingOptions, read_runs
    from quorum.judge.poll import GoldQuestions

    if not config.gold:
        return None
    gold = [question for question in read_clean_questions(config.gold, config.layout) if question.answer]
    clusters: dict[str, int] = {}
    if config.split:
        split = read_split(config.split)
        if seen := [question.id for question in gold if question.id not in split.scored]:
            raise BadInput(f"{len(seen)} labelled questions are not held out in {config.split}: {list_some(seen)}")
        clusters = dict(split.frame.select("id", "cluster").iter_rows())
    options = ReadingOptions(choices={question.id: question.choices for question in gold if question.choices})
    return GoldQuestions(
        answers={question.id: question.answer or "" for question in gold},
        runs=None if config.labelled == config.runs else read_runs([Path(path) for path in config.labelled], options),
        labels={question.id: question.labels for question in gold},
        clusters=clusters,
    )


if __name__ == "__main__":
    run_story(Vote, main, __doc__)
