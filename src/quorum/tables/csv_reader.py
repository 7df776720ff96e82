"""Read the lines of a CSV text exactly as Python's csv module does in strict mode; the only CSV reader."""

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from quorum.errors import BadInput

COMMA, TAB = ",", "\t"
SEPARATORS = (COMMA, ";", TAB, "|")
SEPARATOR_NAMES = {COMMA: "commas", ";": "';'", TAB: "tabs", "|": "'|'"}
_SEPARATOR_LINE = re.compile(r'sep=(.)\r?\n|"sep=(.)"\r?\n', re.IGNORECASE)  # what Excel writes and reads
_TEXT_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SAMPLE_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class CsvLines:
    """The rows of a CSV text without its blank lines; `numbers` has the line on which each row begins, from 1.

    `quoted` is false if the quotes are part of the cells.
    """

    rows: list[list[str]]
    numbers: list[int]
    separator: str
    quoted: bool = True


def read_csv_lines(text: str, where: str, separator: str | None = None, hint: str = COMMA) -> CsvLines:
    """Read the rows of a CSV text, as `csv.reader(..., strict=True)` does; blank lines are left out.

    A text with tabs whose lines all have equally many cells is split at the tabs alone if it cannot be read with
    quotes, or if its quotes are plainly a part of the text.

    Args:
        where: the file, for messages.
        separator: of the cells; it is detected from the content by default.
        hint: the separator that is taken where several fit equally well.

    Raises:
        BadInput: a quote is not closed or is followed by text; the line is named.
    """
    first_line = 1
    if declared := _SEPARATOR_LINE.match(text):
        separator, text, first_line = separator or declared[1] or declared[2], text[declared.end() :], 2
    separator = separator or detect_separator(text, hint)
    plain = _split_plainly(text, separator, first_line) if separator == TAB and '"' in text else None
    try:
        found = _parse_strictly(text, where, separator, first_line)
    except BadInput:
        if plain is None:
            raise
        return plain
    return plain if plain is not None and not _has_quoted_cells(found.rows, plain.rows) else found


def detect_separator(text: str, hint: str = COMMA) -> str:
    """Return the separator that gives most lines as many cells as the first line; then the one with more cells."""
    sample = text[:_SAMPLE_CHARACTERS]
    order = (hint, *(separator for separator in SEPARATORS if separator != hint))
    fits = {separator: _rate_separator(sample, separator) for separator in order}
    return max(order, key=lambda separator: fits[separator])  # the first of equals


def _rate_separator(text: str, separator: str) -> tuple[float, int]:
    """Return the share of lines that have as many cells as the first, and the number of cells of the first."""
    counts = []
    with _any_cell_size(), suppress(csv.Error):
        for line in csv.reader(_iterate_lines(text), delimiter=separator):
            if not is_blank_line(line):
                counts.append(len(line))
    if not counts or counts[0] < 2:
        return 0.0, 1
    return round(counts.count(counts[0]) / len(counts), 1), counts[0]


def is_blank_line(cells: Sequence[str | None]) -> bool:
    """Return whether a line has only empty cells."""
    return not any(cell is not None and cell.strip() for cell in cells)


@contextmanager
def _any_cell_size() -> Iterator[None]:
    """Lift the csv module's limit of 131,072 characters a cell for a while."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _iterate_lines(text: str) -> Iterator[str]:
    """Yield the lines as a file opened with newline="" does; an `io.StringIO` takes 4 bytes a character."""
    return (match[0] for match in _TEXT_LINE.finditer(text))


def _parse_strictly(text: str, where: str, separator: str, first_line: int) -> CsvLines:
    rows: list[list[str]] = []
    numbers: list[int] = []
    reader = csv.reader(_iterate_lines(text), delimiter=separator, strict=True)
    begin = first_line
    with _any_cell_size():
        try:
            for row in reader:
                if row:
                    rows.append(row)
                    numbers.append(begin)
                begin = reader.line_num + first_line
        except csv.Error as error:
            end = reader.line_num + first_line - 1
            lines = f"line {begin}" if end <= begin else f"lines {begin} to {end}"
            raise BadInput(f"{where}, {lines}: {_explain_csv_error(str(error))}") from None
    return CsvLines(rows, numbers, separator)


def _explain_csv_error(error: str) -> str:
    if "unexpected end" in error:
        return "not a CSV file: a quote is opened and never closed"
    if "expected after" in error:
        return (
            "not a CSV file: a closing quote is followed by text; a quote inside of a quoted cell has to be doubled, "
            "and a cell that begins with a quote has to end with one"
        )
    return f"not a CSV file: {error}"


def _split_plainly(text: str, separator: str, first_line: int) -> CsvLines | None:
    """Split a text at line ends and separators alone; None if its lines have different numbers of cells."""
    lines = [line.removesuffix("\r") for line in text.split("\n" if "\n" in text else "\r")]
    kept = [(number, line) for number, line in enumerate(lines, first_line) if line.strip(" ")]
    rows = [line.split(separator) for _, line in kept]
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        return None
    return CsvLines(rows, [number for number, _ in kept], separator, quoted=False)


def _has_quoted_cells(strict: Sequence[Sequence[str]], plain: Sequence[Sequence[str]]) -> bool:
    """Return whether quotes enclose cells, rather than being a part of the text, where both readings are possible.

    A program that writes a table doubles the quotes inside of quoted cells, or quotes whole columns.
    """
    if len(strict) != len(plain) or any(len(row) != len(strict[0]) for row in strict):
        return False
    pairs = zip(strict, plain, strict=True)
    differing = [(place, cell) for one, other in pairs for place, cell in enumerate(other) if one[place] != cell]
    if any('""' in cell[1:-1] for _, cell in differing):
        return True
    columns = {place for place, _ in differing}
    return all(_is_quoted(row[place]) or not row[place] for row in plain[1:] for place in columns)


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'
