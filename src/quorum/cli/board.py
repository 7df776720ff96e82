"""Print leaderboards, ladders and where to go from them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quorum.cli.tables import print_line, print_table

if TYPE_CHECKING:
    from quorum.competition.ladder import Ladder
    from quorum.evaluation.ledger import Board, BoardRow

_NOTES = (
    "score: held-out; unread: held-out + test; look: evaluations of these questions",
    "≈ within error of the best: 1.96 standard errors, as if unpaired",
)


def print_boards(boards: "Sequence[Board]") -> None:
    """Print one table for each board; runs scored on different questions are never ranked together."""
    if len(boards) > 1:
        print_line(f"{len(boards)} boards: scores on different questions, or of different metrics, do not compare\n")
    for board in boards:
        entries = [row.entry for row in board.standings]
        public = any(entry.public is not None for entry in entries)
        sizes = "/".join(str(n) for n in sorted({entry.held_out.n for entry in entries}))
        name = ", ".join(sorted({entry.competition for entry in entries} - {""})) or "leaderboard"
        versions = f"data {board.data[:8]}, split {board.split[:8]}" if len(boards) > 1 else ""
        headings = ["#", "run", "score ± error", "95 %", "unread", *(["public"] if public else [])]
        print_table(
            [*headings, "look", "when", "commit"],
            [_board_cells(row, public) for row in board.standings],
            title=f"{name}: {board.metric}, n = {sizes}, {_describe_looks(board)}",
            caption=versions,
        )
        print_line("")
    print_line("\n".join(_NOTES))


def print_ladder(ladder: "Ladder") -> None:
    """Print the stages that were tried as a table, and one line on those that were not."""
    from quorum.competition.ladder import LADDER_COLUMNS, describe_outcome, describe_skipped, list_ladder_rows

    title = f"{ladder.metric} over {ladder.n} held-out questions; each stage on top of those kept before it"
    print_table(LADDER_COLUMNS, list_ladder_rows(ladder), title=title)
    for line in (describe_skipped(ladder), describe_outcome(ladder)):
        if line:
            print_line(line)


def _describe_looks(board: "Board") -> str:
    looks = max(row.look for row in board.standings)
    return "evaluated once" if looks == 1 else f"evaluated {looks} times"


def _board_cells(row: "BoardRow", public: bool) -> list[str]:
    entry, score = row.entry, row.entry.held_out
    error = "?" if score.error is None else f"{score.error:.3f}"
    seen = "" if entry.public is None else f"{entry.public:.3f}"
    return [
        f"{row.rank}{'≈' if row.tied else ''}",
        entry.name,
        f"{score.value:.3f} ± {error}",
        "?" if score.low is None else f"{score.low:.3f}–{score.high:.3f}",
        f"{score.unread}+{entry.unread_test}",
        *([seen] if public else []),
        str(row.look),
        entry.when[5:10],
        entry.commit[:7],
    ]
