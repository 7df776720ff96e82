"""Measure the label habits of runs in files, against solved questions in a file."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quorum.disk import replace_file
from quorum.errors import BadInput
from quorum.evaluation.label_habits import LabelHabits, measure_habits
from quorum.evaluation.report.charts import draw_reliability_chart
from quorum.evaluation.report_facts import Reliability
from quorum.files.answers import ballots_from_answers
from quorum.files.manifest import read_manifest
from quorum.files.run_folder import RunFolder
from quorum.files.runs import ReadingOptions, read_runs_and_solution
from quorum.files.solution import Solution, SolvedRow, read_solution
from quorum.question import MOST_CHOICES, Question, letters


@dataclass(frozen=True)
class RunHabits:
    """A run's habits, and the share of its answers that depend on the order of the options (None: not known)."""

    habits: LabelHabits
    order_sensitive: float | None


def measure_run_files(paths: Sequence[Path], gold: Path) -> list[RunHabits]:
    """Measure every run in these files against the solved questions in `gold`: id and answer, or questions."""
    solution = read_solution(gold)
    runs = []
    for path in paths:
        answers, rows = read_runs_and_solution([path], solution, ReadingOptions())
        answered = set(answers["label"].drop_nulls().unique().to_list())
        solved = make_solved_questions(solution, rows, answered)
        runs += [(part, solved, path) for part in answers.partition_by("run", maintain_order=True)]
    offered = max((len(question.choices) for _, solved, _ in runs for question in solved), default=0)
    return [
        RunHabits(
            measure_habits(str(part["run"][0]), ballots_from_answers(part), _widen(solution, solved, offered)),
            _read_order_sensitive_share(path),
        )
        for part, solved, path in runs
    ]


def make_solved_questions(solution: Solution, rows: Sequence[SolvedRow], answered: Collection[str]) -> list[Question]:
    """Return questions with these right answers.

    A solution of ids and answers alone has no choices: each question then offers every letter up to the last one that
    is a right answer or in `answered`.
    """
    counts = {label: count for count, label in enumerate(letters(MOST_CHOICES), 1)}
    offered = letters(max([2, *(counts.get(label, 0) for label in {*(row.answer for row in rows), *answered})]))
    questions = []
    for row in rows:
        choices = solution.choices.get(row.id, offered)
        if row.answer in letters(len(choices)):
            questions.append(
                Question(id=row.id, text=row.id, choices=tuple(choices), answer=row.answer, subject=row.subject)
            )
    return questions


def _widen(solution: Solution, questions: Sequence[Question], offered: int) -> list[Question]:
    """Return questions that all offer as many letters, where the solution does not list their choices."""
    if solution.choices:
        return list(questions)
    return [replace(question, choices=letters(offered)) for question in questions]


def plot_reliability(habits: Sequence[LabelHabits], path: Path) -> None:
    """Draw accuracy against confidence as a PNG, one panel for each run that gives probabilities.

    Raises:
        BadInput: no run gives probabilities.
    """
    reliabilities = [Reliability(one.run, one.read, one.bins, one.error) for one in habits if one.error is not None]
    if not reliabilities:
        raise BadInput("--plot: no run gives probabilities; a reliability diagram needs them")
    with replace_file(path) as part:
        part.write_bytes(draw_reliability_chart("reliability", "Accuracy against confidence.", reliabilities).png)


def _read_order_sensitive_share(answers: Path) -> float | None:
    path = RunFolder(answers.parent).manifest
    return read_manifest(path).order_sensitive.get(answers.stem) if path.exists() else None
