"""`quorum submit`: answer, check and score a competition's submissions."""

import shlex
from typing import TYPE_CHECKING

from quorum.cli.board import print_boards, print_ladder
from quorum.cli.options import (
    WORKSPACE,
    AsJson,
    FoldCount,
    Folder,
    FormText,
    Fresh,
    HeldOut,
    Hours,
    Members,
    Models,
    SplitSeed,
    Submissions,
    TestAnswers,
)
from quorum.cli.tables import print_line, report_line
from quorum.competition.workspace import Workspace
from quorum.console import DONE, FOUND, print_json

if TYPE_CHECKING:
    from quorum.competition.submit import SubmissionResult


def submit_command(
    folder: Folder,
    member: Members = None,
    model: Models = None,
    hours: Hours = None,
    held_out: HeldOut = 0.25,
    seed: SplitSeed = 42,
    submissions: Submissions = WORKSPACE.submissions,
    form: FormText = None,
    fresh: Fresh = False,
    folds: FoldCount = None,
    test_by: TestAnswers = "refit",
    as_json: AsJson = False,
) -> int:
    """Answer, check and score a competition's submissions.

    Reads and repairs the files, holds out a part of train, lets the members answer the held-out and the test questions,
    and writes one submission for each member, for their vote and for the prior (the most frequent label). --json prints
    their ledger entries.

    Killed at any point and started again, it goes on where it was. Replies, trained models and votes are kept in
    runs/NAME, and are reused, which is reported, until their rows, settings, models or library versions change. To free
    the disk, delete runs/NAME.

    With --folds K every label is used to learn and to score: each question is answered by members that saw neither it
    nor a near-duplicate of it. A member that learns takes about K + 1 times as long.

    Exit code 1: a submission has problems.
    """
    from dataclasses import asdict

    from quorum.competition.submit import submit_competition

    workspace = Workspace(submissions_folder=submissions)
    result = submit_competition(
        folder,
        workspace,
        members=member or [],
        models=model or [],
        hours=hours,
        held_out=held_out,
        seed=seed,
        form=form,
        fresh=fresh,
        folds=folds,
        test_by=test_by,
        report=report_line,
    )
    if as_json:
        print_json([asdict(entry) for entry in result.entries])
    else:
        print_line("")
        print_result(result)
        name = shlex.quote(result.prepared.name)
        print_line(f"next: quorum report {shlex.quote(str(folder))} (one page), or quorum send {name} (to Kaggle)")
    return DONE if result.complete else FOUND


def print_result(result: "SubmissionResult") -> None:
    """Print the leaderboard, the gain of each addition, and the best submission."""
    print_boards(result.boards)
    if result.ladder is not None:
        print_line("")
        print_ladder(result.ladder)
    for line in () if result.ladder else result.differences:
        print_line(line)
    if (best := result.best) is not None:
        error = f" ± {best.held_out.error:.3f}" if best.held_out.error is not None else ""
        score = f"held-out {best.metric} {best.held_out.value:.3f}{error} (n = {best.held_out.n})"
        path = result.prepared.workspace.submissions / best.submission
        print_line(f"\nbest: {path}, {score}, {best.unread_test} answers filled from the prior")
