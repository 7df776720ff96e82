"""Define the data types that all stages share: question, label, prompt and reply."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import ascii_uppercase

from quorum.errors import BadInput

MOST_CHOICES = len(ascii_uppercase)
FINISHES = ("stop", "length")  # the known reasons for which a reply ends


def letters(count: int) -> tuple[str, ...]:
    """Return the labels of a question with `count` choices: A, B, C … in order.

    Raises:
        BadInput: `count` is more than 26.
    """
    if not 0 <= count <= MOST_CHOICES:
        raise BadInput(f"found {count} choices; at most {MOST_CHOICES} are allowed")
    return tuple(ascii_uppercase[:count])


def fold_text(text: str) -> str:
    """Return the text in NFKC and case-folded, with each run of white space as one space, to compare texts by."""
    folded = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question; `answer` is one of its labels, or a canonical number for an open question (one without choices).

    `group` marks questions that belong together although they are not near-duplicates (such as translations);
    `context` is a passage that the question refers to; `rationale` is a worked solution.

    Raises:
        BadInput: the id or the text is empty, there is one choice or more than 26, or the answer is not among the
            labels.
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
            raise BadInput("the question has no id")
        if not self.text.strip():
            raise BadInput(f"question {self.id}: the text is empty")
        if len(self.choices) == 1 or len(self.choices) > MOST_CHOICES:
            raise BadInput(
                f"question {self.id}: number of choices: {len(self.choices)}; allowed are 0 or 2 to {MOST_CHOICES}"
            )
        if self.choices and self.answer is not None and self.answer not in self.labels:
            raise BadInput(f"question {self.id}: answer {self.answer!r} is not among {', '.join(self.labels)}")

    @property
    def labels(self) -> tuple[str, ...]:
        """One letter for each choice (A, B …); empty for an open question."""
        return letters(len(self.choices))

    def choice(self, label: str) -> str:
        """Return the text of the choice with this label."""
        return self.choices[self.labels.index(label)]


def label_prior(questions: Iterable[Question]) -> dict[str, float]:
    """Return each label's share of the answers of the solved `questions`; empty if none is solved."""
    counts = Counter(question.answer for question in questions if question.choices and question.answer)
    return {label: counts[label] / counts.total() for label in sorted(counts)}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ReasoningMarkers:
    """The texts with which a model starts and ends its reasoning.

    Raises:
        BadInput: one of them is empty, or both are the same.
    """

    start: str = field(metadata={"help": "Text with which the model starts its reasoning."})
    end: str = field(metadata={"help": "Text with which the model ends its reasoning."})

    def __post_init__(self) -> None:
        if not self.start or not self.end or self.start == self.end:
            raise BadInput(f"reasoning markers are {self.start!r} and {self.end!r}; expected two different texts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One request to a model about a question, with the allowed answers.

    `content` is plain text, or the turns of a conversation. `labels` are the allowed answers: the question's letters,
    or TRUE and FALSE for a verifier; empty for an open question. `options` are the texts of the labels, in the same
    order, or empty if the prompt has none; option likelihood and encoders score them. `repeat` numbers the repetitions
    of a prompt that is sampled several times. `markers` are those around the reasoning in the model's reply, if the
    reply parser does not know them.
    """

    question_id: str
    content: str | tuple[Message, ...]
    labels: tuple[str, ...]
    options: tuple[str, ...] = ()
    repeat: int = 0
    markers: ReasoningMarkers | None = None

    def __post_init__(self) -> None:
        if self.options and len(self.options) != len(self.labels):
            raise BadInput(
                f"question {self.question_id}: found {len(self.options)} options for {len(self.labels)} labels"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A model's reply: its text, and the natural log-probability of each of the prompt's labels if they are known.

    The log-probabilities are normalised over the labels: their exponentials sum to 1. An empty mapping means that the
    model's scores were NaN or infinite; such a reply is unread.

    Attributes:
        finish: why the model stopped: "stop" (it had finished), "length" (the limit of new tokens) or "" (not known).
        label_mass: the total probability of the labels before they were normalised, from 0 to 1; None: not known.
        tokens: the number of tokens that were generated; None: not known.
    """

    text: str
    label_logprobs: Mapping[str, float] | None = None
    finish: str = ""
    label_mass: float | None = None
    tokens: int | None = None
