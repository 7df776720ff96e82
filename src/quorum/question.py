"""The nouns: a question, its labels, what is asked of a model and what it said."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import ascii_uppercase

from quorum.errors import BadInput

MOST_CHOICES = len(ascii_uppercase)


def letters(count: int) -> tuple[str, ...]:
    """The labels of a question with `count` choices: A, B, C … in order."""
    if not 0 <= count <= MOST_CHOICES:
        raise BadInput(f"{count} choices, where at most {MOST_CHOICES} are allowed")
    return tuple(ascii_uppercase[:count])


def fold_text(text: str) -> str:
    """The form in which two texts count as equal: NFKC, case folded, runs of white space as one blank."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `answer` is one of its labels, or a canonical number where there are no choices (an open question).

    `group` names what belongs together besides near-duplicates (one question in several languages);
    `context` is a passage that the question is about; `rationale` is a worked solution.

    Raises:
        BadInput: an empty id or text, one choice or more than 26, an answer that is not among the labels.
    """

    id: str
    text: str
    choices: tuple[str, ...] = ()
    answer: str | None = None
    subject: str | None = None
    group: str | None = None
    context: str | None = None
    rationale: str | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise BadInput("a question has no id")
        if not self.text.strip():
            raise BadInput(f"question {self.id}: its text is empty")
        if len(self.choices) == 1 or len(self.choices) > MOST_CHOICES:
            raise BadInput(
                f"question {self.id}: {len(self.choices)} choices, where none or 2 to {MOST_CHOICES} are allowed"
            )
        if self.choices and self.answer is not None and self.answer not in self.labels:
            raise BadInput(f"question {self.id}: answer {self.answer!r} is not among {', '.join(self.labels)}")

    @property
    def labels(self) -> tuple[str, ...]:
        """A, B … for as many choices as there are; empty for an open question."""
        return letters(len(self.choices))

    def choice(self, label: str) -> str:
        """The text of the choice that `label` stands for."""
        return self.choices[self.labels.index(label)]


def label_prior(questions: Iterable[Question]) -> dict[str, float]:
    """How often each label is the answer among the solved of `questions`, as shares; empty where none is solved."""
    counts = Counter(question.answer for question in questions if question.choices and question.answer)
    return {label: counts[label] / counts.total() for label in sorted(counts)}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked about a question, and what counts as an answer.

    `content` is plain text, or the turns of a conversation. `labels` are what may be answered: the question's letters,
    or TRUE and FALSE for a verifier; empty for an open question. `options` is the text each label stands for, in the
    order of `labels` (what option likelihood and encoders score), or empty where a prompt has none. `repeat` tells
    apart the same prompt asked again for another sampled vote.
    """

    question_id: str
    content: str | tuple[Message, ...]
    labels: tuple[str, ...]
    options: tuple[str, ...] = ()
    repeat: int = 0

    def __post_init__(self) -> None:
        if self.options and len(self.options) != len(self.labels):
            raise BadInput(f"question {self.question_id}: {len(self.options)} options for {len(self.labels)} labels")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said: its text, and the log-probability of each of the prompt's labels where the model gives it.

    The log-probabilities are masked to the labels and normalised over them: their exponentials sum to 1.
    """

    text: str
    label_logprobs: Mapping[str, float] | None = None
