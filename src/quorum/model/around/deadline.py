"""A budget of time: what can still be asked is asked, the rest stays unread."""

from collections.abc import Callable, Sequence

from quorum.model.backend import Backend
from quorum.question import Prompt, Reply


class DeadlineBackend:
    """A backend around a backend that stops asking when `clock` comes to `until`.

    It asks in chunks: one prompt first, then as many as fit into what is left at the last chunk's rate, never more than
    twice the largest chunk so far nor more than `most`. The clock is read before each chunk and none is begun that
    would not fit: at an even rate nothing is late but perhaps the very first prompt, and at any rate the end is late by
    less than one chunk. What is not asked gets an empty reply and is counted in `unasked`. A `Journal` stands around
    it: then remembered replies cost none of the time, and what was not asked is not remembered.

    Args:
        until: a time as `clock` tells it, in seconds.
        most: prompts in the largest chunk.
    """

    def __init__(self, inner: Backend, until: float, clock: Callable[[], float], most: int = 256) -> None:
        self.inner, self.until, self.clock, self.most = inner, until, clock, most
        self.unasked = 0
        self._largest = 0  # prompts in the largest chunk so far
        self._pace = 0.0  # seconds a prompt in the last chunk

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order; empty ones from the first that no longer fits."""
        replies: list[Reply] = []
        now = self.clock()
        while len(replies) < len(prompts) and (size := self._fitting(self.until - now)):
            chunk = prompts[len(replies) : len(replies) + size]
            replies += self.inner.answer(chunk)
            before, now = now, self.clock()
            self._largest, self._pace = max(self._largest, len(chunk)), (now - before) / len(chunk)
        unasked = len(prompts) - len(replies)
        self.unasked += unasked
        return replies + [Reply("")] * unasked

    def _fitting(self, left: float) -> int:
        """How many prompts the next chunk has, with `left` seconds to go; 0 where not one fits."""
        if left <= 0:
            return 0
        most = min(self.most, max(1, 2 * self._largest))
        return most if self._pace * most <= left else int(left / self._pace)
