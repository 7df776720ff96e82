"""`quorum check`: check a submission before Kaggle does."""

from pathlib import Path
from typing import Annotated

import typer

from quorum.cli.options import AsJson, FormText
from quorum.cli.tables import print_line
from quorum.console import DONE, FOUND, print_json


def check_command(
    submission: Annotated[Path, typer.Argument(metavar="SUBMISSION", help="The CSV to check.")],
    sample: Annotated[Path, typer.Argument(metavar="SAMPLE", help="The competition's sample submission.")],
    questions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Question file: answers must be labels of their own question.")
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Solved questions: how answers are written where the sample has placeholders."
        ),
    ] = None,
    form: FormText = None,
    as_json: AsJson = False,
) -> int:
    """Check a submission against the sample submission.

    Exit code 1: it has problems.
    """
    from dataclasses import asdict

    from quorum.competition.api import read_expected
    from quorum.files.check import check_submission

    expected, labels, choices = read_expected(sample, questions=questions, train=train, form=form)
    problems = check_submission(submission, expected, labels, choices)
    code = FOUND if problems else DONE
    if as_json:
        print_json({"submission": str(submission), "problems": [asdict(problem) for problem in problems]})
        return code
    for problem in problems:
        print_line(f"{problem.code}: {problem.message} ({problem.count})")
        for place in problem.places:
            row = "file" if place.row is None else f"row {place.row}"
            print_line(f"  {row}{'' if place.id is None else f' ({place.id})'}: {place.found}")
    result = f"{len(problems)} kinds of problems" if problems else "clean"
    print_line(f"{submission}: {result} ({len(expected.ids)} rows; {expected.describe()})")
    if expected.form == "any":
        print_line(
            "hint: the sample does not show how answers are written; --train FILE or --form lets them be checked"
        )
    return code
