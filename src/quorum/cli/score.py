"""`quorum score`: score a submission against its solution."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorum.cli.options import AsJson, Column, FormText, check_seed
from quorum.cli.tables import print_table, report_line
from quorum.console import DONE, print_json

if TYPE_CHECKING:
    from quorum.evaluation.metrics import Score, Scores


def score_command(
    submission: Annotated[
        Path, typer.Argument(metavar="SUBMISSION", help="A submission in any form, or a run of any tool.")
    ],
    solution: Annotated[
        Path,
        typer.Argument(
            metavar="SOLUTION",
            help="Table of id, answer and, if known, Usage; or labelled questions, as file or folder.",
        ),
    ],
    metric: Annotated[str, typer.Option(metavar="METRIC", help="accuracy, map@K, macro-f1 or log-loss.")] = "accuracy",
    questions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Question file: adds subjects, and groups for the standard error."),
    ] = None,
    answer_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the solution, if it is not detected.")
    ] = None,
    column: Column = None,
    form: FormText = None,
    seed: Annotated[
        int, typer.Option(metavar="N", callback=check_seed, help="Seed of the simulated parts and of the bootstrap.")
    ] = 42,
    as_json: AsJson = False,
) -> int:
    """Score a submission against its solution.

    Prints standard errors, the public and the private part, and the subjects of --questions.
    """
    from dataclasses import asdict

    from quorum.competition.api import score

    scores = score(
        submission,
        solution,
        metric,
        questions=questions,
        column=column,
        answer_column=answer_column,
        form=form,
        seed=seed,
        report=report_line,
    )
    if as_json:
        print_json({"submission": str(submission), "solution": str(solution), **asdict(scores)})
    else:
        print_scores(scores, submission.name)
    return DONE


def print_scores(scores: "Scores", name: str) -> None:
    """Print the score, its parts and its subjects as one table."""
    rows: list[list[str] | None] = []

    def add(caption: str, score: "Score | None", shrunk: float | None = None) -> None:
        if score is not None:
            error = "?" if score.error is None else f"{score.error:.3f}"
            between = "?" if score.low is None else f"{score.low:.3f} to {score.high:.3f}"
            cells = [caption, f"{score.value:.3f} ± {error}", between, str(score.n), str(score.unread)]
            rows.append([*cells, "" if shrunk is None else f"{shrunk:.3f}"])

    add("all", scores.overall)
    simulated = "simulated " if scores.simulated else ""
    add(f"{simulated}public", scores.public)
    add(f"{simulated}private", scores.private)
    if scores.subjects:
        rows.append(None)
    for subject in scores.subjects:
        add(subject.subject, subject.score, subject.shrunk)
    headings = ["", "score ± error", "95 %", "n", "unread", "shrunk"]
    print_table(headings, rows, title=f"{scores.metric} of {name}", caption=scores.interval)
