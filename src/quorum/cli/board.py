"""Print leaderboards, ladders and paired differences."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from quorum.cli.tables import print_line, print_table

if TYPE_CHECKING:
    from quorum.competition.ladder import Ladder
    from quorum.evaluation.compare import PairedDifference
    from quorum.evaluation.ledger import Board, BoardRow, Entry

_OPTIONAL = ("public", "commit")  # columns that are left out when empty; a commit of all rows is in the title
_NOTES = (
    "score: held-out; unread: held-out + test; eval.: evaluations of these questions",
    "≈ within error of the best: 1.96 standard errors, as if unpaired",
)


def print_boards(boards: "Sequence[Board]") -> None:
    """Print one table for each board; runs scored on different questions are never ranked together."""
    from quorum.evaluation.ledger import find_shared_names

    if len(boards) > 1:
        print_line(f"{len(boards)} boards: scores on different questions, or of different metrics, do not compare\n")
    for board in boards:
        entries = [row.entry for row in board.standings]
        sizes = "/".join(str(n) for n in sorted({entry.held_out.n for entry in entries}))
        name = board.competition or "leaderboard"
        cells = [_format_board_row(row) for row in board.standings]
        evaluated = f"{_describe_evaluations(board)}{_describe_shared_commit(cells)}"
        versions = f"data {board.data[:8]}, split {board.split[:8]}" if len(boards) > 1 else ""
        shown = [column for column in cells[0] if column not in _OPTIONAL or _is_informative(column, cells)]
        print_table(
            shown,
            [[row[column] for column in shown] for row in cells],
            title=f"{name}: {board.metric}, n = {sizes}{_describe_folds(entries)}, {evaluated}",
            caption=versions,
        )
        print_line("")
    for name in find_shared_names(boards):
        print_line(f"{name}: boards of different data have this name: two folders, or files that changed; kept apart")
    print_line("\n".join(_NOTES))


def print_ladder(ladder: "Ladder") -> None:
    """Print a table of the tried stages, and one line on the others."""
    from quorum.competition.ladder_text import LADDER_COLUMNS, list_ladder_notes, list_ladder_rows

    title = f"each stage on top of those kept before it: {ladder.metric}, n = {ladder.n}"
    print_table(LADDER_COLUMNS, list_ladder_rows(ladder), title=title)
    for line in list_ladder_notes(ladder):
        print_line(line)


def print_differences(pairs: "Sequence[PairedDifference]") -> None:
    """Print one row for each paired difference."""
    rows = []
    for pair in pairs:
        only = "" if pair.only_first is None else f"{pair.only_first} : {pair.only_second}"
        smallest = f"{pair.smallest:.4f}" if pair.error else "?"  # the runs never differ
        difference = f"{pair.difference:+.4f} ± {pair.error:.4f}"
        rows.append([f"{pair.first} - {pair.second}", difference, only, f"{pair.adjusted:.2g}", smallest])
    print_table(["difference of", "value", "only one right", "Holm p", "detectable"], rows)
    tests = " and ".join(dict.fromkeys(pair.test for pair in pairs))
    print_line(f"p: {tests}; detectable: found four times in five by a test at 5 %")


def _is_informative(column: str, cells: Sequence[Mapping[str, str]]) -> bool:
    values = {row[column] for row in cells}
    return len(values) > 1 if column == "commit" else values != {""}


def _describe_evaluations(board: "Board") -> str:
    count = max(row.evaluations for row in board.standings)
    return "evaluated once" if count == 1 else f"evaluated {count} times"


def _describe_folds(entries: "Sequence[Entry]") -> str:
    """Return in how many folds the scored questions were held out; empty for one fold, which is the default."""
    folds = "/".join(str(count) for count in sorted({entry.folds for entry in entries}))
    return "" if folds == "1" else f" out of {folds} folds"


def _describe_shared_commit(cells: Sequence[Mapping[str, str]]) -> str:
    commit = cells[0]["commit"]
    return f", commit {commit}" if commit and not _is_informative("commit", cells) else ""


def _format_board_row(row: "BoardRow") -> dict[str, str]:
    """Return the cells of a row, by the headings of their columns."""
    entry, score = row.entry, row.entry.held_out
    error = "?" if score.error is None else f"{score.error:.3f}"
    return {
        "#": f"{row.rank}{'≈' if row.tied else ''}",
        "run": entry.name,
        "score ± error": f"{score.value:.3f} ± {error}",
        "95 %": "?" if score.low is None else f"{score.low:.3f}–{score.high:.3f}",
        "unread": f"{score.unread}+{entry.unread_test}",
        "public": "" if entry.public is None else f"{entry.public:.3f}",
        "eval.": str(row.evaluations),
        "when": entry.when[5:10],
        "commit": entry.commit[:7],
    }
