"""Read the rows of a JSON text: an array, lines of JSON, an object with a list of rows, or columns of cells."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from quorum.data.strict_json import parse_json
from quorum.errors import BadInput

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JsonRows:
    """The rows of a JSON text, and a few words on its form."""

    rows: list[Row]
    form: str


def looks_like_json(text: str) -> bool:
    """Return whether a text is a JSON object, array, or lines of these, rather than a CSV text."""
    start = text.lstrip()[:1]
    if start not in ("{", "["):
        return False
    if start == "{":
        return True
    try:
        parse_json(text.lstrip().split("\n", 1)[0])
    except ValueError:
        return _follows_json_bracket(text)
    return True


def _follows_json_bracket(text: str) -> bool:
    """Return whether the bracket at the beginning of a text is followed by a JSON value."""
    rest = text.lstrip()[1:].lstrip()
    return rest[:1] in ("{", "[", '"', "]")


def read_json_rows(text: str, where: str) -> JsonRows:
    """Read the rows of a JSON text.

    Rows are an array of objects; one object a line; the one list of objects in an object, such as `{"data": [...]}`;
    an object of id -> row, whose ids become the column "id"; or an object of column -> cells, as data frames write it.

    Raises:
        BadInput: the text is not JSON (the line is named), or rows are not found in it.
    """
    try:
        document = parse_json(text)
    except ValueError as error:
        lines = [line for line in text.split("\n") if line.strip()]
        if text.lstrip().startswith("{") and len(lines) > 1:
            return JsonRows(_check_rows_are_objects(list(_parse_json_lines(text, where)), where), "JSON lines")
        raise BadInput(f"{where}: not JSON: {error}") from None
    if isinstance(document, list):
        return JsonRows(_check_rows_are_objects(document, where), "JSON array")
    if isinstance(document, dict):
        return _read_object(document, where)
    raise BadInput(f"{where}: expected a JSON array of rows, or an object of id -> row")


def _parse_json_lines(text: str, where: str) -> Iterator[Any]:
    # not splitlines(): a JSON text may contain U+2028 and U+0085
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield parse_json(line)
            except ValueError as error:
                raise BadInput(f"{where}, line {number}: not JSON: {error}") from None


def _check_rows_are_objects(rows: Sequence[Any], where: str) -> list[Row]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise BadInput(f"{where}, row {number}: found {str(row)[:40]!r}; expected an object")
    return list(rows)


def _read_object(document: Row, where: str) -> JsonRows:
    lists = [key for key, value in document.items() if _is_list_of_objects(value)]
    if "rows" in lists and all(set(row) >= {"row", "row_idx"} for row in document["rows"]):  # a data set server's page
        return JsonRows(_check_rows_are_objects([row["row"] for row in document["rows"]], where), "JSON, key 'rows'")
    if len(lists) > 1:
        keys = ", ".join(map(repr, lists))
        raise BadInput(f"{where}: the keys {keys} each hold a list of rows; save one of them as a file of its own")
    if lists and not _is_question(document):
        return JsonRows(list(document[lists[0]]), f"JSON, key {lists[0]!r}")
    values = list(document.values())
    if values and all(isinstance(value, dict) for value in values):
        if _are_frame_columns(values):
            rows = [{name: cells.get(index) for name, cells in document.items()} for index in values[0]]
            return JsonRows(rows, "JSON columns")
        return JsonRows([{"id": id} | row for id, row in document.items()], "JSON, id -> row")
    if values and _are_lists_of_cells(values):
        columns = zip(*values, strict=True)
        return JsonRows([dict(zip(document, row, strict=True)) for row in columns], "JSON columns")
    if _is_question(document):
        return JsonRows([document], "JSON lines")
    raise BadInput(f"{where}: expected a JSON array of rows, or an object of id -> row")


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _is_question(document: Row) -> bool:
    """Return whether an object is one row: it has a text, and not only text about a list of rows."""
    return any(
        key.casefold() in ("question", "query", "problem", "stem", "sentence") and isinstance(value, str | dict)
        for key, value in document.items()
    )


def _are_frame_columns(values: Sequence[Row]) -> bool:
    """Return whether all objects have the same row numbers as keys: pandas' `to_json`."""
    keys = list(values[0])
    return bool(keys) and all(key.isdigit() for key in keys) and all(list(value) == keys for value in values)


def _are_lists_of_cells(values: Sequence[Any]) -> bool:
    return all(isinstance(value, list) and value for value in values) and len(set(map(len, values))) == 1
