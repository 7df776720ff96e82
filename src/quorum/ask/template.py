"""The frame around a question: the built-in one of each language, or the user's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Literal

from quorum.ask.wording import WORDINGS, Language, Wording, detect_language
from quorum.errors import BadInput
from quorum.question import Question

ANY_SUBJECT = "*"  # the hint of every subject that has none of its own
TEMPLATE_FIELDS = {  # what a text of the frame may hold in {curly} brackets; what it must hold
    "instruction": (("labels",), ()),
    "question": (("context", "text", "choices"), ("context", "text", "choices")),
    "choice": (("label", "choice"), ("label", "choice")),
    "example": (("question", "answer", "rationale"), ("question", "answer")),
    "passage": (("passage",), ("passage",)),
    "hint": (("subject",), ()),
}


@dataclass(frozen=True, kw_only=True)
class Template:
    """The words of a prompt; an instruction or question that is not set is the built-in one of the language and style.

    Fields in {curly} brackets are filled once: brackets inside a question are only text. A literal bracket is doubled.

    Raises:
        BadInput: a place that nothing fills, or one that is missing.
    """

    language: Literal[Language, "auto"] = field(
        default="en", metadata={"help": "Language of the built-in words; auto: by the question's script."}
    )
    instruction: str | None = field(
        default=None, metadata={"help": "First lines of the prompt; may hold {labels}. Built in when not set."}
    )
    question: str | None = field(
        default=None, metadata={"help": "The question with {context}, {text}, {choices} and the cue for the answer."}
    )
    choice: str = field(default="{label}. {choice}\n", metadata={"help": "One line of the list of choices."})
    example: str = field(
        default="{question} {answer}\n{rationale}\n", metadata={"help": "A solved example; {question} has its choices."}
    )
    passage: str = field(default="{passage}\n\n", metadata={"help": "A passage of background."})
    hints: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"help": 'A sentence below the instruction by subject; "*" is for all other subjects.'},
    )

    def __post_init__(self) -> None:
        for name in ("instruction", "question", "choice", "example", "passage"):
            if (text := getattr(self, name)) is not None:
                check_template_fields(text, *TEMPLATE_FIELDS[name], f"template: {name}")
        for subject, hint in self.hints.items():
            check_template_fields(hint, *TEMPLATE_FIELDS["hint"], f"template: the hint of {subject!r}")

    def wording(self, question: Question) -> Wording:
        """The words of the frame around `question`."""
        return WORDINGS[detect_language(question) if self.language == "auto" else self.language]

    def hint(self, question: Question) -> str:
        """What is said about the question's subject, on a line of its own; empty where there is nothing to say."""
        if question.subject is None:
            return ""
        hint = self.hints.get(question.subject, self.hints.get(ANY_SUBJECT, ""))
        return "\n" + hint.format(subject=question.subject) if hint else ""


def check_template_fields(text: str, allowed: Sequence[str], needed: Sequence[str], where: str) -> None:
    """Refuses a text with places in {curly} brackets that nothing fills, or without those that are needed.

    Raises:
        BadInput: such a place, or brackets that do not match; `where` is what the message begins with.
    """
    among = f"allowed are {', '.join(f'{{{name}}}' for name in allowed)}; a bracket as such is written twice"
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise BadInput(f"{where}: {error}; {among}") from None
    found = [name for _, name, _, _ in parts if name is not None]
    for _, name, form, conversion in parts:
        if name is not None and (name not in allowed or form or conversion):
            raise BadInput(
                f"{where}: {{{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}}} "
                f"is no place that can be filled; {among}"
            )
    if missing := [f"{{{name}}}" for name in needed if name not in found]:
        raise BadInput(f"{where}: {', '.join(missing)} is missing in {text!r}")
