"""A submission (or a run's answers) and its solution, read for scoring."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from quorum.ballot import Ballot
from quorum.errors import BadInput, list_some
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.cells import Cells, cell_number, find_id_column, is_null, read_cells
from quorum.files.submission import find_column_labels
from quorum.question import Question

Usage = Literal["Public", "Private", "Ignored"]

_USAGE = "usage"


@dataclass(frozen=True, slots=True)
class SolvedRow:
    """One row of a solution: the answer that counts, and what the question belongs to."""

    id: str
    answer: str
    usage: Usage | None = None
    subject: str | None = None
    group: str | None = None


def make_solution(questions: Sequence[Question]) -> list[SolvedRow]:
    """The solution that labelled questions carry.

    Raises:
        BadInput: a question has no answer.
    """
    unknown = [question.id for question in questions if question.answer is None]
    if unknown:
        raise BadInput(f"{len(unknown)} questions have no answer to score against: {list_some(unknown)}")
    return [SolvedRow(q.id, q.answer or "", None, q.subject, q.group) for q in questions]


def read_ballots(path: Path) -> dict[str, Ballot]:
    """The ballots in a submission: id -> label -> weight; a cell that is empty or reads as null is unread.

    One answer column is a label, or letters in their order ("A C B": weights 1, 1/2, 1/3; a repeated one is ignored);
    several are probabilities, their labels as `find_column_labels` tells them. A Parquet file holds a run's answers.

    Raises:
        BadInput: not a CSV file, no answer column, an id twice, a probability that is no number or negative, answers of
            several runs.
    """
    if path.suffix == ".parquet":
        answers = read_answers(path)
        if len(names := answers["run"].unique(maintain_order=True).to_list()) != 1:
            raise BadInput(f"{path}: {len(names)} runs ({list_some(names)}), where one is expected")
        return ballots_from_answers(answers)
    table = read_cells(path)
    rows = table.whole_rows()
    id_at = _id_at(table)
    names = [name for name in table.header if name != table.header[id_at]]
    labels = find_column_labels(names) if len(names) > 1 else ()
    ballots: dict[str, Ballot] = {}
    for number, row in enumerate(rows, 1):
        id, cells = row[id_at], row[:id_at] + row[id_at + 1 :]
        where = f"{path}, row {number} ({id})"
        if id in ballots:
            raise BadInput(f"{where}: the id stands more than once")
        ballots[id] = _probability_ballot(cells, labels, where) if labels else parse_ballot_cell(cells[0])
    return ballots


def parse_ballot_cell(cell: str) -> Ballot:
    """The ballot that one cell casts: letters in their order, or the whole text as one answer; null casts none."""
    if is_null(cell):
        return {}
    words = cell.split()
    if not all(re.fullmatch("[A-Z]", word) for word in words):
        return {cell.strip(): 1.0}
    return {word: 1 / place for place, word in enumerate(dict.fromkeys(words), 1)}


def read_solution(path: Path, answer_column: str | None = None) -> list[SolvedRow]:
    """The rows of a solution: columns id, answer and, as on Kaggle, Usage (Public, Private, Ignored).

    The answer column is `answer_column` if given, else the only other column, else the one called "answer".

    Raises:
        BadInput: not a CSV file, no such columns, an empty answer, another Usage.
    """
    table = read_cells(path)
    rows = table.whole_rows()
    id_at, usage_at = _id_at(table), _usage_at(table)
    answer_at = _answer_at(table, answer_column, {id_at, usage_at})
    return [
        SolvedRow(row[id_at], _solved_answer(row[answer_at], usage, where), usage)
        for where, row in ((f"{path}, row {number} ({row[id_at]})", row) for number, row in enumerate(rows, 1))
        for usage in [None if usage_at is None else _usage(row[usage_at], where)]
    ]


def _id_at(table: Cells) -> int:
    if len(table.header) < 2:
        raise BadInput(f"{table.path}: one column {table.header[0]!r}, where an id and an answer are expected")
    return table.header.index(find_id_column(table.header))


def _usage_at(table: Cells) -> int | None:
    return next((at for at, name in enumerate(table.header) if name.casefold() == _USAGE), None)


def _answer_at(table: Cells, name: str | None, taken: set[int | None]) -> int:
    others = [at for at in range(len(table.header)) if at not in taken]
    if name is None and len(others) == 1:
        return others[0]
    named = [at for at in others if table.header[at].casefold() == (name or "answer").casefold()]
    if len(named) == 1:
        return named[0]
    raise BadInput(f"{table.path}: no answer column {name or 'answer'!r} among {', '.join(table.header)}")


def _usage(cell: str, where: str) -> Usage:
    if cell not in get_args(Usage):
        raise BadInput(f"{where}: Usage {cell!r} is not among {', '.join(get_args(Usage))}")
    return cast(Usage, cell)


def _solved_answer(cell: str, usage: Usage | None, where: str) -> str:
    if is_null(cell) and usage != "Ignored":
        raise BadInput(f"{where}: the solution has no answer (found {cell!r})")
    return cell.strip()


def _probability_ballot(cells: list[str], labels: tuple[str, ...], where: str) -> Ballot:
    if all(is_null(cell) for cell in cells):
        return {}
    ballot = {}
    for label, cell in zip(labels, cells, strict=True):
        share = cell_number(cell)
        if share is None or share < 0:
            raise BadInput(f"{where}: probability of {label} is {cell!r}, where a number from 0 to 1 is expected")
        ballot[label] = share
    return ballot
