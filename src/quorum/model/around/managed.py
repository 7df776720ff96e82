"""A model within a run's limits: each prompt counted, no time overrun, no reply asked for twice, none worth the run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from quorum.console import print_status
from quorum.model.around.deadline import DeadlineBackend
from quorum.model.around.isolate import IsolatingBackend
from quorum.model.around.journal import JournalBackend, journal_name
from quorum.model.backend import Backend, open_backend
from quorum.question import Prompt, Question, Reply


class ManagedBackend:
    """A backend around a backend that counts its prompts, goes on without those that it fails on, and, where that is
    wanted, stops in time and remembers replies.

    The journal stands around both: what is remembered costs no time, and what failed is not remembered. The sieve
    stands around the deadline: what is asked again in parts has no more time than the rest.

    Args:
        table: what opened the backend; with it and `files`, those that it answers from, a journal knows its replies.
        until: when no more is asked, as `clock` tells time; None: never.
        most: prompts asked between two looks at the clock, and between two commits of the journal.
        tell: takes a line for whoever watches, where prompts fail.
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
        tell: Callable[[str], None] = print_status,
    ) -> None:
        self._inner = inner
        self._prompts = 0
        self._deadline = None if until is None else DeadlineBackend(inner, until, clock, most)
        self._sieve = IsolatingBackend(self._deadline or inner, tell)
        self._journal = (
            None if journal is None else JournalBackend(self._sieve, journal, journal_name(table, *files), most)
        )
        self._door: Backend = self._journal or self._sieve

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order; empty where it was not asked any more, or asking failed."""
        self._prompts += len(prompts)
        return self._door.answer(prompts)

    @property
    def unasked(self) -> int:
        """How many prompts the deadline came before."""
        return self._deadline.unasked if self._deadline else 0

    @property
    def failed(self) -> int:
        """How many prompts could not be asked; they are among the `calls`."""
        return self._sieve.failed

    @property
    def shortened(self) -> int:
        """How many prompts lost their middle, where the model counts them."""
        return getattr(self._inner, "shortened", 0)

    @property
    def calls(self) -> int:
        """How many prompts were asked, those included whose replies were remembered."""
        return self._prompts - self.unasked

    @property
    def dropped(self) -> Path | None:
        """Where a broken journal lies now, if there was one."""
        return self._journal.dropped if self._journal else None


def open_managed(
    tables: Mapping[str, Mapping[str, Any] | None],
    solved: Sequence[Question],
    **limits: Any,
) -> dict[str, ManagedBackend]:
    """A guarded backend for each table that names one, by its part in the run; `limits` are those of `ManagedBackend`.

    Raises:
        BadInput: a backend or one of its settings is unknown, or it can't be loaded.
    """
    return {
        part: ManagedBackend(open_backend(table, solved), table, **limits) for part, table in tables.items() if table
    }
