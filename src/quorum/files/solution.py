"""Read submissions (or runs' answers) and solutions for scoring."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args

from quorum.ballot import Ballot
from quorum.data.read import read_records
from quorum.errors import BadInput, list_some
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.cells import Cells, find_id_column, is_null, parse_cell_number, read_cells
from quorum.files.sample_columns import find_column_labels
from quorum.question import Question

Usage = Literal["Public", "Private", "Ignored"]

_USAGE = "usage"


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedRow:
    """One row of a solution: the right answer, and the part of the leaderboard, subject and group of its question."""

    id: str
    answer: str
    usage: Usage | None = None
    subject: str | None = None
    group: str | None = None


def make_solution(questions: Sequence[Question]) -> list[SolvedRow]:
    """Return the answers of labelled questions as a solution.

    Raises:
        BadInput: a question has no answer.
    """
    unknown = [question.id for question in questions if question.answer is None]
    if unknown:
        raise BadInput(f"{len(unknown)} questions have no answer to score against: {list_some(unknown)}")
    return [SolvedRow(id=q.id, answer=q.answer or "", usage=None, subject=q.subject, group=q.group) for q in questions]


def add_subjects(solution: Sequence[SolvedRow], questions: Path) -> list[SolvedRow]:
    """Return the solution with each question's subject and group, read from a question file.

    Raises:
        BadInput: the file has none of the solution's ids.
    """
    known = {record.id: record for record in read_records(questions).records}
    if not any(row.id in known for row in solution):
        raise BadInput(f"{questions}: none of the solution's ids, such as {solution[0].id!r}, is in the file")
    return [
        replace(row, subject=known[row.id].subject, group=known[row.id].group) if row.id in known else row
        for row in solution
    ]


def read_ballots(path: Path) -> dict[str, Ballot]:
    """Return the ballots in a submission by question id; a cell that is empty or reads as null is unread.

    One answer column holds a label, or letters in order ("A C B": weights 1, 1/2, 1/3; repeated letters are ignored).
    Several are probabilities, with the labels of `find_column_labels`. A Parquet file holds a run's answers.

    Raises:
        BadInput: the file is not a CSV file or has no answer column, an id occurs twice, a probability is negative or
            not a number, or there are answers of several runs.
    """
    if path.suffix == ".parquet":
        answers = read_answers(path)
        if len(names := answers["run"].unique(maintain_order=True).to_list()) != 1:
            raise BadInput(f"{path}: {len(names)} runs ({list_some(names)}); one is expected")
        return ballots_from_answers(answers)
    table = read_cells(path)
    rows = table.check_rows()
    id_index = _find_id_index(table)
    names = [name for name in table.header if name != table.header[id_index]]
    labels = find_column_labels(names) if len(names) > 1 else ()
    ballots: dict[str, Ballot] = {}
    for number, row in enumerate(rows, 1):
        id, cells = row[id_index], row[:id_index] + row[id_index + 1 :]
        where = f"{path}, row {number} ({id})"
        if id in ballots:
            raise BadInput(f"{where}: the id occurs more than once")
        ballots[id] = _parse_probabilities(cells, labels, where) if labels else parse_ballot_cell(cells[0])
    return ballots


def parse_ballot_cell(cell: str) -> Ballot:
    """Return the ballot in one cell: letters in order, or the whole text as one answer; a null cell is unread."""
    if is_null(cell):
        return {}
    words = cell.split()
    if not all(re.fullmatch("[A-Z]", word) for word in words):
        return {cell.strip(): 1.0}
    return {word: 1 / rank for rank, word in enumerate(dict.fromkeys(words), 1)}


def read_solution(path: Path, answer_column: str | None = None) -> list[SolvedRow]:
    """Return the rows of a solution: columns id, answer and, as on Kaggle, Usage (Public, Private, Ignored).

    The answer column is `answer_column` if given, else the only other column, else the one named "answer".

    Raises:
        BadInput: the file is not a CSV file, a column is missing, an answer is empty, or a Usage is unknown.
    """
    table = read_cells(path)
    rows = table.check_rows()
    id_index, usage_index = _find_id_index(table), _find_usage_index(table)
    answer_index = _find_answer_index(table, answer_column, {id_index, usage_index})
    return [
        SolvedRow(id=row[id_index], answer=_check_solved_answer(row[answer_index], usage, where), usage=usage)
        for where, row in ((f"{path}, row {number} ({row[id_index]})", row) for number, row in enumerate(rows, 1))
        for usage in [None if usage_index is None else _parse_usage(row[usage_index], where)]
    ]


def _find_id_index(table: Cells) -> int:
    if len(table.header) < 2:
        raise BadInput(
            f"{table.path}: column {table.header[0]!r} is the only one; an id and an answer column are expected"
        )
    return table.header.index(find_id_column(table.header))


def _find_usage_index(table: Cells) -> int | None:
    return next((index for index, name in enumerate(table.header) if name.casefold() == _USAGE), None)


def _find_answer_index(table: Cells, name: str | None, others: set[int | None]) -> int:
    free = [index for index in range(len(table.header)) if index not in others]
    if name is None and len(free) == 1:
        return free[0]
    named = [index for index in free if table.header[index].casefold() == (name or "answer").casefold()]
    if len(named) == 1:
        return named[0]
    raise BadInput(f"{table.path}: no answer column {name or 'answer'!r} among {', '.join(table.header)}")


def _parse_usage(cell: str, where: str) -> Usage:
    if cell not in get_args(Usage):
        raise BadInput(f"{where}: Usage {cell!r} is not among {', '.join(get_args(Usage))}")
    return cast(Usage, cell)


def _check_solved_answer(cell: str, usage: Usage | None, where: str) -> str:
    if is_null(cell) and usage != "Ignored":
        raise BadInput(f"{where}: the solution has no answer (found {cell!r})")
    return cell.strip()


def _parse_probabilities(cells: list[str], labels: tuple[str, ...], where: str) -> Ballot:
    if all(is_null(cell) for cell in cells):
        return {}
    ballot = {}
    for label, cell in zip(labels, cells, strict=True):
        share = parse_cell_number(cell)
        if share is None or share < 0:
            raise BadInput(f"{where}: the probability of {label} is {cell!r}; allowed are numbers from 0 to 1")
        ballot[label] = share
    return ballot
