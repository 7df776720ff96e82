"""What a verifier said of each answer, round by round: one Polars frame, in Parquet beside the answers.

A row is one look: (id, round, label, p_true, taken). `p_true` is null where the verifier was not asked or could not be
read; `taken` says that the label was taken away for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from quorum.disk import replace_file

VERIFIER_LOG = pl.Schema(
    {"id": pl.String, "round": pl.UInt8, "label": pl.String, "p_true": pl.Float64, "taken": pl.Boolean}
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One look at one answer: P(TRUE), None where it was not asked or can't be read, and whether it was taken away."""

    question_id: str
    round: int
    label: str
    true: float | None
    struck: bool = False


def write_verifier_log(verdicts: Sequence[Verdict], path: Path) -> None:
    """Writes the verdicts, whole or not at all."""
    rows = [(one.question_id, one.round, one.label, one.true, one.struck) for one in verdicts]
    with replace_file(path) as part:
        pl.DataFrame(rows, schema=VERIFIER_LOG, orient="row").write_parquet(part)
