"""Find the role of each column: set in the layout, or detected by its name."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from string import ascii_uppercase
from typing import Any

from quorum.data.layout import Layout
from quorum.data.table.cells import Line, RawTable
from quorum.errors import BadInput


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# In order of preference, in the form of `_plain_name`.
COLUMN_NAMES = {
    "id": _names("id taskid questionid qid rowid uid uuid exampleid idx ind index"),
    "question": _names(
        "question.stem question questiontext questionstem stem prompt query problem ctx sentence goal text"
    ),
    "answer": _names(
        "answer answerkey correctanswer correctoption correctchoice correctlabel correct label target gold cop "
        "answeridx answerindex ans"
    ),
    "subject": _names("subject info.subject subjectname category topic domain"),
    "group": _names("group groupid cluster"),
    "context": _names("context premise passage article paragraph background support"),
    "rationale": _names("rationale explanation explain exp solution reasoning cotcontent"),
}
CHOICE_LISTS = _names("question.choices choices options answerchoices endings candidates alternatives")
_ONE_CHOICE = re.compile(
    r"(options?|choices?|opt|op|endings?|answers?|ans|sol|candidates?|alternatives?|)\.?([a-z]|\d{1,2})(?:text)?"
)
_UNNAMED = ("", "unnamed:0")
_SPLIT_SUFFIX = re.compile(r"[_-](test|dev|val|valid|validation|train)$")


def find_layout(given: Layout, sheet: RawTable, where: str) -> Layout:
    """Return the layout of a table: roles set in `given` are kept, the others detected, missing ones are None.

    Raises:
        BadInput: a column named in `given` does not exist, no question column is found, or the choices are ambiguous.
    """
    columns = _all_columns(sheet)
    named = (given.id, given.question, given.answer, given.subject, given.group, given.context, given.rationale)
    for name in (*named, *(given.choices or ())):
        if name is not None and name not in columns:
            raise BadInput(f"{where}: the layout's column {name!r} is not among {_shown(columns)}")
    if not sheet.header:
        return _headerless(given, columns, where)
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(_plain_name(column), column)
    roles: dict[str, Any] = {}
    for role, names in COLUMN_NAMES.items():
        roles[role] = getattr(given, role) or next((by_name[name] for name in names if name in by_name), None)
    if roles["question"] is None:
        raise BadInput(
            f"{where}: no question column among {_shown(columns)}; expected one of "
            f'{", ".join(COLUMN_NAMES["question"])}; name it in the layout: question = "…"'
        )
    roles["id"] = roles["id"] or _other_id(columns)
    choices = _choice_columns(given, columns, by_name, {name for name in roles.values() if name}, where)
    return Layout(**roles, choices=choices, answer_kind=given.answer_kind, header=True)


def is_headerless(lines: Sequence[Line]) -> bool:
    """Return whether a CSV file has lines like MMLU's (question, choices, letter) and no header.

    True if the first line has no known name of a question column, and every line, the first included, ends with the
    letter of one of its choices.
    """
    names = {_plain_name(cell) for cell in lines[0] if cell}
    labels = ascii_uppercase[: max(0, len(lines[0]) - 2)]
    if len(labels) < 2 or names & set(COLUMN_NAMES["question"]):
        return False
    return all(line[-1] is not None and line[-1].strip() in tuple(labels) for line in lines)


def guess_subject(stem: str) -> str:
    """Return the subject in a file's name: "anatomy" for `anatomy_test`."""
    return _SPLIT_SUFFIX.sub("", stem)


def _all_columns(sheet: RawTable) -> list[str]:
    """List the columns and the entries of columns with dicts: question, question.stem …"""
    columns = dict.fromkeys(sheet.columns)
    for row in sheet.rows:
        for column, cell in row.items():
            if isinstance(cell, dict):
                columns |= dict.fromkeys(f"{column}.{entry}" for entry in cell)
    return list(columns)


def _plain_name(column: str) -> str:
    """Return a column's name for comparison: "Option A", "option_a" and "OptionA" are equal."""
    return re.sub(r"[\s_-]", "", column.casefold())


def _shown(columns: Iterable[str]) -> str:
    return ", ".join(map(repr, columns))


def _other_id(columns: Sequence[str]) -> str | None:
    """Return the first column if its name ends in _id or is empty (a data frame's index)."""
    first = columns[0]
    return first if re.fullmatch(r".*[_\s-]id", first, re.IGNORECASE) or _plain_name(first) in _UNNAMED else None


def _headerless(given: Layout, columns: list[str], where: str) -> Layout:
    """Assign question, choices and answer by position."""
    if len(columns) < 3:
        raise BadInput(f"{where}: found {len(columns)} columns without a header; expected question, choices, answer")
    return replace(
        given,
        question=given.question or columns[0],
        choices=given.choices if given.choices is not None else tuple(columns[1:-1]),
        answer=given.answer or columns[-1],
    )


def _choice_columns(
    given: Layout, columns: Sequence[str], by_name: dict[str, str], taken: set[str], where: str
) -> tuple[str, ...]:
    """Return one column of lists, or the columns of A, B, C … in this order; empty for open questions."""
    if given.choices is not None:
        return given.choices
    lists = [by_name[name] for name in CHOICE_LISTS if name in by_name and by_name[name] not in taken]
    if lists:
        return (lists[0],)
    series: dict[tuple[str, bool], dict[str, str]] = {}
    for column in columns:
        match = _ONE_CHOICE.fullmatch(_plain_name(column))
        if match and column not in taken and (match[1] or not match[2].isdigit()):
            series.setdefault((match[1], match[2].isdigit()), {})[match[2]] = column
    found = [run for run in map(_in_order, series.values()) if len(run) > 1]
    if len(found) > 1:
        sets = " or ".join(f"({_shown(run)})" for run in found)
        raise BadInput(f'{where}: the choices could be {sets}; name them in the layout: choices = ["…"]')
    return found[0] if found else ()


def _in_order(series: dict[str, str]) -> tuple[str, ...]:
    """Return the columns of a series that begins with a, 0 or 1 and has no gap; otherwise none."""
    labels = sorted(series, key=lambda label: (len(label), label))
    first = labels[0]
    if first not in ("a", "0", "1"):
        return ()
    start = ord(first) if first == "a" else int(first)
    expected = [chr(start + place) if first == "a" else str(start + place) for place in range(len(labels))]
    return tuple(series[label] for label in labels) if labels == expected else ()
