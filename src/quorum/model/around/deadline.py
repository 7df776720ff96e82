"""Stop asking a model when its time is used up; the remaining questions stay unread."""

from collections.abc import Callable, Sequence

from quorum.model.backend import Backend
from quorum.question import Prompt, Reply


class DeadlineBackend:
    """A backend around a backend that stops asking when `clock` reaches `until`.

    It asks in chunks: one prompt first, then as many as fit into the remaining time at the rate of the last chunk, at
    most twice the largest chunk so far and at most `most`. The clock is read before each chunk, and a chunk that would
    not fit is not started: at a constant rate only the very first prompt can be late, and at any rate the last reply is
    late by less than one chunk. A prompt that is not asked gets an empty reply and is counted in `unasked`. Put a
    `JournalBackend` around it: stored replies then take no time, and prompts that were not asked are not stored.

    Args:
        until: a time of `clock`, in seconds.
        most: prompts in the largest chunk.
    """

    def __init__(self, inner: Backend, until: float, clock: Callable[[], float], most: int = 256) -> None:
        self.inner, self.until, self.clock, self.most = inner, until, clock, most
        self.unasked = 0
        self._largest = 0  # prompts in the largest chunk so far
        self._pace = 0.0  # seconds per prompt in the last chunk

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return one reply for each prompt, in the same order; empty from the first that does not fit."""
        replies: list[Reply] = []
        now = self.clock()
        while len(replies) < len(prompts) and (size := self._chunk_size(self.until - now)):
            chunk = prompts[len(replies) : len(replies) + size]
            replies += self.inner.answer(chunk)
            before, now = now, self.clock()
            self._largest, self._pace = max(self._largest, len(chunk)), (now - before) / len(chunk)
        unasked = len(prompts) - len(replies)
        self.unasked += unasked
        return replies + [Reply(text="")] * unasked

    def _chunk_size(self, remaining: float) -> int:
        """Return the number of prompts in the next chunk with `remaining` seconds left; 0 if not one fits."""
        if remaining <= 0:
            return 0
        most = min(self.most, max(1, 2 * self._largest))
        return most if self._pace * most <= remaining else int(remaining / self._pace)
