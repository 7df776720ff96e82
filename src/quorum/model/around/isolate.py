"""A model that trips over some prompts: those stay unread, and the run goes on."""

from collections.abc import Callable, Sequence

from quorum.errors import BadInput, list_some
from quorum.model.backend import Backend
from quorum.question import Prompt, Reply

_HOPELESS = 16  # prompts that fail before any was answered: not they are broken, the model is
_ERROR_WORDS = 300  # characters of an error that are told


class IsolatingBackend:
    """A backend around a backend that halves a batch which can't be asked, down to the prompts that are to blame.

    Those get an empty reply and are counted in `failed`; a line tells which they are, and the error. What ran out of a
    GPU's memory is answered where a part of it fits.

    A model that has answered nothing yet is taken for broken at the 16th prompt that fails, or the last of a batch of
    several that all do: that one is asked once more, and its error, whatever it is, ends the run.

    Args:
        report: takes a line for the log.

    Raises:
        BadInput, MemoryError: as the inner backend does; they are the whole run's and not a prompt's.
    """

    def __init__(self, inner: Backend, report: Callable[[str], None]) -> None:
        self.inner, self.report = inner, report
        self.failed = 0
        self._sound = False  # whether it ever answered
        self._error = ""  # the first of a batch, in words: the error itself would hold the tensors that it failed with

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order; empty where asking failed."""
        patience = _HOPELESS - self.failed if len(prompts) == 1 else min(_HOPELESS - self.failed, len(prompts))
        replies: list[Reply] = []
        lost: list[str] = []
        parts, self._error = [prompts], ""  # the next part stands last
        while parts:
            part = parts.pop()
            found = self._tried(part)
            if found is None and len(part) > 1:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
                continue
            if found is None and not self._sound and len(lost) + 1 >= patience:
                found = self.inner.answer(part)
            elif found is None:
                lost.append(part[0].question_id)
            replies += [Reply("")] if found is None else found
        self.failed += len(lost)
        if lost:
            self.report(
                f"{len(lost)} of {len(prompts)} prompts failed and stay unread ({list_some(lost)}): {self._error}"
            )
        elif self._error:
            self.report(f"a batch of {len(prompts)} prompts failed and was answered in parts: {self._error}")
        return replies

    def _tried(self, prompts: Sequence[Prompt]) -> list[Reply] | None:
        """The replies, or None where asking failed."""
        try:
            replies = self.inner.answer(prompts)
        except (BadInput, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  # whatever a model's library raises
            self._error = self._error or " ".join(f"{type(error).__name__}: {error}".split())[:_ERROR_WORDS]
            return None
        self._sound = True
        return replies
