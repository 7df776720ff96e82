"""Write a verifier's verdicts, round by round, as Parquet beside the answers.

A row is one verified answer: (id, round, label, p_true, taken). `p_true` is P(TRUE), null if the verifier was not asked
or its verdict is unread; `taken` says whether the option was removed because of the verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from quorum.tables.parquet import write_parquet_file

VERIFIER_LOG = pl.Schema(
    {"id": pl.String, "round": pl.UInt8, "label": pl.String, "p_true": pl.Float64, "taken": pl.Boolean}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict on one answer in one round.

    `p_true` is None if the verifier was not asked or its verdict is unread; `eliminated` says whether the option was
    removed because of it.
    """

    question_id: str
    round: int
    label: str
    p_true: float | None
    eliminated: bool = False


def write_verifier_log(verdicts: Sequence[Verdict], path: Path) -> None:
    """Write the verdicts atomically."""
    rows = [(one.question_id, one.round, one.label, one.p_true, one.eliminated) for one in verdicts]
    write_parquet_file(pl.DataFrame(rows, schema=VERIFIER_LOG, orient="row"), path)
