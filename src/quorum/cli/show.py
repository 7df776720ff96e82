"""`quorum show`: print one question as a run's model saw it."""

from typing import Annotated

import typer

from quorum.cli.options import WORKSPACE, AsJson
from quorum.console import DONE, print_json, print_text


def show_command(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Name of a run of the workspace, COMPETITION/NAME, or its folder.")
    ],
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of the question.")],
    as_json: AsJson = False,
) -> int:
    """Print one question as a run's model saw it.

    Shows what was retrieved, with scores; each prompt and each reply, with what was parsed from it and why; the order
    of the options, votes, verdicts, and the resulting ballot. Control characters in texts are printed as \\x1b.
    """
    from dataclasses import asdict

    from quorum.competition.find_run import find_run, show_question

    found = show_question(WORKSPACE, find_run(WORKSPACE, run), id)
    if as_json:
        print_json([asdict(question) for question in found])
        return DONE
    for question in found:
        print_text(f"question {question.id} of run {question.run}, {question.file}")
        for part in question.parts:
            print_text(f"\n{part.title}{': ' if part.note else ''}{part.note}")
            for line in part.text.split("\n") if part.text else ():
                print_text(f"    {line}".rstrip())
        print_text("")
    return DONE
