"""Read and write tables as cells of text: no value is guessed or lost, "007" stays "007"."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorum.disk import replace_file
from quorum.errors import BadInput, list_some
from quorum.tables.csv_reader import read_csv_lines
from quorum.tables.encoding import decode_text
from quorum.tables.json_reader import looks_like_json
from quorum.tables.open import describe_dialect, suggest_separator
from quorum.tables.text_table import read_text_table
from quorum.tables.unpack import unpack_file

# Cells that pandas, and so a Kaggle metric, reads as a missing value (its default na_values, case folded).
NULL_CELLS = frozenset({"", "nan", "-nan", "none", "null", "na", "n/a", "<na>", "#n/a", "#n/a n/a", "#na"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_NUMBERS_IN_IDS = re.compile(r"\d+")
_TO_QUOTE = re.compile('["\r\n]')
_ID_NAME = re.compile(r"(.*[_\s-])?(?i:id)|.*[a-z]I[dD]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The header and the rows of a table, without empty lines; `rows[0]` is row 1, the first below the header.

    A row may have more or fewer cells than the header: `check_rows` refuses that, and `check_submission` lists it.
    `lines` has the line on which each row begins. `notes` say how the file differs from UTF-8 CSV with commas.
    """

    path: Path
    header: tuple[str, ...]
    rows: list[list[str]]
    has_bom: bool
    lines: list[int]
    notes: tuple[str, ...] = ()
    separator: str = ","

    def check_rows(self) -> list[list[str]]:
        """Return the rows after checking that they fit the header.

        Raises:
            BadInput: two columns have the same name, or a row has more or fewer cells than the header.
        """
        repeated = [repr(name) for name, count in Counter(self.header).items() if count > 1]
        if repeated:
            raise BadInput(f"{self.path}: the header has column {list_some(repeated)} more than once")
        for number, (row, line) in enumerate(zip(self.rows, self.lines, strict=True), 1):
            if len(row) != len(self.header):
                raise BadInput(
                    f"{self.path}, row {number}: {len(row)} cells, but the header has {len(self.header)} (line {line})"
                )
        return self.rows


def read_cells(path: Path) -> Cells:
    """Return the cells of a CSV file as unchanged text; encoding, separator and compression are detected.

    A spreadsheet, Parquet or JSON file is read too; `notes` name its format.

    Raises:
        BadInput: the file is empty, its encoding is not clear, or it has a broken quote or a NUL byte.
    """
    unpacked = unpack_file(path)
    if unpacked.kind != "text":
        return _read_other_format(path)
    decoded = decode_text(unpacked.content, str(path))
    if looks_like_json(decoded.text):
        return _read_other_format(path)
    read = read_csv_lines(decoded.text, str(path), hint=suggest_separator(unpacked.name))
    if not read.rows:
        raise BadInput(f"{path}: the file is empty")
    notes = [*unpacked.notes, *([decoded.encoding] if decoded.encoding != "utf-8" else []), *describe_dialect(read)]
    return Cells(
        path=path,
        header=tuple(read.rows[0]),
        rows=read.rows[1:],
        has_bom=decoded.has_bom,
        lines=read.numbers[1:],
        notes=tuple(notes),
        separator=read.separator,
    )


def _read_other_format(path: Path) -> Cells:
    table = read_text_table(path)
    return Cells(
        path=path,
        header=table.header,
        rows=table.rows,
        has_bom=False,
        lines=list(range(2, len(table.rows) + 2)),
        notes=table.notes,
    )


def write_cells(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], separator: str = ",") -> None:
    """Write a CSV file atomically, as UTF-8 without a BOM and with LF line ends."""
    with replace_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        file.writelines(separator.join(_quote_cell(cell, separator) for cell in row) + "\n" for row in (header, *rows))


def _quote_cell(text: str, separator: str) -> str:
    # Python 3.11's csv module leaves a bare CR unquoted, and readers then break the row there.
    return '"' + text.replace('"', '""') + '"' if separator in text or _TO_QUOTE.search(text) else text


def is_null(cell: str) -> bool:
    """Return whether a Kaggle metric would read this cell as a missing value."""
    return cell.strip().casefold() in NULL_CELLS


def parse_cell_number(cell: str) -> float | None:
    """Return the finite number in a cell; None if it holds none."""
    number = float(cell) if _NUMBER.fullmatch(cell) else math.inf
    return number if math.isfinite(number) else None


def find_id_column(header: Sequence[str]) -> str:
    """Return the column named id, else the first named …_id ("row_id", "questionId"), else the first column."""
    exact = (name for name in header if name.strip().casefold() == "id")
    return next(exact, None) or next((name for name in header if _ID_NAME.fullmatch(name.strip())), header[0])


def refuse_missing_header(path: Path, name: str, ids: Sequence[str]) -> None:
    """Raise BadInput if the id column's name is itself an id: 1 above 2 and 3, or q1 above q2 and q3."""
    shape = _NUMBERS_IN_IDS.sub("0", name)
    if _NUMBERS_IN_IDS.search(name) and name not in ids and all(_NUMBERS_IN_IDS.sub("0", id) == shape for id in ids):
        raise BadInput(f"{path}, line 1: {name!r} is an id; a header is expected, such as id,answer")


def read_sample_ids(sample: Path) -> frozenset[str]:
    """Return the ids in a sample submission, which show the id column of the test file."""
    cells = read_cells(sample)
    place = cells.header.index(find_id_column(cells.header))
    return frozenset(row[place] for row in cells.rows if len(row) > place)
