"""Read the columns and rows of a file with their cells as they are, before any interpretation."""

import codecs
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from quorum.data.strict_json import parse_json
from quorum.errors import BadInput, list_some

# text, or the lists and dicts of JSON and Parquet; numbers of CSV and JSON keep their text in the file
Cell = Any
Line = tuple[str | None, ...]  # of a CSV file; None is an empty cell

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can contain one, UTF-8 cannot


@dataclass(frozen=True, slots=True)
class RawTable:
    """The columns and rows of a file.

    `rows[0]` is row 1, the first below the header; a row's dict lacks its missing cells. `header` is false for a CSV
    file without a header, whose columns are column_1, column_2 …
    """

    columns: tuple[str, ...]
    rows: list[dict[str, Cell]]
    header: bool = True


def read_raw_table(path: Path, has_header: Callable[[Sequence[Line]], bool] = lambda lines: True) -> RawTable:
    """Read the columns and rows of a CSV, TSV, JSON, JSON lines or Parquet file, by its suffix.

    `has_header` takes the non-empty lines of a CSV file and returns whether the first one is a header.

    Raises:
        BadInput: an unknown suffix, an empty file, or a file that does not have the format of its suffix.
    """
    match path.suffix.lower():
        case ".csv":
            return _csv_sheet(path, ",", has_header)
        case ".tsv":
            return _csv_sheet(path, "\t", has_header)
        case ".jsonl" | ".ndjson":
            return _json_sheet(list(_json_lines(path)), path)
        case ".json":
            return _json_sheet(_json_rows(path), path)
        case ".parquet":
            return _parquet_sheet(path)
    raise BadInput(f"{path}: unknown format {path.suffix!r}; allowed are {', '.join(FORMATS)}")


def cell_at(row: Mapping[str, Cell], column: str) -> Cell:
    """Return the cell of a column; `question.stem` is the entry `stem` of the dict in column `question`."""
    if column in row:
        return row[column]
    outer, dot, inner = column.partition(".")
    nested = row.get(outer) if dot else None
    return nested.get(inner) if isinstance(nested, dict) else None


def cell_text(cell: Cell) -> str:
    """Return a cell as text: empty for a missing cell, a list or a dict; a lone surrogate becomes U+FFFD."""
    if cell is None or isinstance(cell, list | dict) or cell != cell:  # NaN is not itself
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return _LONE_SURROGATE.sub("\ufffd", str(cell))


def _file_text(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadInput(f"{path}: the file is UTF-16; save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}, line {line}: byte {raw[error.start]:#04x} is not UTF-8; save it as UTF-8") from None
    if not text.strip():
        raise BadInput(f"{path}: the file is empty")
    return text


def _csv_sheet(path: Path, separator: str, has_header: Callable[[Sequence[Line]], bool]) -> RawTable:
    """Read a CSV file with all cells as text; Polars keeps CR, CRLF and CRCRLF inside quotes (tested against csv)."""
    text = _file_text(path)
    eol = "\n" if "\n" in text else "\r"  # lines of classic Mac files end in CR alone
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode()), has_header=False, infer_schema=False, separator=separator, eol_char=eol
        )
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        if "more fields" in reason:
            reason = "a row has more cells than the first line"
        raise BadInput(f"{path}: not a CSV file: {reason}") from None
    lines = [line for line in frame.iter_rows() if any(cell is not None for cell in line)]
    if not lines:
        raise BadInput(f"{path}: the file is empty")
    header = has_header(lines)
    columns = [cell.strip() if header and cell else "" for cell in lines[0]]
    # an empty first name is a data frame's index; other unnamed columns, or all without a header, get a number
    columns[header:] = [name or f"column_{number}" for number, name in enumerate(columns[header:], header + 1)]
    twice = [repr(name) for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise BadInput(f"{path}: column names have to be unique; found more than once: {list_some(twice)}")
    rows = [dict(zip(columns, line, strict=True)) for line in lines[header:]]
    return RawTable(tuple(columns), rows, header)


def _json_lines(path: Path) -> Iterator[Cell]:
    # not splitlines(): a JSON text may contain U+2028 and U+0085
    for number, line in enumerate(_file_text(path).split("\n"), 1):
        if line.strip():
            try:
                yield parse_json(line)
            except ValueError as error:
                raise BadInput(f"{path}, line {number}: not JSON: {error}") from None


def _json_rows(path: Path) -> list[Cell]:
    """Read the rows of a JSON file: an array of rows, or an object id -> row (the id becomes column "id")."""
    text = _file_text(path)
    try:
        document = parse_json(text)
    except ValueError as error:
        if text.lstrip().startswith("{"):
            return list(_json_lines(path))  # many .json files contain JSON lines
        raise BadInput(f"{path}: not JSON: {error}") from None
    if isinstance(document, dict) and document and all(isinstance(row, dict) for row in document.values()):
        return [{"id": id} | row for id, row in document.items()]
    if not isinstance(document, list):
        raise BadInput(f"{path}: expected a JSON array of rows, or an object of id -> row")
    return document


def _json_sheet(rows: Sequence[Cell], path: Path) -> RawTable:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise BadInput(f"{path}, row {number}: found {str(row)[:40]!r}; expected an object")
    return RawTable(tuple(dict.fromkeys(name for row in rows for name in row)), list(rows))


def _parquet_sheet(path: Path) -> RawTable:
    try:
        frame = pl.read_parquet(path, glob=False)
    except pl.exceptions.PolarsError as error:
        raise BadInput(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from None
    return RawTable(tuple(frame.columns), frame.to_dicts())
