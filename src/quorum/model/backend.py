"""The one door to a model: a batch of prompts in, as many replies out."""

from collections.abc import Sequence
from typing import Protocol

from quorum.question import Prompt, Reply


class Backend(Protocol):
    """Anything that answers prompts: a model, or a backend around a backend.

    Which model, how it samples, on how many devices: all of that goes to a constructor.
    """

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order."""
        ...
