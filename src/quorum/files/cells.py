"""A CSV file as cells of text: nothing is guessed, nothing is lost, "007" stays "007"."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorum.disk import replace_file
from quorum.errors import BadInput, list_some

# What pandas, and so a Kaggle metric, reads as "no value" (its default na_values, case folded).
NULL_CELLS = frozenset({"", "nan", "-nan", "none", "null", "na", "n/a", "<na>", "#n/a", "#n/a n/a", "#na"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_TO_QUOTE = re.compile('[",\r\n]')
_ID_NAME = re.compile(r"(.*[_\s-])?(?i:id)|.*[a-z]I[dD]")


@dataclass(frozen=True, slots=True)
class Cells:
    """The header and the rows of a CSV file; `rows[0]` is row 1, the first below the header; blank lines do not count.

    A row may have more or fewer cells than the header: `whole_rows` refuses that, `check` lists it.
    """

    path: Path
    header: tuple[str, ...]
    rows: list[list[str]]
    has_bom: bool

    def whole_rows(self) -> list[list[str]]:
        """The rows, once header and rows are known to fit.

        Raises:
            BadInput: a column name stands twice, a row is longer or shorter than the header.
        """
        twice = [repr(name) for name, count in Counter(self.header).items() if count > 1]
        if twice:
            raise BadInput(f"{self.path}: column {list_some(twice)} stands more than once")
        for number, row in enumerate(self.rows, 1):
            if len(row) != len(self.header):
                raise BadInput(f"{self.path}, row {number}: {len(row)} cells, where the header has {len(self.header)}")
        return self.rows


def read_cells(path: Path) -> Cells:
    """The cells of a CSV file (RFC 4180, UTF-8 with or without a BOM, any line ends), each as the text it is.

    Raises:
        BadInput: it is empty, not UTF-8, or its quotes do not close.
    """
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8: byte {raw[error.start]:#04x} at offset {error.start}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line_num}: not a CSV file: {error}") from None
    if not rows:
        raise BadInput(f"{path}: the file is empty")
    return Cells(path, tuple(rows[0]), rows[1:], raw.startswith(b"\xef\xbb\xbf"))


def write_cells(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Writes a CSV file, whole or not at all: UTF-8 without a BOM, lines end in LF."""
    with replace_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        file.writelines(",".join(map(_csv_cell, row)) + "\n" for row in (header, *rows))


def _csv_cell(text: str) -> str:
    # the csv module of Python 3.11 leaves a bare CR unquoted, and a reader then breaks the row there
    return '"' + text.replace('"', '""') + '"' if _TO_QUOTE.search(text) else text


def is_null(cell: str) -> bool:
    """Whether a Kaggle metric would find no value in this cell."""
    return cell.strip().casefold() in NULL_CELLS


def cell_number(cell: str) -> float | None:
    """The finite number in a cell, or None where there is none."""
    number = float(cell) if _NUMBER.fullmatch(cell) else math.inf
    return number if math.isfinite(number) else None


def find_id_column(header: Sequence[str]) -> str:
    """The column called id, else the first called …_id ("row_id", "questionId"), else the first column."""
    plain = (name for name in header if name.strip().casefold() == "id")
    return next(plain, None) or next((name for name in header if _ID_NAME.fullmatch(name.strip())), header[0])
