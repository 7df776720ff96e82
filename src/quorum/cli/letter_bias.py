"""`quorum letter-bias`: print which letters a model prefers, and its calibration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorum.cli.options import AsJson
from quorum.cli.tables import print_line, print_table
from quorum.console import DONE, print_json

if TYPE_CHECKING:
    from quorum.evaluation.habit_files import RunHabits


def letter_bias_command(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Answers files (.parquet), or CSVs as for quorum compare."),
    ],
    gold: Annotated[Path, typer.Option(metavar="FILE", help="Solved questions, or a CSV of id and answer.")],
    plot: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Write a picture of accuracy against confidence, a panel for each run."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Print which letters a model prefers, and its calibration.

    For runs that asked questions in several orders of their options ([refine.shuffle]) it also prints how many answers
    depend on the order; this is read from run.json beside the answers.
    """
    from dataclasses import asdict

    from quorum.evaluation.habit_files import measure_run_files, plot_reliability

    measured = measure_run_files(runs, gold)
    if plot:
        plot_reliability([run.habits for run in measured], plot)
    if as_json:
        print_json([asdict(run.habits) | {"order_sensitive": run.order_sensitive} for run in measured])
    else:
        for run in measured:
            print_habits(run)
    return DONE


def print_habits(run: "RunHabits") -> None:
    """Print one line on a run's accuracy and calibration, and a table with one row for each letter."""
    habits, share = run.habits, run.order_sensitive
    confidence = "" if habits.error is None else f", ECE {habits.error:.4f}, NLL {habits.loss:.4f}"
    order = "" if share is None else f", {share:.1%} of the answers depend on the order"
    print_line(
        f"{habits.run}: {habits.read} of {habits.n} read, {habits.accuracy:.4f} of them right{confidence}{order}"
    )
    rows = [[one.letter, str(one.count), f"{one.right:.3f}", f"{one.answered:.3f}"] for one in habits.letters]
    print_table(["letter", "questions", "right", "answered"], rows)
    print_line("")
