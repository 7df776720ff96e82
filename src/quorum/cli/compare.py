"""`quorum compare`: compare runs question by question."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorum.cli.board import print_differences
from quorum.cli.options import AsJson, FormText, QuestionFile, check_seed
from quorum.cli.tables import print_line, print_table, report_line
from quorum.console import DONE, print_json

if TYPE_CHECKING:
    from quorum.evaluation.compare import Comparison


def compare_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Two or more runs, in one file or several.")],
    gold: Annotated[Path, typer.Option(metavar="FILE", help="Table of id and answer, or labelled questions.")],
    groups: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV of id and group: questions that belong together.")
    ] = None,
    questions: QuestionFile = None,
    form: FormText = None,
    metric: Annotated[str, typer.Option(metavar="METRIC", help="accuracy, map@K, macro-f1 or log-loss.")] = "accuracy",
    seed: Annotated[int, typer.Option(metavar="N", callback=check_seed, help="Seed of macro-F1's bootstrap.")] = 42,
    as_json: AsJson = False,
) -> int:
    """Compare runs question by question.

    Prints errors, tests and the smallest difference that n questions can show. A run is an answers file (.parquet), or
    a table of id and label (or of several, the best first, as in "B A C"), of id and one label column for each run, or
    of id and one probability column for each choice.
    Two runs are compared as first minus second; of more, the best with each other one.
    """
    from dataclasses import asdict

    from quorum.competition.api import compare

    found = compare(runs, gold, metric, groups=groups, questions=questions, form=form, seed=seed, report=report_line)
    print_json(asdict(found)) if as_json else print_comparison(found)
    return DONE


def print_comparison(found: "Comparison") -> None:
    """Print the runs, best first, and their differences."""
    best, *others = found.runs
    marks = [""] + ["≈" if run.tied else "" for run in others]
    rows = [[run.run, f"{run.value:.4f}", mark] for run, mark in zip([best, *others], marks, strict=True)]
    title = f"{found.metric} over {found.n} questions" + ("; ≈ within error of the best" if any(marks) else "")
    print_table(["run", found.metric, ""], rows, title=title)
    print_line("")
    print_differences(found.pairs)
