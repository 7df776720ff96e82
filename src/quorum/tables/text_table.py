"""Read a table of any format as text: the answers of a run or of a solution."""

from dataclasses import dataclass
from pathlib import Path

from quorum.errors import BadInput
from quorum.tables.open import read_raw_table
from quorum.tables.raw_table import cell_text


@dataclass(frozen=True, slots=True)
class TextTable:
    """The header and the rows of a table; `notes` say how it differs from plain UTF-8 CSV with commas."""

    header: tuple[str, ...]
    rows: list[list[str]]
    notes: tuple[str, ...] = ()


def read_text_table(path: Path) -> TextTable:
    """Read the table in a CSV, JSON, JSON lines, Parquet or spreadsheet file, compressed or not, with cells as text.

    Raises:
        BadInput: the file cannot be read, or a row has more or fewer cells than the header.
    """
    table = read_raw_table(path)
    if table.ragged:
        raise BadInput(f"{path}, row {table.ragged[0].row}: {table.ragged[0].describe()}")
    rows = [[cell_text(row.get(name)) for name in table.columns] for row in table.rows]
    return TextTable(table.columns, rows, table.notes)
