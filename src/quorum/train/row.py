"""Describe a training row: a prompt and the answer to learn."""

import math
from dataclasses import dataclass

from quorum.errors import BadInput
from quorum.question import Prompt


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A prompt and its answer. The prompt is rendered by the same code that renders it for a backend.

    Raises:
        BadInput: the answer is not among the labels, the completion is empty, or `soft` is no part of a distribution.
    """

    prompt: Prompt
    answer: str  # the right label, or a canonical number for an open question; encoders learn it
    completion: str  # the text that a language model learns: a letter, an option's text, or reasoning and the letter
    # a teacher's probability of each label times the teacher's weight; the rest, up to 1, is the answer's; empty: all
    soft: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        labels, where = self.prompt.labels, f"question {self.prompt.question_id}"
        if labels and self.answer not in labels:
            raise BadInput(f"{where}: answer {self.answer!r} is not among {', '.join(labels)}")
        if not self.completion.strip():
            raise BadInput(f"{where}: the completion is empty")
        if self.soft and (len(self.soft) != len(labels) or min(self.soft) < 0 or not 0 < sum(self.soft) < 1 + 1e-6):
            raise BadInput(
                f"{where}: soft is {self.soft}; expected a number from 0 for each of {len(labels)} labels, which sum to"
                " more than 0 and at most 1"
            )

    @property
    def target(self) -> tuple[float, ...]:
        """The probability of each label that is learned: the teacher's and the answer's, mixed."""
        rest = max(0.0, 1.0 - math.fsum(self.soft))
        soft = self.soft or (0.0,) * len(self.prompt.labels)
        return tuple(each + rest * (label == self.answer) for label, each in zip(self.prompt.labels, soft, strict=True))
