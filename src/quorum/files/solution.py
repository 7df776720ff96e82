"""Read right answers: a solution of id and answer, or any file of labelled questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast, get_args

from quorum.data.read import Table, read_records
from quorum.data.repair import answer_to_label
from quorum.errors import BadInput, list_some
from quorum.files.answer_columns import find_kind
from quorum.files.cells import find_id_column, is_null, refuse_missing_header
from quorum.files.form_setting import split_ranked_cells
from quorum.files.label_style import find_symbols
from quorum.files.sample_columns import is_answer_name
from quorum.question import Question
from quorum.tables.text_table import read_text_table

Usage = Literal["Public", "Private", "Ignored"]

_USAGE = "usage"
_SUBJECT_NAMES = ("subject", "category", "topic")
_GROUP_NAMES = ("group", "cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedRow:
    """One row of a solution: the right answer, and the part of the leaderboard, subject and group of its question."""

    id: str
    answer: str
    usage: Usage | None = None
    subject: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The rows of a solution; the options of its questions by id, if it is a file of questions.

    `canonical`: the answers are A, B …. `unsolved` questions of the file have no usable answer.
    """

    path: Path
    rows: list[SolvedRow]
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    canonical: bool = False
    unsolved: int = 0


def make_solution(questions: Sequence[Question]) -> list[SolvedRow]:
    """Return the answers of labelled questions as a solution.

    Raises:
        BadInput: a question has no answer.
    """
    unknown = [question.id for question in questions if question.answer is None]
    if unknown:
        raise BadInput(f"{len(unknown)} questions have no answer to score against: {list_some(unknown)}")
    return [SolvedRow(id=q.id, answer=q.answer or "", usage=None, subject=q.subject, group=q.group) for q in questions]


def add_subjects(solution: Sequence[SolvedRow], questions: Table) -> list[SolvedRow]:
    """Return the solution with each question's subject and group, from a question file.

    Raises:
        BadInput: the file has none of the solution's ids.
    """
    known = {record.id: record for record in questions.records}
    if not any(row.id in known for row in solution):
        raise BadInput(f"{questions.path}: none of the solution's ids, such as {solution[0].id!r}, is in the file")
    return [
        replace(row, subject=known[row.id].subject, group=known[row.id].group) if row.id in known else row
        for row in solution
    ]


def read_solution(path: Path, answer_column: str | None = None) -> Solution:
    """Read right answers, as they are written.

    They are in a table of id, answer and, as on Kaggle, Usage (Public, Private, Ignored), or in a file (or a folder of
    files) of labelled questions. The answer column of a table is `answer_column` if given, else the only other column,
    else the one called answer.

    Raises:
        BadInput: the file cannot be read, no column holds answers, an answer is empty, or a Usage is unknown.
    """
    if path.is_dir():
        return _read_questions(path)
    table = read_text_table(path)
    header, rows = table.header, table.rows
    columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())
    if answer_column is None and _holds_questions(columns):
        return _read_questions(path)
    if len(header) < 2:
        raise BadInput(f"{path}: column {header[0]!r} is the only one; an id and an answer column are expected")
    return Solution(path=path, rows=_read_rows(path, columns, answer_column))


def _holds_questions(columns: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a table has a column of long texts beside the ids and the answers."""
    id_column = find_id_column(tuple(columns))
    others = [name for name in columns if name != id_column and not is_answer_name(name)]
    texts = [name for name in others if find_kind(columns[name]) == "text" and _holds_prose(columns[name])]
    return bool(texts) and len(columns) > 2


def _holds_prose(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if not is_null(cell)]
    words = sum(len(cell.split()) > 2 or len(cell) > 20 for cell in filled)
    return bool(filled) and words >= 0.5 * len(filled)


def _read_questions(path: Path) -> Solution:
    table = read_records(path)
    if not table.labelled:
        raise BadInput(f"{path}: the questions have no answers to score against; columns {', '.join(table.columns)}")
    answers = {record.id: record.answer or answer_to_label(record) for record in table.records}
    rows = [
        SolvedRow(id=record.id, answer=answer, subject=record.subject, group=record.group)
        for record in table.records
        if (answer := answers[record.id])
    ]
    choices = {record.id: record.choices for record in table.records if record.choices}
    unsolved = len(table.records) - len(rows)
    return Solution(path=path, rows=rows, choices=choices, canonical=bool(choices), unsolved=unsolved)


def _read_rows(path: Path, columns: Mapping[str, Sequence[str]], answer_column: str | None) -> list[SolvedRow]:
    id_column = find_id_column(tuple(columns))
    refuse_missing_header(path, id_column, columns[id_column])
    by_name = {name.strip().casefold(): name for name in columns}
    extra = {
        part: next((by_name[name] for name in names if name in by_name), None)
        for part, names in {"usage": (_USAGE,), "subject": _SUBJECT_NAMES, "group": _GROUP_NAMES}.items()
    }
    extra = {part: name for part, name in extra.items() if name not in (None, id_column, answer_column)}
    answer = _find_answer_column(path, columns, answer_column, {id_column, *extra.values()})
    _refuse_several_answers(path, columns[id_column], columns[answer])
    rows = []
    for number, id in enumerate(columns[id_column], 1):
        where = f"{path}, row {number} ({id})"
        cells = {part: columns[name][number - 1] for part, name in extra.items() if name is not None}
        usage = _parse_usage(cells["usage"], where) if "usage" in cells else None
        rows.append(
            SolvedRow(
                id=id,
                answer=_check_solved_answer(columns[answer][number - 1], usage, where),
                usage=usage,
                subject=cells.get("subject") or None,
                group=cells.get("group") or None,
            )
        )
    return rows


def _find_answer_column(
    path: Path, columns: Mapping[str, Sequence[str]], name: str | None, others: set[str | None]
) -> str:
    free = [column for column in columns if column not in others]
    if name is None and len(free) == 1:
        return free[0]
    if name is not None:
        named = [column for column in free if column.strip().casefold() == name.strip().casefold()]
    else:
        exact = [column for column in free if column.strip().casefold() == "answer"]
        named = exact or [column for column in free if is_answer_name(column)]
    if len(named) == 1:
        return named[0]
    raise BadInput(
        f"{path}: no answer column {name or 'answer'!r} among {', '.join(columns)}; --answer-column names it"
    )


def _refuse_several_answers(path: Path, ids: Sequence[str], cells: Sequence[str]) -> None:
    """Raise BadInput if the right answers are labels, and one cell has several of them: no run could be right."""
    filled = [cell.strip() for cell in cells if not is_null(cell)]
    single = [cell for cell in filled if find_symbols([cell])]
    if not len(filled) / 2 <= len(single) < len(filled):
        return
    for number, (id, cell) in enumerate(zip(ids, cells, strict=True), 1):
        if not is_null(cell) and split_ranked_cells([cell.strip()]):
            raise BadInput(f"{path}, row {number} ({id}): {cell.strip()!r} has several answers; expected one")


def _parse_usage(cell: str, where: str) -> Usage:
    usage = cell.strip().capitalize()
    if usage not in get_args(Usage):
        raise BadInput(f"{where}: Usage {cell!r} is not among {', '.join(get_args(Usage))}")
    return cast(Usage, usage)


def _check_solved_answer(cell: str, usage: Usage | None, where: str) -> str:
    if is_null(cell) and usage != "Ignored":
        raise BadInput(f"{where}: the solution has no answer (found {cell!r})")
    return cell.strip()
