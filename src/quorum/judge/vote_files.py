"""Read the files beside the runs of a vote, and write what it decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from quorum.data.read import read_records
from quorum.data.repair import repair_table
from quorum.files.answers import ballots_from_answers
from quorum.files.cells import write_cells
from quorum.files.form_setting import parse_form
from quorum.files.runs import ReadingOptions
from quorum.files.sample import Sample, read_sample
from quorum.files.submission import write_submission
from quorum.files.train_answers import collect_evidence
from quorum.judge.poll import Poll
from quorum.question import label_prior


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteFiles:
    """What is known of a vote's questions: labels and option texts by id, the sample, and the label shares of train."""

    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sample: Sample | None = None
    prior: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(
        cls, questions: str | Path | None, sample: str | Path | None, train: str | Path | None, form: str | None
    ) -> Self:
        """Read these files, as far as they are named.

        Raises:
            BadInput: a file cannot be read, or the form of the submission is ambiguous.
        """
        asked = repair_table(read_records(Path(questions))).questions if questions else []
        choices = {question.id: question.choices for question in asked if question.choices}
        table = read_records(Path(train)) if train else None
        evidence = collect_evidence(table, choices if asked else None)
        return cls(
            labels={question.id: question.labels for question in asked},
            choices=choices,
            sample=read_sample(Path(sample), form, evidence) if sample else None,
            prior=label_prior(repair_table(table).questions) if table else {},
        )

    def reading_options(self, column: str | None, form: str | None, report: Callable[[str], None]) -> ReadingOptions:
        """Return how the runs are read: indices count as the submission's, or as `form` says."""
        style = self.sample.style if self.sample else parse_form(form).style if form else None
        return ReadingOptions(column=column, style=style, choices=self.choices or None, report=report)


def write_vote(out: Path, result: Poll, files: VoteFiles) -> None:
    """Write the vote as a submission in the sample's form; without a sample as id and answer, empty where unread."""
    if files.sample is None:
        write_cells(out, ("id", "answer"), [(id, label or "") for id, label in result.answers_by_id().items()])
        return
    ballots = ballots_from_answers(result.ballots)
    write_submission(out, ballots, files.labels, files.sample, files.prior, choices=files.choices)
