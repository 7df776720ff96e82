"""Describe a training row: a prompt and the answer to learn."""

from dataclasses import dataclass

from quorum.errors import BadInput
from quorum.question import Prompt


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A prompt and its answer. The prompt is rendered by the same code that renders it for a backend.

    Raises:
        BadInput: the answer is not among the labels, or the completion is empty.
    """

    prompt: Prompt
    answer: str  # the right label, or a canonical number for an open question; encoders learn it
    completion: str  # the text that a language model learns: a letter, an option's text, or reasoning and the letter

    def __post_init__(self) -> None:
        labels, where = self.prompt.labels, f"question {self.prompt.question_id}"
        if labels and self.answer not in labels:
            raise BadInput(f"{where}: answer {self.answer!r} is not among {', '.join(labels)}")
        if not self.completion.strip():
            raise BadInput(f"{where}: the completion is empty")
