"""A clean list of questions out of a table as it was found; nothing is changed in silence."""

from dataclasses import dataclass, replace
from pathlib import Path

from quorum.data.layout import Layout
from quorum.data.read import Record, Table, make_question, read_records
from quorum.data.table.answers import parse_spoken_label
from quorum.question import MOST_CHOICES, Question

NO_CHOICE = "(missing choice)"
NO_TEXT = "(missing text)"


@dataclass(frozen=True, slots=True)
class Remark:
    """A row of a file, and what is to be said of it."""

    row: int
    id: str
    what: str


@dataclass(frozen=True, slots=True)
class RepairedTable:
    """The questions of a table, in order; what was changed in some of them, and which rows were left out and why."""

    questions: list[Question]
    changes: list[Remark]
    dropped: list[Remark]


def read_clean_questions(path: Path, layout: Layout | None = None) -> list[Question]:
    """Read a question file and repair it.

    Raises:
        BadInput: the file cannot be read as questions.
    """
    return repair_table(read_records(path, layout)).questions


def repair_table(table: Table) -> RepairedTable:
    """Every question that the table has, each valid.

    Labels such as "ANSWER: C" are mended, a missing choice gets a visible text so that the letters stay aligned, and a
    missing id is the row's number. Where the file has answers, a row that can not be learnt from is left out (no text,
    no answer or one that is no choice, fewer than 2 or more than 26 choices), and a second row of the same id gets a
    new one. Where it has none (a test file), every row stays with its id: with too few or too many choices it becomes
    an open question, and a missing text gets a visible one.
    """
    questions, changes, dropped, seen = [], [], [], set[str]()
    for record in table.records:
        reason = explain_unusable(record, table.open) if table.labelled else None
        if reason is not None:
            dropped.append(Remark(record.row, record.id, reason))
            continue
        mended, told = _repair_record(record, table)
        if table.labelled and mended.id in seen:
            mended = replace(mended, id=_make_unique_id(mended, seen))
            told.append(f"its id stands more than once: now {mended.id}")
        seen.add(mended.id)
        questions.append(make_question(mended, table.labelled))
        changes += [Remark(record.row, record.id, what) for what in told]
    return RepairedTable(questions, changes, dropped)


def answer_to_label(record: Record) -> str | None:
    """The label of a record's answer, mended where that is needed and plain; None where there is none."""
    if record.answer is not None or record.raw_answer is None:
        return record.answer
    return parse_spoken_label(record.raw_answer, record.choices)


def describe_choice_count(record: Record) -> str:
    """How many choices a record has, in words."""
    return f"{len(record.choices)} choice{'' if len(record.choices) == 1 else 's'}"


def explain_unusable(record: Record, open: bool) -> str | None:
    """Why nothing can be learnt from a record of a file with answers, or None; `open`: its questions are open ones."""
    if not record.text.strip():
        return "its text is empty"
    if record.problem is not None:
        return record.problem
    if not open and not 2 <= len(record.choices) <= MOST_CHOICES:
        return describe_choice_count(record)
    if record.raw_answer is None:
        return "no answer"
    raw = f"{record.raw_answer[:40]!r}"
    return None if answer_to_label(record) else f"answer {raw} with {describe_choice_count(record)}"


def _repair_record(record: Record, table: Table) -> tuple[Record, list[str]]:
    """The record as a valid question's, and what was done to it."""
    told = []
    if table.labelled and record.answer is None:
        record = replace(record, answer=answer_to_label(record))
        told.append(f"answer {record.raw_answer!r}: now {record.answer}")
    if not record.id:
        record = replace(record, id=str(record.row))
        told.append(f"it has no id: now {record.id}")
    if not record.text.strip():
        record = replace(record, text=NO_TEXT)
        told.append(f"its text is empty: now {NO_TEXT}")
    if record.problem or not (table.open or 2 <= len(record.choices) <= MOST_CHOICES):
        told.append(f"{record.problem or describe_choice_count(record)}: now an open question")
        record = replace(record, choices=(), problem=None)
    missing = [place for place, choice in enumerate(record.choices) if not choice.strip()]
    if missing:
        choices = tuple(NO_CHOICE if place in missing else choice for place, choice in enumerate(record.choices))
        record = replace(record, choices=choices)
        told.append(f"choice {', '.join(chr(ord('A') + place) for place in missing)} is missing: now {NO_CHOICE}")
    return record, told


def _make_unique_id(record: Record, seen: set[str]) -> str:
    fresh = f"{record.id}-row{record.row}"
    while fresh in seen:
        fresh += "'"
    return fresh
