"""The ledger: one line a submission, and the local leaderboard that they make."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from quorum.config import from_table
from quorum.errors import BadInput
from quorum.evaluation.certainty import Z95
from quorum.evaluation.metrics import Score, check_metric, lower_is_better


@dataclass(frozen=True, slots=True)
class Entry:
    """One submission, where it came from and what is known of it.

    `sha256` is of the submission file, `data` and `split` are fingerprints of what the held-out score stands on,
    `unread_test` is how many test answers were filled from the prior, `when` is an ISO time, `looks` how many runs the
    held-out set was asked about to pick this one, `competition` the name of its folder or what its quorum.toml calls
    it; empty in a line that does not say.
    """

    name: str
    submission: str
    sha256: str
    config: Mapping[str, Any]
    commit: str
    data: str
    split: str
    metric: str
    held_out: Score
    members: tuple[str, ...]
    unread_test: int
    seconds: float
    when: str
    public: float | None = None
    private: float | None = None
    looks: int = 1
    competition: str = ""

    def __post_init__(self) -> None:
        check_metric(self.metric)


@dataclass(frozen=True, slots=True)
class BoardRow:
    """An entry's place on its board.

    `tied` says that its score and the best are no further apart than 1.96 standard errors of their difference, taken as
    if the two were independent. Answers to the same questions are paired, so this calls more ties than there are.
    `look` counts how many different submissions this held-out set had been asked about, up to and with this one, and
    for one that was picked from several how many those were.
    """

    rank: int
    tied: bool
    look: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Board:
    """The entries that may be ranked together: same data, same split, same metric; best first."""

    data: str
    split: str
    metric: str
    standings: tuple[BoardRow, ...]


def append_entry(path: Path, entry: Entry) -> None:
    """Adds one line to the ledger, durably; runs that end at once take turns, and a torn last line is left behind.

    Raises:
        BadInput: the entry holds what JSON can not say.
    """
    import fcntl
    import os

    try:
        line = json.dumps(asdict(entry), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise BadInput(f"{path}: entry {entry.name}: {error}") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_ledger(path: Path, report: Callable[[str], None] | None = None) -> list[Entry]:
    """The entries in the order of their lines; none where there is no file.

    A line that a killed run left torn is skipped, and `report` is told.

    Raises:
        BadInput: a whole line that is no entry.
    """
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            table = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            if report:
                report(f"{where}: torn, skipped")
            continue
        entries.append(_entry_of(table, where))
    return entries


def make_leaderboard(entries: Iterable[Entry]) -> list[Board]:
    """One board for each held-out set and metric, the most recently used first; runs on different questions never meet.

    Of a run's entries with the same submission file on the same board the latest stands, with the public and private
    score of an earlier one where it has none. Equal scores share a rank, and stand in the order of the ledger.
    """
    boards: dict[tuple[str, str, str], dict[tuple[str, str], Entry]] = {}
    for entry in entries:
        key = (entry.data, entry.split, entry.metric)
        latest = boards.pop(key, {})
        boards[key] = latest  # to the end: most recently used
        file = (entry.name, entry.sha256)
        before = latest.get(file, entry)
        latest[file] = replace(
            entry,
            public=before.public if entry.public is None else entry.public,
            private=before.private if entry.private is None else entry.private,
        )
    return [Board(*key, _standings(list(latest.values()))) for key, latest in reversed(boards.items())]


def _standings(entries: list[Entry]) -> tuple[BoardRow, ...]:
    sign = 1 if lower_is_better(entries[0].metric) else -1
    order = sorted(range(len(entries)), key=lambda number: sign * entries[number].held_out.value)
    best = entries[order[0]].held_out
    values = [sign * entry.held_out.value for entry in entries]
    return tuple(
        BoardRow(
            rank=1 + sum(value < values[number] for value in values),
            tied=place > 0 and _within_error(best, entries[number].held_out),
            look=_looks_up_to(entries[: number + 1]),
            entry=entries[number],
        )
        for place, number in enumerate(order)
    )


def _looks_up_to(entries: list[Entry]) -> int:
    looks: dict[str, int] = {}
    for entry in entries:
        looks[entry.sha256] = max(entry.looks, looks.get(entry.sha256, 1))
    return sum(looks.values())


def _within_error(one: Score, other: Score) -> bool:
    if one.error is None or other.error is None:
        return True  # an error that is not known separates nobody
    return abs(one.value - other.value) <= Z95 * math.hypot(one.error, other.error)


def _entry_of(table: Any, where: str) -> Entry:
    if not isinstance(table, dict) or not isinstance(table.get("held_out"), dict):
        raise BadInput(f"{where}: no ledger entry: an object with a held_out score is expected")
    try:
        score = from_table(Score, _blank_for_null(table.pop("held_out")), "held_out")
        return from_table(Entry, _blank_for_null(table), "entry", held_out=score)
    except (BadInput, OverflowError) as error:
        raise BadInput(f"{where}: {error}") from None


def _blank_for_null(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "" if value is None else value for name, value in table.items()}  # how settings are told None


def _no_constant(name: str) -> float:
    raise ValueError(name)
