"""Prints the local leaderboard: the ledger's submissions, best first, ties within error marked."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.console import DONE, print_json, run_program

if TYPE_CHECKING:
    from rich.console import Console

    from quorum.evaluation.ledger import Board, BoardRow


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledger", type=Path, default=Path("submissions/ledger.jsonl"), help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    given = parser.parse_args()

    import sys

    from quorum.evaluation.ledger import make_leaderboard, read_ledger

    boards = make_leaderboard(read_ledger(given.ledger, lambda line: print(line, file=sys.stderr)))
    if given.json:
        print_json({"ledger": str(given.ledger), "boards": [asdict(board) for board in boards]})
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
        console.print(f"{len(boards)} boards: scores on different questions, or of different metrics, do not compare\n")
    for board in boards:
        show_board(board, console)
    console.print("score: held-out   unread: held-out + test   eval.: evaluations of this held-out set")
    console.print("≈ within error of the best: 1.96 standard errors, as if unpaired")


def show_board(board: "Board", console: "Console") -> None:
    """One board as a table that fits into 80 columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    entries = [standing.entry for standing in board.standings]
    sizes = "/".join(str(n) for n in sorted({entry.held_out.n for entry in entries}))
    table = Table(
        title=Text(
            f"{board.metric} · n {sizes} · data {board.data[:8]} · split {board.split[:8]} · {evaluations(board)}"
        ),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=0,
    )
    public = any(entry.public is not None for entry in entries)
    table.add_column("#", no_wrap=True)
    table.add_column("run", overflow="fold")
    for heading in ("score ± error", "95 %", "unread", *(["public"] if public else []), "eval.", "when", "commit"):
        table.add_column(heading, justify="right", no_wrap=True)
    for standing in board.standings:
        table.add_row(*map(Text, cells(standing, public)))
    console.print(table)
    console.print()


def evaluations(board: "Board") -> str:
    count = max(standing.evaluations for standing in board.standings)
    return "evaluated once" if count == 1 else f"evaluated {count} times"


def cells(standing: "BoardRow", public: bool) -> list[str]:
    """A standing as the cells of its row."""
    entry, score = standing.entry, standing.entry.held_out
    error = "?" if score.error is None else f"{score.error:.3f}"
    seen = "" if entry.public is None else f"{entry.public:.3f}"
    return [
        f"{standing.rank}{'≈' if standing.tied else ''}",
        entry.name,
        f"{score.value:.3f} ± {error}",
        "?" if score.low is None else f"{score.low:.3f}–{score.high:.3f}",
        f"{score.unread}+{entry.unread_test}",
        *([seen] if public else []),
        str(standing.evaluations),
        entry.when[5:10],
        entry.commit[:7],
    ]


if __name__ == "__main__":
    run_program(main)
