"""Run a model within a run's limits: count prompts and replies, stop in time, store replies, survive failures."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from quorum.console import print_status
from quorum.errors import list_some
from quorum.model.around.deadline import DeadlineBackend
from quorum.model.around.isolate import IsolatingBackend
from quorum.model.around.journal import JournalBackend, make_journal_key
from quorum.model.backend import Backend, open_backend, resolve_number_type
from quorum.model.reply_counts import ReplyCounts
from quorum.question import Prompt, Question, Reply


class ManagedBackend:
    """A backend around a backend that counts prompts and skips those that fail; on request it stops in time and keeps
    replies in a journal. A reply whose scores are NaN or infinite is unread.

    The journal is outermost: a stored reply takes no time, and a failure is not stored. Isolation is around the
    deadline: a batch that is asked again in parts gets no extra time.

    Args:
        table: the `[backend]` table; with `files`, the files that the backend answers from, it makes the journal's key.
        until: the time to stop asking, in seconds of `clock`; None: never.
        most: prompts between two checks of the clock, and between two commits of the journal.
        report: called with a line for the log when prompts fail.
    """

    def __init__(
        self,
        inner: Backend,
        table: Mapping[str, Any],
        *,
        clock: Callable[[], float],
        until: float | None = None,
        most: int = 256,
        journal: Path | None = None,
        files: Sequence[Path] = (),
        report: Callable[[str], None] = print_status,
    ) -> None:
        self.table = table
        self._inner = inner
        self._prompts = 0
        self.counts = ReplyCounts()
        self._deadline = None if until is None else DeadlineBackend(inner, until, clock, most)
        self._isolated = IsolatingBackend(self._deadline or inner, report)
        self._journal = (
            None if journal is None else JournalBackend(self._isolated, journal, make_journal_key(table, *files), most)
        )
        self._outermost: Backend = self._journal or self._isolated

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return one reply for each prompt, in the same order; empty if it was not asked or asking failed."""
        self._prompts += len(prompts)
        return self.counts.add(prompts, self._outermost.answer(prompts))

    @property
    def unasked(self) -> int:
        """Return the number of prompts that were not asked because of the deadline."""
        return self._deadline.unasked if self._deadline else 0

    @property
    def failed(self) -> int:
        """Return the number of prompts that failed, here or at a server; `calls` includes them."""
        return self._isolated.failed + len(self._failures)

    @property
    def _failures(self) -> Sequence[str]:
        """Return "question ID: REASON" for each prompt that a server failed to answer."""
        return getattr(self._inner, "failures", ())

    @property
    def warning(self) -> str:
        """Return a line about the prompts that a server failed to answer, with the most frequent reason; or ""."""
        if not self._failures:
            return ""
        parts = [failure.removeprefix("question ").partition(": ") for failure in self._failures]
        reason, count = Counter(reason for _, _, reason in parts).most_common(1)[0]
        ids = list(dict.fromkeys(id for id, _, _ in parts))
        return (
            f"{len(parts)} of {self._prompts} prompts failed and stay unread ({list_some(ids)}); the most frequent"
            f" reason ({count} times): {reason}"
        )

    @property
    def reused(self) -> int:
        """Return the number of replies that came from the journal."""
        return self._journal.reused if self._journal else 0

    @property
    def shortened(self) -> int:
        """Return the number of prompts that lost their middle, if the model counts them."""
        return getattr(self._inner, "shortened", 0)

    @property
    def stored(self) -> Sequence[bool]:
        """Return whether each reply of the last batch came from the journal; empty without one."""
        return self._journal.stored if self._journal else ()

    @property
    def notes(self) -> list[str]:
        """Return lines for the log about prompts and replies that were not as they should be."""
        notes = []
        if self.shortened:
            notes.append(f"{self.shortened} prompts were too long for the model and lost their middle")
        if unscored := getattr(self._inner, "unscored", 0):
            notes.append(
                f"{unscored} replies begin inside a reasoning block: their letters were not scored; the text was parsed"
            )
        return notes + self.counts.notes

    @property
    def calls(self) -> int:
        """Return the number of prompts that were answered or failed, those answered from the journal included."""
        return self._prompts - self.unasked

    @property
    def dropped(self) -> Path | None:
        """Return the path to which a broken journal was moved, if there was one."""
        return self._journal.dropped if self._journal else None


def open_managed(
    tables: Mapping[str, Mapping[str, Any] | None],
    solved: Sequence[Question],
    **limits: Any,
) -> dict[str, ManagedBackend]:
    """Open a managed backend for each table that is not empty; `limits` are the arguments of `ManagedBackend`.

    Raises:
        BadInput: a backend or one of its settings is unknown, or it cannot be loaded.
    """
    resolved = {part: resolve_number_type(table) for part, table in tables.items() if table}
    return {part: ManagedBackend(open_backend(table, solved), table, **limits) for part, table in resolved.items()}


def open_journaled(
    table: Mapping[str, Any], solved: Sequence[Question], journal: Path, *, files: Sequence[Path], part: str
) -> Backend:
    """Open the backend of a table and keep its replies in a journal.

    Args:
        files: the files that the backend answers from.
        part: tells apart backends of one table that answer from different parts of `files`.

    Raises:
        BadInput: the backend or one of its settings is unknown, or the backend or the journal cannot be opened.
    """
    table = resolve_number_type(table)
    return JournalBackend(open_backend(table, solved), journal, f"{make_journal_key(table, *files)} {part}")
