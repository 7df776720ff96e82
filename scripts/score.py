"""Scores a submission against its solution, with standard error, interval, subjects and public and private parts."""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.console import DONE, print_json, run_program
from quorum.errors import BadInput

if TYPE_CHECKING:
    from quorum.evaluation.metrics import Score, Scores
    from quorum.files.solution import SolvedRow


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="exit code: 0 scored, 2 unreadable input")
    parser.add_argument("submission", type=Path, help="the CSV to score, or a run's answers as Parquet")
    parser.add_argument("solution", type=Path, help="CSV: id, answer and, if known, Usage (Public, Private, Ignored)")
    parser.add_argument(
        "--metric", default="accuracy", help="accuracy, map@K, macro-f1 or log-loss (default %(default)s)"
    )
    parser.add_argument(
        "--questions", type=Path, help="question file: adds subjects, and groups for the standard error"
    )
    parser.add_argument("--answer-column", help="of the solution, where it can not be told")
    parser.add_argument(
        "--seed", type=int, default=42, help="of the simulated parts and the bootstrap (default %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    given = parser.parse_args()

    from quorum.evaluation.metrics import check_metric, score_answers
    from quorum.files.solution import read_ballots, read_solution

    check_metric(given.metric)
    solution = read_solution(given.solution, given.answer_column)
    if given.questions and solution:
        solution = with_subjects(solution, given.questions)
    scores = score_answers(read_ballots(given.submission), solution, given.metric, given.seed)
    if given.json:
        print_json({"submission": str(given.submission), "solution": str(given.solution), **asdict(scores)})
    else:
        show_scores(scores, given.submission.name)
    return DONE


def with_subjects(solution: "list[SolvedRow]", questions: Path) -> "list[SolvedRow]":
    """The solution with each question's subject and group."""
    from quorum.data.read import read_records

    known = {record.id: record for record in read_records(questions).records}
    if not any(row.id in known for row in solution):
        raise BadInput(f"{questions}: it has none of the solution's ids, such as {solution[0].id!r}")
    return [
        replace(row, subject=known[row.id].subject, group=known[row.id].group) if row.id in known else row
        for row in solution
    ]


def show_scores(scores: "Scores", name: str) -> None:
    """The score, its parts and its subjects as one table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{scores.metric} of {name}"), caption=scores.interval, box=box.SIMPLE_HEAD, padding=0)
    table.add_column("")
    for heading in ("score ± error", "95 %", "n", "unread", "shrunk"):
        table.add_column(heading, justify="right", no_wrap=True)

    def row(caption: str, score: "Score | None", shrunk: float | None = None) -> None:
        if score is not None:
            error = "?" if score.error is None else f"{score.error:.3f}"
            between = "?" if score.low is None else f"{score.low:.3f} to {score.high:.3f}"
            cells = f"{score.value:.3f} ± {error}", between, str(score.n), str(score.unread)
            table.add_row(Text(caption), *cells, "" if shrunk is None else f"{shrunk:.3f}")

    row("all", scores.overall)
    drawn = "simulated " if scores.simulated else ""
    row(f"{drawn}public", scores.public)
    row(f"{drawn}private", scores.private)
    table.add_section()
    for subject in scores.subjects:
        row(subject.subject, subject.score, subject.shrunk)
    Console().print(table)


if __name__ == "__main__":
    run_program(main)
