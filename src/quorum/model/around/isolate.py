"""Isolate the prompts on which a model fails: they stay unread, and the run goes on."""

from collections.abc import Callable, Sequence

from quorum.errors import BadInput, list_some
from quorum.model.backend import Backend
from quorum.question import Prompt, Reply

_MOST_FAILURES = 16  # if this many prompts fail before any is answered, the model is broken and not the prompts
_ERROR_LENGTH = 300  # characters of an error message that are reported


class IsolatingBackend:
    """A backend around a backend that bisects a failing batch down to the prompts that cause the failure.

    These prompts get an empty reply and are counted in `failed`; one line reports their ids and the error. A batch that
    ran out of GPU memory is answered in the parts that fit.

    A model that has answered nothing so far is considered broken at the 16th prompt that fails, or at the last prompt
    of a batch of several that all fail: this prompt is asked once more, and its error, of any type, ends the run.

    Args:
        report: called with a line for the log.

    Raises:
        BadInput, MemoryError: as the inner backend; they concern the whole run and not one prompt.
    """

    def __init__(self, inner: Backend, report: Callable[[str], None]) -> None:
        self.inner, self.report = inner, report
        self.failed = 0
        self._has_answered = False
        self._error = ""  # text of a batch's first error; the error object would keep its tensors in memory

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return one reply for each prompt, in the same order; empty if asking failed."""
        limit = _MOST_FAILURES - self.failed
        if len(prompts) > 1:
            limit = min(limit, len(prompts))
        replies: list[Reply] = []
        failed: list[str] = []
        parts, self._error = [prompts], ""  # a stack: the next part is the last
        while parts:
            part = parts.pop()
            answered = self._try(part)
            if answered is None and len(part) > 1:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
                continue
            if answered is None and not self._has_answered and len(failed) + 1 >= limit:
                answered = self.inner.answer(part)
            elif answered is None:
                failed.append(part[0].question_id)
            replies += [Reply(text="")] if answered is None else answered
        self.failed += len(failed)
        if failed:
            self.report(
                f"{len(failed)} of {len(prompts)} prompts failed and stay unread ({list_some(failed)}): {self._error}"
            )
        elif self._error:
            self.report(f"a batch of {len(prompts)} prompts failed and was answered in parts: {self._error}")
        return replies

    def _try(self, prompts: Sequence[Prompt]) -> list[Reply] | None:
        """Return the replies, or None if asking failed."""
        try:
            replies = self.inner.answer(prompts)
        except (BadInput, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  # a model's library may raise any exception
            self._error = self._error or " ".join(f"{type(error).__name__}: {error}".split())[:_ERROR_LENGTH]
            return None
        self._has_answered = True
        return replies
