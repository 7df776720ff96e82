"""Find the role of each column: set in the layout, shown by the train file, or detected from contents and names."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from string import ascii_uppercase

from quorum.data.layout import Layout
from quorum.data.table.answer_sources import find_choices_and_answer, find_echoes
from quorum.data.table.column_table import ColumnTable
from quorum.data.table.names import COLUMN_NAMES, plain_name
from quorum.data.table.roles import (
    find_column_of,
    find_context,
    find_id,
    find_named,
    find_question,
    find_subject,
    is_long_text,
    profile_column,
)
from quorum.data.table.shared_choices import find_shared_choices
from quorum.errors import BadInput
from quorum.tables.raw_table import Line

SAMPLE_ROWS = 1000
_DETECTORS: Mapping[str, Callable[[ColumnTable, Sequence[str]], str | None]] = {
    "id": find_id,
    "subject": find_subject,
    "group": lambda table, columns: find_named(table, columns, "group"),
    "rationale": lambda table, columns: find_named(table, columns, "rationale"),
}
_SPLIT_SUFFIX = re.compile(r"[_-](test|dev|val|valid|validation|train)$")
_NOT_IN_TEST = ("answer", "subject", "group", "rationale")  # roles of [layout]


def find_layout(
    given: Layout, table: ColumnTable, where: str, like: Layout | None = None, ids: frozenset[str] = frozenset()
) -> Layout:
    """Return the layout of a table: roles set in `given` are kept, the others detected, missing ones are None.

    Args:
        given: the roles that the user has set.
        table: the file by columns.
        where: the file's name for messages.
        like: the layout of the train file if this is a test file, which may lack answers, subjects and solutions;
            roles that train has no column for are not detected.
        ids: the ids of the sample submission, which a column of the test file holds.

    Raises:
        BadInput: a column named in `given` does not exist, no question column is found, or a role is ambiguous.
    """
    absent: set[str] = set()
    if like is not None:
        given, absent = _drop_absent(given, table)
    given = _check_given(given, table, where)
    if given.id is None and ids:
        given = replace(given, id=find_column_of(ids, table))
    if like is not None and like.question is not None:
        given = _inherit(given, table, like)
        absent |= {"answer"} if given.answer is None and given.answer_columns is None else set()
    if given.header is False:
        return _assign_by_position(given, table.names, where, like)
    sample = table.sample(SAMPLE_ROWS)
    free = [column for column in sample.cells if column not in given.columns]
    guess = like is None or like.choices != ()  # train has no choices of its own: only clear ones count in test
    found = find_choices_and_answer(given, sample, free, where, detect_answer="answer" not in absent, guess=guess)
    free = _without_entries(free, found.columns)
    question = found.question if found.question is not None else find_question(sample, free, where)
    found, free = replace(found, question=question), [column for column in free if column != question]
    if found.choices is None:
        found = find_shared_choices(found, sample, free, "answer" not in absent)
    echoes = find_echoes(found, sample, free)
    free = [column for column in free if column not in echoes]
    for role, detect in _DETECTORS.items():
        if getattr(found, role) is None and role not in absent:
            free = _without_entries(free, found.columns)
            found = replace(found, **{role: detect(sample, free)})  # type: ignore[arg-type]
    if found.context is None and "context" not in absent:
        free = _without_entries(free, found.columns)
        found = replace(found, context=find_context(sample, free, question, where))
    return replace(found, choices=found.choices or (), header=True)


MOST_LINES = 0.6  # least share of the lines that end with a letter in a file without a header


def is_headerless(lines: Sequence[Line]) -> bool:
    """Return whether a CSV file has lines like MMLU's (question, choices, letter) and no header.

    True if the first line has no known name of a question column, and most lines, the first included, end with the
    letter of one of their choices.
    """
    labels = tuple(ascii_uppercase[: max(0, len(lines[0]) - 2)])
    if len(labels) < 2 or names_question(lines[0]) or not _ends_with(lines[0], labels):
        return False
    return sum(_ends_with(line, labels) for line in lines) >= MOST_LINES * len(lines)


def _ends_with(line: Line, labels: Sequence[str]) -> bool:
    return line[-1] is not None and line[-1].strip() in labels


def names_question(line: Line) -> bool:
    """Return whether a line has a known name of a question column, so that it is a header."""
    return bool({plain_name(cell) for cell in line if cell} & set(COLUMN_NAMES["question"]))


def guess_subject(stem: str) -> str:
    """Return the subject in a file's name: "anatomy" for `anatomy_test`."""
    return _SPLIT_SUFFIX.sub("", stem)


def describe_roles(layout: Layout, names: Sequence[str]) -> str:
    """Return the role of every column of a file and the unused ones in one line."""
    roles: dict[str, Iterable[str]] = {
        "id": (layout.id or "",),
        "question": (layout.question or "",),
        "passage": (layout.context or "",),
        "choices": layout.choices or (),
        "answer": (layout.answer or "", *(layout.answer_columns or ())),
        "wrong answers": layout.distractors or (),
        "subject": (layout.subject or "",),
        "group": (layout.group or "",),
        "rationale": (layout.rationale or "",),
    }
    shown = [f"{role}={joined}" for role, columns in roles.items() if (joined := ",".join(filter(None, columns)))]
    if layout.labels:
        shown.append(f"choices of every question: {'/'.join(layout.labels)}")
    in_other_words = layout.answer_kind == "one_hot" and not layout.answer_columns
    if layout.answer_kind and layout.answer_kind != "letter" and not in_other_words:
        shown.append(f"answers as {layout.answer_kind}")
    unused = list_unused(layout, names)
    return f"columns: {' '.join(shown)}; unused: {', '.join(unused) or 'none'}"


def list_unused(layout: Layout, names: Sequence[str]) -> list[str]:
    """Return the columns of a file that have no role."""
    used = {column for name in layout.columns for column in (name, _top(name, names))}
    return [name for name in names if name not in used]


def list_long_unused(layout: Layout, table: ColumnTable) -> tuple[str, ...]:
    """Return the unused columns with texts as long as passages, which models will not see."""
    sample = table.sample(SAMPLE_ROWS)
    unused = list_unused(layout, table.names)
    return tuple(column for column in unused if is_long_text(profile_column(sample, column)))


def _top(column: str, names: Sequence[str]) -> str:
    """Return the file's own column that an entry such as `question.stem` is in."""
    while column not in names and "." in column:
        column = column.rpartition(".")[0]
    return column


def _drop_absent(given: Layout, table: ColumnTable) -> tuple[Layout, set[str]]:
    """Return the roles that a user has set without those that this test file lacks, and the roles it lacks."""
    absent = {role for role in _NOT_IN_TEST if getattr(given, role) not in (None, *table.cells)}
    given = replace(given, **dict.fromkeys(absent))
    if given.answer_columns and not set(given.answer_columns) <= set(table.cells):
        given, absent = replace(given, answer_columns=None), absent | {"answer"}
    if given.distractors and not set(given.distractors) <= set(table.cells):
        given = replace(given, distractors=None)
    return given, absent


def _check_given(given: Layout, table: ColumnTable, where: str) -> Layout:
    """Return the roles that a user has set; choices that include the answer column are a right and wrong answers.

    Raises:
        BadInput: a column does not exist.
    """
    for name in given.columns:
        if name not in table.cells:
            raise BadInput(f"{where}: the layout's column {name!r} is not among {_quote(table.cells)}")
    if given.choices and given.answer in given.choices and len(given.choices) > 1:
        wrong = tuple(column for column in given.choices if column != given.answer)
        given = replace(given, choices=(), distractors=wrong)
    return replace(given, answer_kind="one_hot") if given.distractors else given


def _inherit(given: Layout, table: ColumnTable, like: Layout) -> Layout:
    """Return the roles that are set, completed with what the train file shows."""
    roles = ("id", "question", "answer", "subject", "group", "rationale", "context")
    shown = {role: name for role in roles if getattr(given, role) is None and (name := getattr(like, role)) is not None}
    given = replace(given, **{role: name for role, name in shown.items() if name in table.cells})
    if given.choices is None and given.distractors is None:
        if like.distractors and {*like.distractors, like.answer} <= set(table.cells):
            given = replace(given, choices=(), distractors=like.distractors)
        elif like.choices and set(like.choices) <= set(table.cells):
            given = replace(given, choices=like.choices)
    if given.answer_columns is None and like.answer_columns and set(like.answer_columns) <= set(table.cells):
        given = replace(given, answer_columns=like.answer_columns)
    same_answer = (given.answer, given.answer_columns) == (like.answer, like.answer_columns)
    kind = given.answer_kind or (like.answer_kind if same_answer else None)
    return replace(given, labels=given.labels or like.labels, answer_kind=kind)


def _assign_by_position(given: Layout, names: Sequence[str], where: str, like: Layout | None) -> Layout:
    """Assign question, choices and answer of a file without a header by position."""
    if len(names) < 3:
        raise BadInput(f"{where}: found {len(names)} columns without a header; expected question, choices, answer")
    unlabelled = like is not None and like.answer not in (None, *names)
    return replace(
        given,
        question=given.question or names[0],
        choices=given.choices if given.choices is not None else tuple(names[1:] if unlabelled else names[1:-1]),
        answer=given.answer or (None if unlabelled else names[-1]),
    )


def _without_entries(columns: Sequence[str], used: Iterable[str]) -> list[str]:
    """Return the columns that are neither used nor an entry of a used one."""
    taken = set(used)
    return [
        column for column in columns if column not in taken and not any(column.startswith(f"{name}.") for name in taken)
    ]


def _quote(columns: Iterable[str]) -> str:
    return ", ".join(map(repr, columns))
