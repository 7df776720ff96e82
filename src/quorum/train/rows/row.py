"""What is learnt from one question: what is asked of it, and what is to be answered."""

from dataclasses import dataclass

from quorum.errors import BadInput
from quorum.question import Prompt


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One lesson. `prompt` is rendered by the very code that renders it when a model is asked.

    `answer` is the right one of the prompt's labels (a canonical number where it has none): what encoders learn from.
    `completion` is what a language model is to write behind the prompt: a letter, an option's text, or reasoning and
    then the letter.

    Raises:
        BadInput: the answer is not among the labels, or the completion is empty.
    """

    prompt: Prompt
    answer: str
    completion: str

    def __post_init__(self) -> None:
        labels, where = self.prompt.labels, f"question {self.prompt.question_id}"
        if labels and self.answer not in labels:
            raise BadInput(f"{where}: answer {self.answer!r} is not among {', '.join(labels)}")
        if not self.completion.strip():
            raise BadInput(f"{where}: there is nothing to learn to write")
