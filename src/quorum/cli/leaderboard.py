"""`quorum leaderboard`: print the submissions of the ledger, best first."""

from quorum.cli.board import print_boards
from quorum.cli.options import WORKSPACE, AsJson, Ledger
from quorum.cli.tables import report_line
from quorum.console import DONE, print_json, print_text


def leaderboard_command(ledger: Ledger = WORKSPACE.ledger, as_json: AsJson = False) -> int:
    """Print the recorded submissions, best first.

    Submissions within error of the best are marked; those scored on different questions are never ranked together.
    """
    from dataclasses import asdict

    from quorum.evaluation.ledger import make_leaderboard, read_ledger

    boards = make_leaderboard(read_ledger(ledger, report_line))
    if as_json:
        print_json({"ledger": str(ledger), "boards": [asdict(board) for board in boards]})
    elif boards:
        print_boards(boards)
    else:
        print_text(f"{ledger}: no submissions yet; `quorum submit` makes the first")
    return DONE
