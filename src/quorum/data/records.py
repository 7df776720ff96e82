"""Turn the rows of a question file into records, as its layout describes them."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from quorum.data.layout import AnswerKind, Layout
from quorum.data.table.answers import (
    HIDDEN,
    AnswerKey,
    detect_answer_kind,
    means_yes,
    parse_answer,
    place_answer,
    read_answer_texts,
    read_one_hot,
    replace_lookalikes,
)
from quorum.data.table.choice_sources import ChoiceReader, RowChoices
from quorum.data.table.column_table import ColumnTable
from quorum.data.table.distractors import order_choices
from quorum.data.table.options import find_mark
from quorum.data.yes_no import is_yes_or_no
from quorum.errors import BadInput
from quorum.number import canonical_number
from quorum.question import MOST_CHOICES, letters
from quorum.tables.raw_table import cell_text

_LEAST_SAME = 2  # rows whose marked choice is always the first, so that their order would give the answer away


@contextmanager
def pause_collection() -> Iterator[None]:
    """Pause the garbage collector: rows have no cycles, and examining a million of them takes a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row as it was read, not validated; `row` counts data rows from 1.

    `answer` is a canonical label (a number for an open question), or None if `raw_answer` (the cell's text) is not one
    of the row's labels. `problem` is the reason why the row's choices cannot be read. `ragged` is set if the row has
    more or fewer cells than the header, and names its line.
    """

    row: int
    id: str
    text: str
    choices: tuple[str, ...] = ()
    answer: str | None = None
    raw_answer: str | None = None
    subject: str | None = None
    group: str | None = None
    context: str | None = None
    rationale: str | None = None
    problem: str | None = None
    ragged: str | None = None


@dataclass(frozen=True, slots=True)
class _Answers:
    """The rows' answers as text, and the places of the choices that are marked as right."""

    raws: list[str | None]
    marked: list[int | None]


def build_records(table: ColumnTable, layout: Layout, ours: bool, where: str) -> tuple[list[Record], Layout]:
    """Return one record per row, and the layout with the kind of answers, which is detected over the whole file.

    Args:
        table: the file by columns.
        layout: the roles of the columns.
        ours: whether the file is in our own layout, whose texts are taken as they are.
        where: the file's name for messages.

    Raises:
        BadInput: the choices cannot be read in any row, or the kind of answers is ambiguous.
    """
    reader = ChoiceReader(layout, table, strip=not ours)
    chosen = [reader.read(row) for row in range(table.rows)]
    if all(choices.problem is not None for choices in chosen):
        raise BadInput(f"{where}: the choices cannot be read in any row; row 1: {chosen[0].problem}")
    answers = _read_answers(table, layout, chosen, hidden=frozenset() if ours else HIDDEN)
    chosen, answers = _hide_first_place(table, layout, chosen, answers)
    keys = [
        None if raw is None else _make_key(raw, row, reader, marked)
        for raw, row, marked in zip(answers.raws, chosen, answers.marked, strict=True)
    ]
    kind = layout.answer_kind or _detect_kind(layout, [key for key in keys if key is not None], where)
    layout = replace(layout, answer_kind=kind)
    return [
        _make_record(row, table, layout, choices, key, ours=ours)
        for row, (choices, key) in enumerate(zip(chosen, keys, strict=True))
    ], layout


def _make_key(raw: str, row: RowChoices, reader: ChoiceReader, marked: int | None) -> AnswerKey:
    own = row.choices
    return AnswerKey(raw=raw, texts=own.texts, labels=own.labels, names=reader.names, marked=marked)


def _detect_kind(layout: Layout, keys: Sequence[AnswerKey], where: str) -> AnswerKind | None:
    if not (layout.choices or layout.labels or layout.distractors):
        return None
    return detect_answer_kind(keys, f"{where}, column {layout.answer!r}") if keys else None


def _read_answers(table: ColumnTable, layout: Layout, chosen: Sequence[RowChoices], hidden: frozenset[str]) -> _Answers:
    if layout.answer_columns:
        rows = zip(*(table.cells[column] for column in layout.answer_columns), strict=True)
        marked = list(map(find_mark, rows))
        return _Answers([None if mark is None else layout.answer_columns[mark] for mark in marked], marked)
    own = [row.choices.marked for row in chosen]
    if layout.answer is None:
        return _Answers([None] * table.rows, own)
    if layout.answer in (layout.choices or ()) or layout.distractors:
        return _Answers([_marked_text(row) for row in chosen], own)
    cells = table.cells[layout.answer]
    raws = read_answer_texts(cells)
    if {raw for raw in raws if raw is not None} <= hidden:
        raws = [None] * len(raws)
    if layout.answer_kind in (None, "one_hot"):
        own = [read_one_hot(cell) if isinstance(cell, list | str | dict) else None for cell in cells]
    return _Answers(replace_lookalikes(raws), own)


def _marked_text(row: RowChoices) -> str | None:
    marked = row.choices.marked
    return None if marked is None else row.choices.texts[marked]


def _hide_first_place(
    table: ColumnTable, layout: Layout, chosen: list[RowChoices], answers: _Answers
) -> tuple[list[RowChoices], _Answers]:
    """Reorder the choices of a file that marks the first one in every row (TruthfulQA), else return them unchanged."""
    marked = [mark for mark in answers.marked if mark is not None]
    inside = layout.answer is not None and layout.answer in (layout.choices or ())
    if not inside or len(marked) < _LEAST_SAME or any(marked):
        return chosen, answers
    ordered = []
    for row, choices in enumerate(chosen):
        texts = choices.choices.texts
        right = _marked_text(choices)
        new = order_choices(table.text(layout.question, row) or "", texts)
        place = None if right is None else new.index(right)
        ordered.append(replace(choices, choices=replace(choices.choices, texts=new, labels=(), marked=place)))
    return ordered, _Answers(answers.raws, [row.choices.marked for row in ordered])


def _make_record(
    row: int, table: ColumnTable, layout: Layout, chosen: RowChoices, key: AnswerKey | None, ours: bool
) -> Record:
    rationale = table.text(layout.rationale, row)
    texts = chosen.choices.texts
    answer = None
    if key is not None and layout.labels and texts == layout.labels:
        answer = _shared_label(layout, key)
    elif key is not None and texts:
        answer = parse_answer(layout.answer_kind or "letter", key)
    elif key is not None and ours:
        answer = key.raw
    elif key is not None and not layout.choices and not layout.distractors:
        solution, marked, number_text = key.raw.rpartition("####")
        answer = canonical_number(number_text) or number_text.strip() or None
        rationale = rationale or (solution.strip() if marked else None) or None
    return Record(
        row=row + 1,
        id=str(row + 1) if layout.id is None else cell_text(table.cells[layout.id][row]),
        text=chosen.text if chosen.text is not None else table.text(layout.question, row) or "",
        choices=texts,
        answer=answer,
        raw_answer=None if key is None else key.raw,
        subject=table.text(layout.subject, row),
        group=table.text(layout.group, row),
        context=table.text(layout.context, row),
        rationale=rationale,
        problem=chosen.problem,
    )


def _shared_label(layout: Layout, key: AnswerKey) -> str | None:
    """Return the label of an answer among the choices that all questions share, such as yes and no."""
    if layout.answer_kind == "boolean" and len(key.texts) == 2 and is_yes_or_no(key.texts[0]):
        meant = means_yes(key.raw)
        first = means_yes(key.texts[0])
        return None if meant is None else letters(2)[meant != first]
    place = place_answer(layout.answer_kind or "text", key) if len(key.texts) <= MOST_CHOICES else None
    return None if place is None else letters(len(key.texts))[place]
