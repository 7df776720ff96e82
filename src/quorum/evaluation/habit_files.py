"""Measure the label habits of runs in files, against solved questions in a file."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorum.data.repair import read_clean_questions
from quorum.disk import replace_file
from quorum.errors import BadInput
from quorum.evaluation.label_habits import LabelHabits, measure_habits
from quorum.evaluation.report.charts import draw_reliability_chart
from quorum.evaluation.report_facts import Reliability
from quorum.files.answers import ballots_from_answers
from quorum.files.cells import read_cells
from quorum.files.manifest import read_manifest
from quorum.files.run_folder import RunFolder
from quorum.files.runs import read_labels, read_runs
from quorum.question import MOST_CHOICES, Question, letters


@dataclass(frozen=True)
class RunHabits:
    """A run's habits, and the share of its answers that depend on the order of the options (None: not known)."""

    habits: LabelHabits
    order_sensitive: float | None


def measure_run_files(paths: Sequence[Path], gold: Path) -> list[RunHabits]:
    """Measure every run in these files against the solved questions in `gold`."""
    runs = [
        (part, _read_order_sensitive_share(path))
        for path in paths
        for part in read_runs([path]).partition_by("run", maintain_order=True)
    ]
    answered = {label for part, _ in runs for label in part["label"].drop_nulls().unique()}
    solved = read_solved_questions(gold, answered)
    return [
        RunHabits(measure_habits(str(part["run"][0]), ballots_from_answers(part), solved), share)
        for part, share in runs
    ]


def read_solved_questions(gold: Path, answered: Collection[str]) -> list[Question]:
    """Return the questions of a file with their answers.

    A CSV of ids and answers alone has no choices: each question then offers every letter up to the last one that is a
    right answer or in `answered`.
    """
    if gold.suffix != ".csv" or len({name.casefold() for name in read_cells(gold).header} - {"usage"}) > 2:
        return read_clean_questions(gold)
    answers = read_labels(gold, "answer")
    counts = {label: count for count, label in enumerate(letters(MOST_CHOICES), 1)}
    offered = letters(max([2, *(counts.get(label, 0) for label in {*answers.values(), *answered})]))
    return [
        Question(id=id, text=id, choices=offered, answer=answer) for id, answer in answers.items() if answer in offered
    ]


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
