"""Prints the local leaderboard: the ledger's submissions, best first, ties within error marked."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.door import DONE, enter, show_json

if TYPE_CHECKING:
    from rich.console import Console

    from quorum.score.ledger import Board, Standing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledger", type=Path, default=Path("submissions/ledger.jsonl"), help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    given = parser.parse_args()

    import sys

    from quorum.score.ledger import leaderboard, read_ledger

    boards = leaderboard(read_ledger(given.ledger, lambda line: print(line, file=sys.stderr)))
    if given.json:
        show_json({"ledger": str(given.ledger), "boards": [asdict(board) for board in boards]})
    elif boards:
        show_boards(boards)
    else:
        print(f"{given.ledger}: no submissions yet; `make submit` makes the first")
    return DONE


def show_boards(boards: "list[Board]") -> None:
    """One table a board: runs scored on different questions are not ranked together."""
    from rich.console import Console

    console = Console()
    if len(boards) > 1:
        console.print(f"{len(boards)} boards: runs scored on different questions, or by another metric, do not compare")
    for board in boards:
        show_board(board, console)


def show_board(board: "Board", console: "Console") -> None:
    """One board as a table that fits into 80 columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    looks = len(board.standings)
    table = Table(
        title=Text(f"{board.metric} · data {board.data[:8]} · split {board.split[:8]} · looked at {looks} times"),
        caption="≈ not told from the best: within 1.96 standard errors, as if unpaired · unread: held-out+test",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    public = any(standing.entry.public is not None for standing in board.standings)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("run", overflow="fold")
    for heading in ("held-out ± error", "95 %", "n", "unread", *(["public"] if public else []), "look"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("when", no_wrap=True)
    table.add_column("commit", no_wrap=True)
    for standing in board.standings:
        table.add_row(*cells(standing, public))
    console.print(table)


def cells(standing: "Standing", public: bool) -> list[str]:
    """A standing as the cells of its row; unread is held-out + test."""
    from rich.markup import escape

    entry, score = standing.entry, standing.entry.held_out
    error = "?" if score.error is None else f"{score.error:.3f}"
    seen = "" if entry.public is None else f"{entry.public:.3f}"
    return [
        f"{standing.rank}{' ≈' if standing.tied else '  '}",
        escape(entry.name),
        f"{score.value:.3f} ± {error}",
        "?" if score.low is None else f"{score.low:.3f}–{score.high:.3f}",
        str(score.n),
        f"{score.unread}+{entry.unread_test}",
        *([seen] if public else []),
        str(standing.look),
        escape(entry.when[5:16].replace("T", " ")),
        escape(entry.commit[:7]),
    ]


if __name__ == "__main__":
    enter(main)
