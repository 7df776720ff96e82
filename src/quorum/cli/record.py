"""`quorum record`: score runs that were made elsewhere, and add them to the ledger."""

from pathlib import Path
from typing import Annotated

import typer

from quorum.cli.options import WORKSPACE, AsJson, Folder, FormText, HeldOut, SplitSeed, Submissions
from quorum.cli.submit import print_result
from quorum.cli.tables import report_line
from quorum.competition.workspace import Workspace
from quorum.console import DONE, FOUND, print_json


def record_command(
    folder: Folder,
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN", help="Folders with test.parquet and heldout.parquet, as runs/kaggle/quorum-causal/v1."
        ),
    ],
    held_out: HeldOut = 0.25,
    seed: SplitSeed = 42,
    submissions: Submissions = WORKSPACE.submissions,
    form: FormText = None,
    as_json: AsJson = False,
) -> int:
    """Score runs that were made elsewhere, and record them.

    Writes their submissions and ledger entries, as quorum submit does. --seed and --held-out have to be those of the
    split whose held-out questions the runs answered. --json prints the new ledger entries.

    Exit code 1: a submission has problems.
    """
    from dataclasses import asdict

    from quorum.competition.folder import find_competition
    from quorum.competition.lock import lock_competition
    from quorum.competition.prepare import prepare_competition
    from quorum.competition.record import read_finished_run
    from quorum.competition.submit import record_runs

    workspace = Workspace(submissions_folder=submissions)
    competition = find_competition(folder, form)
    with lock_competition(workspace, competition.name, report_line):
        prepared = prepare_competition(competition, workspace, held_out, seed, report_line)
        result = record_runs(prepared, [read_finished_run(path) for path in runs], report_line)
    print_json([asdict(entry) for entry in result.entries]) if as_json else print_result(result)
    return DONE if result.complete else FOUND
