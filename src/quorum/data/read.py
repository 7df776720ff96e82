"""Read question files in any of the known layouts, and write our own."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from quorum.data.layout import AnswerKind, Layout
from quorum.data.table.answers import AnswerKey, detect_answer_kind, is_yes_or_no, parse_answer
from quorum.data.table.cells import Cell, Line, RawTable, cell_at, cell_text, read_raw_table
from quorum.data.table.columns import CHOICE_LISTS, find_layout, guess_subject, is_headerless
from quorum.data.table.options import ParsedChoices, parse_choices, strip_own_letters
from quorum.disk import replace_file
from quorum.errors import BadInput, list_some
from quorum.number import canonical_number
from quorum.question import Question, letters

# Our own layout: `write_questions` writes it, and it is read back without detection.
QUESTIONS = pl.Schema(
    [
        ("id", pl.String),
        ("question", pl.String),
        ("choices", pl.List(pl.String)),
        ("answer", pl.String),
        ("subject", pl.String),
        ("group", pl.String),
        ("context", pl.String),
        ("rationale", pl.String),
    ]
)
_HIDDEN = {"-1", "?"}
_YES_NO_CHOICES = ("yes", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row as it was read, not validated; `row` counts data rows from 1.

    `answer` is a canonical label (a number for an open question), or None if `raw_answer` (the cell's text) is not one
    of the row's labels. `problem` is the reason why the row's choices cannot be read.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of a file; `labelled` is true if it has answers, `open` if none of its questions has choices."""

    path: Path
    records: tuple[Record, ...]
    labelled: bool
    columns: tuple[str, ...]
    layout: Layout

    @property
    def open(self) -> bool:
        return not any(record.choices for record in self.records)


def read_records(path: Path, layout: Layout | None = None) -> Table:
    """Read the rows of a CSV, TSV, JSON, JSON lines or Parquet file; detect the columns that `layout` does not name.

    A file of `write_questions` is recognized by its columns, and `layout` is ignored. Answers that are all "-1" or "?"
    count as missing, because test files hide them like this.

    Raises:
        BadInput: the file cannot be read, or its layout or kind of answers is ambiguous.
    """
    given = layout or Layout()

    def has_header(lines: Sequence[Line]) -> bool:
        return given.header if given.header is not None else not is_headerless(lines)

    sheet = read_raw_table(path, has_header)
    if not sheet.rows:
        raise BadInput(f"{path}: the file has no rows")
    ours = sheet.columns == tuple(QUESTIONS)
    found = _OURS if ours else find_layout(given, sheet, str(path))
    choices = [_choices_of(row, found, strip=not ours) for row in sheet.rows]
    raws = [_cell_or_none(row, found.answer) for row in sheet.rows]
    if {raw for raw in raws if raw is not None} <= _HIDDEN:
        raws = [None] * len(raws)
    _refuse_unread_choices(path, given, sheet=sheet, found=found, choices=choices, raws=raws)
    found = replace(found, answer_kind=found.answer_kind or _kind_of_answers(path, found, choices, raws))
    records = [
        _record(number, row, found, chosen, raw)
        for number, (row, chosen, raw) in enumerate(zip(sheet.rows, choices, raws, strict=True), 1)
    ]
    if not sheet.header and found.subject is None:
        records = [replace(record, subject=guess_subject(path.stem)) for record in records]
    return Table(path=path, records=tuple(records), labelled=any(raws), columns=sheet.columns, layout=found)


def read_questions(path: Path, layout: Layout | None = None) -> list[Question]:
    """Read the questions of a clean file, in order; all of them have an answer, or none has.

    Raises:
        BadInput: the errors of `read_records`, or rows that are not valid questions (the first five are named).
    """
    table = read_records(path, layout)
    questions, problems, seen = [], [], set()
    for record in table.records:
        try:
            if record.id in seen:
                raise BadInput("the id is not unique")
            seen.add(record.id)
            questions.append(make_question(record, table.labelled))
        except BadInput as error:
            reason = str(error).removeprefix(f"question {record.id}: ")
            problems.append(f"row {record.row} ({record.id}): {reason}")
    if problems:
        raise BadInput(
            f"{path}: {len(problems)} of {len(table.records)} rows are not valid questions: {list_some(problems)}; "
            f"quorum doctor {path} --repair OUT.parquet repairs or drops them"
        )
    return questions


def make_question(record: Record, labelled: bool) -> Question:
    """Convert a record to a question; `labelled` is true if its file has answers.

    Raises:
        BadInput: the record is not a valid question, or has no answer although its file has answers.
    """
    if record.problem is not None:
        raise BadInput(record.problem)
    if labelled and record.answer is None:
        among = f"is not among {', '.join(letters(len(record.choices))) or 'any choices'}"
        found = record.raw_answer
        raise BadInput("no answer" if found is None else f"answer {found[:40]!r} {among}")
    return Question(
        id=record.id,
        text=record.text,
        choices=record.choices,
        answer=record.answer,
        subject=record.subject,
        group=record.group,
        context=record.context,
        rationale=record.rationale,
    )


def write_questions(questions: Sequence[Question], path: Path) -> None:
    """Write questions in our own layout, as CSV or Parquet by the suffix; `read_questions` reads them back unchanged.

    Raises:
        BadInput: another suffix.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise BadInput(f"{path}: suffix {path.suffix!r} is not supported for questions; allowed are .csv, .parquet")
    names = ["id", "text", *list(QUESTIONS)[2:]]
    columns = {column: [getattr(q, name) for q in questions] for column, name in zip(QUESTIONS, names, strict=True)}
    frame = pl.DataFrame(columns, schema=QUESTIONS)
    with replace_file(path) as part:
        if path.suffix == ".parquet":
            frame.write_parquet(part)
        else:
            texts = [json.dumps(question.choices, ensure_ascii=False) for question in questions]
            frame.with_columns(pl.Series("choices", texts, pl.String)).write_csv(part)


_OURS = Layout(
    choices=("choices",),
    answer_kind="letter",
    **{column: column for column in QUESTIONS if column != "choices"},  # type: ignore[arg-type]
)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A row's choices, or the reason why they cannot be read."""

    choices: ParsedChoices
    problem: str | None = None


def _choices_of(row: Mapping[str, Cell], layout: Layout, strip: bool) -> _Chosen:
    columns = layout.choices or ()
    try:
        if len(columns) == 1:
            choices = parse_choices(cell_at(row, columns[0]))
        else:
            texts = [cell_text(cell_at(row, column)) for column in columns]
            while texts and not texts[-1].strip():  # a row with fewer choices leaves its last cells empty
                texts.pop()
            choices = ParsedChoices(tuple(texts))
    except ValueError as error:
        return _Chosen(ParsedChoices(), f"column {columns[0]!r}: {error}")
    return _Chosen(replace(choices, texts=strip_own_letters(choices.texts)) if strip else choices)


def _cell_or_none(row: Mapping[str, Cell], column: str | None) -> str | None:
    text = "" if column is None else cell_text(cell_at(row, column))
    return text if text.strip() else None


def _refuse_unread_choices(
    path: Path, given: Layout, sheet: RawTable, found: Layout, choices: Sequence[_Chosen], raws: Sequence[str | None]
) -> None:
    """Raise BadInput if a file seems to have choices, but none could be read."""
    if all(chosen.problem is not None for chosen in choices):
        raise BadInput(f"{path}: the choices cannot be read in any row; row 1: {choices[0].problem}")
    if found.choices or given.choices is not None or found.answer_kind == "boolean":
        return
    answers = [raw for raw in raws if raw is not None]
    known = {found.id, found.question, found.answer, found.subject, found.group, found.context, found.rationale}
    lost = [column for column in sheet.columns if column not in known]
    if all(re.fullmatch(r"\s*[A-Za-z]\s*", raw) for raw in answers) and (answers or lost):
        raise BadInput(
            f"{path}: no choices among the columns {', '.join(map(repr, sheet.columns))}; expected a list in one of "
            f"{', '.join(CHOICE_LISTS)}, or columns like A, B, C; option_a, option_b; choice1, choice2. "
            'Name them in the layout: choices = ["…", "…"], or choices = [] for open questions, '
            'or answer_kind = "boolean" for yes/no questions'
        )


def _kind_of_answers(
    path: Path, layout: Layout, choices: Sequence[_Chosen], raws: Sequence[str | None]
) -> AnswerKind | None:
    answers = [raw for raw in raws if raw is not None]
    if not layout.choices:
        return "boolean" if answers and all(map(is_yes_or_no, answers)) else None
    keys = [_answer_key(chosen, raw) for chosen, raw in zip(choices, raws, strict=True) if raw is not None]
    return detect_answer_kind(keys, f"{path}, column {layout.answer!r}") if keys else None


def _answer_key(chosen: _Chosen, raw: str) -> AnswerKey:
    return AnswerKey(raw, chosen.choices.texts, chosen.choices.labels)


def _record(number: int, row: Mapping[str, Cell], layout: Layout, chosen: _Chosen, raw: str | None) -> Record:
    if layout.answer_kind == "boolean" and not layout.choices:
        chosen = _Chosen(ParsedChoices(_YES_NO_CHOICES))
    rationale = _cell_or_none(row, layout.rationale)
    answer = None
    if raw is not None and chosen.choices.texts:
        answer = parse_answer(layout.answer_kind or "letter", _answer_key(chosen, raw))
    elif raw is not None and layout == _OURS:
        answer = raw
    elif raw is not None and not layout.choices:
        solution, marked, number_text = raw.rpartition("####")
        answer = canonical_number(number_text) or number_text.strip() or None
        rationale = rationale or (solution.strip() if marked else None) or None
    return Record(
        row=number,
        id=str(number) if layout.id is None else cell_text(cell_at(row, layout.id)),
        text=cell_text(cell_at(row, layout.question or "")),
        choices=chosen.choices.texts,
        answer=answer,
        raw_answer=raw,
        subject=_cell_or_none(row, layout.subject),
        group=_cell_or_none(row, layout.group),
        context=_cell_or_none(row, layout.context),
        rationale=rationale,
        problem=chosen.problem,
    )
