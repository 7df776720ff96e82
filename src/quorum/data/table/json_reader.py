"""Read the rows of a JSON text: an array, lines of JSON, an object with a list of rows, or columns of cells."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from quorum.data.strict_json import parse_json
from quorum.errors import BadInput, list_some

Row = dict[str, Any]
PASSAGE_CHARACTERS = 200  # a longer text beside a list of questions is their passage, not a remark about the file
_QUESTION_KEYS = frozenset(("question", "query", "problem", "stem", "sentence", "prompt"))


@dataclass(frozen=True, slots=True)
class JsonRows:
    """The rows of a JSON text, and a few words on its form."""

    rows: list[Row]
    form: str


def looks_like_json(text: str) -> bool:
    """Return whether a text begins like a JSON object or an array of values, and not like a cell with a bracket."""
    start = text.lstrip()[:200]
    inside = start[1:].lstrip()[:1]
    if start.startswith("{"):
        return inside in ('"', "}")
    return start.startswith("[") and (inside in ("{", "[", '"', "]") or _is_json(text.lstrip().split("\n", 1)[0]))


def _is_json(line: str) -> bool:
    try:
        parse_json(line)
    except ValueError:
        return False
    return True


def read_json_rows(text: str, where: str, lines: bool = False) -> JsonRows:
    """Read the rows of a JSON text; with `lines` a single object without a list of objects is one row.

    Rows are an array of objects; one object a line; the one list of objects in an object, such as `{"data": [...]}`;
    an object of id -> row, whose ids become the column "id"; or an object of column -> cells, as data frames write it.

    Raises:
        BadInput: the text is not JSON (the line is named), or rows are not found in it.
    """
    try:
        document = parse_json(text)
    except ValueError as error:
        several = sum(1 for line in text.split("\n") if line.strip()) > 1
        if text.lstrip().startswith("{") and several:
            return JsonRows(_check_rows_are_objects(list(_parse_json_lines(text, where)), where), "JSON lines")
        raise BadInput(f"{where}: not JSON: {error}") from None
    if isinstance(document, list):
        return JsonRows(_check_rows_are_objects(document, where), "JSON array")
    if isinstance(document, dict):
        if lines and not any(map(_is_list_of_objects, document.values())):
            return JsonRows([document], "JSON lines")
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
    if _is_row(document):
        return JsonRows([document], "JSON object")
    if len(lists) > 1:
        keys = ", ".join(map(repr, lists))
        raise BadInput(f"{where}: the keys {keys} each hold a list of rows; save one of them as a file of its own")
    if lists:
        others = [key for key in document if key != lists[0]]
        rest = f" (not read: {list_some(others)})" if others else ""
        return JsonRows(list(document[lists[0]]), f"JSON, key {lists[0]!r}{rest}")
    values = list(document.values())
    if values and all(isinstance(value, dict) for value in values):
        if _are_frame_columns(values):
            rows = [{name: cells.get(index) for name, cells in document.items()} for index in values[0]]
            return JsonRows(rows, "JSON columns")
        return JsonRows([{"id": id} | row for id, row in document.items()], "JSON, id -> row")
    if values and _are_lists_of_cells(values):
        columns = zip(*values, strict=True)
        return JsonRows([dict(zip(document, row, strict=True)) for row in columns], "JSON columns")
    raise BadInput(f"{where}: expected a JSON array of rows, or an object of id -> row")


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _is_row(document: Row) -> bool:
    """Return whether an object is one row: it has a question, or a passage beside a list of questions."""
    return any(
        isinstance(value, str) and (len(value) > PASSAGE_CHARACTERS or key.casefold() in _QUESTION_KEYS)
        for key, value in document.items()
    )


def _are_frame_columns(values: Sequence[Row]) -> bool:
    """Return whether all objects have the same row numbers as keys: pandas' `to_json`."""
    keys = list(values[0])
    return bool(keys) and all(key.isdigit() for key in keys) and all(list(value) == keys for value in values)


def _are_lists_of_cells(values: Sequence[Any]) -> bool:
    return all(isinstance(value, list) and value for value in values) and len(set(map(len, values))) == 1
