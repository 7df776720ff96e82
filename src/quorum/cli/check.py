"""`quorum check`: check a submission before Kaggle does."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from quorum.cli.options import AsJson
from quorum.cli.tables import print_line
from quorum.console import DONE, FOUND, print_json


def check_command(
    submission: Annotated[Path, typer.Argument(metavar="SUBMISSION", help="The CSV to check.")],
    sample: Annotated[Path, typer.Argument(metavar="SAMPLE", help="The competition's sample submission.")],
    questions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Question file: answers must be labels of their own question.")
    ] = None,
    form: Annotated[
        Literal["letter", "ranked", "probabilities", "index0", "index1", "text"] | None,
        typer.Option(metavar="FORM", help="How the sample writes an answer, if it is not detected."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check a submission against the sample submission.

    Exit code 1: it has problems.
    """
    from dataclasses import asdict

    from quorum.data.read import read_records
    from quorum.files.check import check_submission
    from quorum.files.submission import read_sample
    from quorum.question import letters

    expected = read_sample(sample, form=form)
    records = read_records(questions).records if questions else ()
    labels = {record.id: letters(len(record.choices)) for record in records}
    problems = check_submission(submission, expected, labels)
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
    print_line(f"{submission}: {result} ({len(expected.ids)} answers, form {expected.form})")
    return code
