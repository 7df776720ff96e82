"""Runs in, one submission out: the ensemble's vote (one run is a vote of one).

python kernels/vote.py kernels/vote.toml [dial=value ...]
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from quorum.config import dials
from quorum.door import enter_kernel
from quorum.question import label_prior


@dataclass(frozen=True)
class Vote:
    """The dials of one vote."""

    run: str  # what its answers are called
    runs: tuple[str, ...]  # answers files of one question file
    questions: Path  # that question file
    out: Path  # folder: OUT/<question file>.parquet and OUT/submission.csv
    sample: Path | None = None  # the competition's sample submission
    train: Path | None = None  # solved questions: their letters fill what no run could read
    method: Literal["mean", "majority"] = "mean"
    layout: Mapping[str, Any] = field(default_factory=dict)  # column mapping, where detection needs help


def main(config: Vote) -> None:
    """Votes, and writes the answers and the submission."""
    import polars as pl

    from quorum.data.read import read_records
    from quorum.data.repair import repaired
    from quorum.files.answers import ballots_of, read_answers, write_answers
    from quorum.files.submission import read_sample, write_submission
    from quorum.judge.vote import majority, mean_probability
    from quorum.sheet.layout import Layout

    layout = dials(Layout, config.layout, "layout")
    questions = repaired(read_records(config.questions, layout)).questions
    solved = repaired(read_records(config.train, layout)).questions if config.train else []
    answers = pl.concat([read_answers(Path(path)) for path in config.runs])
    voted = (mean_probability if config.method == "mean" else majority)(answers, run=config.run)
    write_answers(voted, config.out / f"{config.questions.stem}.parquet")
    if config.sample:
        labels = {question.id: question.labels for question in questions}
        sample = read_sample(config.sample)
        write_submission(config.out / "submission.csv", ballots_of(voted), labels, sample, label_prior(solved))


if __name__ == "__main__":
    enter_kernel(Vote, main, __doc__)
