"""The findings of `quorum doctor`: a kind of problem and the rows that have it."""

from dataclasses import dataclass
from typing import Literal

from quorum.data.records import Record
from quorum.data.repair import Remark

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of problem and every row that has it.

    An error keeps a row from being a valid question; a warning can affect results; a note is information. `groups` is
    the number of groups of equal questions for findings about such groups.
    """

    code: str
    severity: Severity
    what: str
    places: tuple[Remark, ...]
    groups: int | None = None

    @property
    def count(self) -> int:
        return len(self.places)


def make_remark(record: Record, what: str) -> Remark:
    """Return a remark about the row of a record."""
    return Remark(record.row, record.id, what)
