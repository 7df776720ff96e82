"""Read and write the ledger, one line per submission, and make the local leaderboard."""

import json
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.config import from_table
from quorum.disk import make_folder, name_file_in_errors
from quorum.errors import BadInput, redact_table
from quorum.evaluation.certainty import Z95
from quorum.evaluation.metrics import Score, check_metric, lower_is_better

if TYPE_CHECKING:
    from io import RawIOBase


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One submission.

    Attributes:
        name: name of the run.
        submission: file of the submission.
        sha256: hash of that file.
        config: settings of the run, without secrets.
        commit: commit of the code.
        data: fingerprint of the data.
        split: fingerprint of the split that the held-out score belongs to.
        metric: metric of the scores.
        held_out: held-out score.
        members: runs that took part in a vote; empty for a single run.
        unread_test: number of test answers that were filled from the prior.
        seconds: wall-clock time of the run.
        when: ISO time.
        public: Kaggle's public score, if known.
        private: Kaggle's private score, if known.
        evaluations: number of candidates that were evaluated on the held-out questions to pick this one.
        competition: name of the competition; empty if not known.
        folds: 1: the score is of one held-out fold; more: of all labelled questions, each held out in one of so many.
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
    evaluations: int = 1
    competition: str = ""
    folds: int = 1

    def __post_init__(self) -> None:
        check_metric(self.metric)
        object.__setattr__(self, "config", redact_table(self.config))


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One row of a board.

    Attributes:
        rank: rank on the board; equal scores share a rank.
        tied: the score is within error of the best: they differ by at most 1.96 standard errors of the difference, as
            if the two were independent. Answers to the same questions are paired, so this marks too many as tied.
        evaluations: number of evaluations of the held-out questions up to and including this entry. Each submission
            file counts once, or as many times as candidates were evaluated to pick it.
    """

    rank: int
    tied: bool
    evaluations: int
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The entries of one competition with the same data, split and metric, which may be ranked together; best first."""

    data: str
    split: str
    metric: str
    standings: tuple[BoardRow, ...]
    competition: str = ""  # empty: not known


def append_entry(path: Path, entry: Entry) -> None:
    """Append an entry to the ledger and sync it to disk, under a lock; an incomplete last line stays a line of its own.

    Raises:
        BadInput: the entry has a value that JSON cannot represent.
    """
    with _lock_ledger(path) as file:
        _append_line(file, _format_entry(entry, path))


def append_new_entries(path: Path, entries: Iterable[Entry]) -> list[Entry]:
    """Append the entries that are not in the ledger yet (`is_recorded`), under one lock, and return them.

    Two processes that record the same submission at the same time write one line.

    Raises:
        BadInput: an entry has a value that JSON cannot represent, or the ledger cannot be read.
    """
    new: list[Entry] = []
    with _lock_ledger(path) as file:
        known = read_ledger(path)
        for entry in entries:
            if not is_recorded(entry, known):
                _append_line(file, _format_entry(entry, path))
                new.append(entry)
                known.append(entry)
    return new


def _format_entry(entry: Entry, path: Path) -> bytes:
    try:
        return json.dumps(asdict(entry), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise BadInput(f"{path}: entry {entry.name}: {error}") from None


@contextmanager
def _lock_ledger(path: Path) -> "Iterator[RawIOBase]":
    """Open the ledger to append to it, and wait until no other process does."""
    import fcntl

    make_folder(path.parent)
    with name_file_in_errors(path), path.open("ab+", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _append_line(file: "RawIOBase", line: bytes) -> None:
    """Append a line and sync it to disk, whole or not at all."""
    import os

    if size := file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        line = line if file.read(1) == b"\n" else b"\n" + line
    try:
        _write_all(file, line + b"\n")
        os.fsync(file.fileno())
    except OSError:
        file.truncate(size)
        raise


def _write_all(file: "RawIOBase", data: bytes) -> None:
    while data:
        data = data[file.write(data) or 0 :]


def is_recorded(entry: Entry, entries: Iterable[Entry]) -> bool:
    """Return whether one of `entries` is the same submission of the same run with the same scores.

    Only the time, the commit of the current directory and scores that `entry` lacks may differ.
    """
    same_file = (each for each in entries if each.sha256 == entry.sha256 and each.name == entry.name)
    return any(_drop_circumstances(each, entry) == _drop_circumstances(entry, entry) for each in same_file)


def _drop_circumstances(entry: Entry, like: Entry) -> str:
    """Return an entry as JSON, without its time, its commit and the scores that `like` has not."""
    known = {"public": entry.public, "private": entry.private}
    shown = {name: value for name, value in known.items() if getattr(like, name) is not None}
    table = asdict(replace(entry, when="", commit="", public=None, private=None)) | shown
    return json.dumps(table, sort_keys=True)


def read_ledger(path: Path, report: Callable[[str], None] | None = None) -> list[Entry]:
    """Return the entries in the order of their lines; none if there is no file.

    An incomplete line, which a killed run may leave, is skipped and reported. Lines of older versions are read too.

    Raises:
        BadInput: a complete line is not an entry.
    """
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            table = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            if report:
                report(f"{where}: incomplete line; skipped")
            continue
        entries.append(_parse_entry(table, where))
    return entries


def make_leaderboard(entries: Iterable[Entry]) -> list[Board]:
    """Return a board for each competition, held-out set and metric, the most recently used first.

    Runs that were scored on different questions, or in two competitions, are never ranked together. Of a run's entries
    with the same submission file the latest is used; it takes over an earlier public and private score if it has none.
    Equal scores share a rank, in the order of the ledger.
    """
    boards: dict[tuple[str, str, str, str], dict[tuple[str, str], Entry]] = {}
    entries = list(entries)
    names = {(entry.data, entry.split): entry.competition for entry in entries if entry.competition}
    for entry in entries:
        competition = entry.competition or names.get((entry.data, entry.split), "")  # older entries have no name
        key = (entry.data, entry.split, entry.metric, competition)
        latest = boards.pop(key, {})
        boards[key] = latest  # moves the key to the end: most recently used
        file = (entry.name, entry.sha256)
        before = latest.get(file, entry)
        public = before.public if entry.public is None else entry.public
        private = before.private if entry.private is None else entry.private
        known = (public, private) == (entry.public, entry.private)
        latest[file] = entry if known else replace(entry, public=public, private=private)
    return [
        Board(
            data=data,
            split=split,
            metric=metric,
            standings=_rank_entries(list(latest.values())),
            competition=competition,
        )
        for (data, split, metric, competition), latest in reversed(boards.items())
    ]


def list_latest_entries(board: Board, entries: Iterable[Entry]) -> list[Entry]:
    """Return the latest entry of each run on a board, by the order of the ledger: a clock may have been set back.

    Args:
        entries: the whole ledger.
    """
    place = {_identify_entry(entry): number for number, entry in enumerate(entries)}
    latest: dict[str, Entry] = {}
    for entry in sorted((row.entry for row in board.standings), key=lambda entry: place[_identify_entry(entry)]):
        latest[entry.name] = entry
    return list(latest.values())


def _identify_entry(entry: Entry) -> tuple[str, ...]:
    return (entry.data, entry.split, entry.metric, entry.name, entry.sha256)


def find_shared_names(boards: Iterable[Board]) -> list[str]:
    """Return the names of competitions that have boards of different data: two folders, or files that changed."""
    data: dict[str, set[str]] = {}
    for board in boards:
        data.setdefault(board.competition, set()).add(board.data)
    return [name for name, found in data.items() if name and len(found) > 1]


def _rank_entries(entries: list[Entry]) -> tuple[BoardRow, ...]:
    sign = 1 if lower_is_better(entries[0].metric) else -1
    order = sorted(range(len(entries)), key=lambda number: sign * entries[number].held_out.value)
    best = entries[order[0]].held_out
    values = sorted(sign * entry.held_out.value for entry in entries)
    evaluations = _count_evaluations(entries)
    return tuple(
        BoardRow(
            rank=1 + bisect_left(values, sign * entries[number].held_out.value),
            tied=index > 0 and _is_within_error(best, entries[number].held_out),
            evaluations=evaluations[number],
            entry=entries[number],
        )
        for index, number in enumerate(order)
    )


def _count_evaluations(entries: Sequence[Entry]) -> list[int]:
    """Return the number of evaluations up to and including each entry; a file counts as often as its largest entry."""
    most: dict[str, int] = {}
    totals, total = [], 0
    for entry in entries:
        before = most.get(entry.sha256, 0)
        most[entry.sha256] = max(entry.evaluations, before or 1)
        total += most[entry.sha256] - before
        totals.append(total)
    return totals


def _is_within_error(one: Score, other: Score) -> bool:
    if one.error is None or other.error is None:
        return True  # without an error no difference is significant
    return abs(one.value - other.value) <= Z95 * math.hypot(one.error, other.error)


def _parse_entry(table: Any, where: str) -> Entry:
    if not isinstance(table, dict) or not isinstance(table.get("held_out"), dict):
        raise BadInput(f"{where}: not a ledger entry; an object with a held_out score is expected")
    if "looks" in table:  # the name before 0.2
        table["evaluations"] = table.pop("looks")
    try:
        score = from_table(Score, _replace_null(table.pop("held_out")), "held_out")
        return from_table(Entry, _replace_null(table), "entry", held_out=score)
    except (BadInput, OverflowError) as error:
        raise BadInput(f"{where}: {error}") from None


def _replace_null(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table with "" for null, which `from_table` reads as None."""
    return {name: "" if value is None else value for name, value in table.items()}


def _refuse_constant(name: str) -> float:
    raise ValueError(name)
