"""The template around a question: built-in for each language, or the user's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Literal

from quorum.ask.paraphrase import CHOICE, PARAPHRASE_COUNT, paraphrase_choice, paraphrase_wording
from quorum.ask.wording import WORDINGS, Language, Wording, detect_language
from quorum.errors import BadInput
from quorum.question import Question, ReasoningMarkers

ANY_SUBJECT = "*"  # key of the hint for subjects without their own
TEMPLATE_FIELDS = {  # per text: the fields allowed in {curly} brackets, and the required ones
    "instruction": (("labels", "subject"), ()),
    "question": (("context", "text", "choices"), ("context", "text", "choices")),
    "choice": (("label", "choice"), ("label", "choice")),
    "example": (("question", "answer", "rationale"), ("question", "answer")),
    "passage": (("passage",), ("passage",)),
    "hint": (("subject",), ()),
}


@dataclass(frozen=True, kw_only=True)
class Template:
    """The texts of a prompt; an unset instruction or question is the built-in one of the language and style.

    Fields in {curly} brackets are filled once: brackets inside a question are only text. A literal bracket is doubled.

    Raises:
        BadInput: an unknown field, or a required one that is missing.
    """

    language: Literal[Language, "auto"] = field(
        default="en", metadata={"help": "Language of the built-in words; auto: by the question's script."}
    )
    instruction: str | None = field(
        default=None,
        metadata={"help": "First lines of the prompt; may contain {labels} and {subject}. Built in if not set."},
    )
    question: str | None = field(
        default=None, metadata={"help": "The question with {context}, {text}, {choices} and the cue for the answer."}
    )
    choice: str = field(default=CHOICE, metadata={"help": "One line of the list of choices."})
    example: str = field(
        default="{question} {answer}\n{rationale}\n", metadata={"help": "A solved example; {question} has its choices."}
    )
    passage: str = field(default="{passage}\n\n", metadata={"help": "A passage of background."})
    hints: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"help": 'A sentence below the instruction by subject; "*" is for all other subjects.'},
    )
    markers: ReasoningMarkers | None = None
    paraphrase: int = field(
        default=0,
        metadata={
            "help": f"Number of a built-in wording, 0 (the standard one) to {PARAPHRASE_COUNT - 1}: another instruction"
            " in English, another list of choices in every language."
        },
    )

    def __post_init__(self) -> None:
        if not 0 <= self.paraphrase < PARAPHRASE_COUNT:
            raise BadInput(f"template: paraphrase is {self.paraphrase}; allowed are 0 to {PARAPHRASE_COUNT - 1}")
        for name in ("instruction", "question", "choice", "example", "passage"):
            if (text := getattr(self, name)) is not None:
                check_template_fields(text, *TEMPLATE_FIELDS[name], f"template: {name}")
        for subject, hint in self.hints.items():
            check_template_fields(hint, *TEMPLATE_FIELDS["hint"], f"template: the hint of {subject!r}")

    def wording(self, question: Question) -> Wording:
        """Return the built-in words in the language of `question`."""
        language = detect_language(question) if self.language == "auto" else self.language
        return paraphrase_wording(WORDINGS[language], language, self.paraphrase)

    def list_choice(self, label: str, choice: str) -> str:
        """Return one line of the list of choices."""
        return paraphrase_choice(self.choice, self.paraphrase).format(label=label, choice=choice)

    def hint(self, question: Question) -> str:
        """Return the hint for the question's subject on its own line; empty if there is none."""
        if question.subject is None:
            return ""
        hint = self.hints.get(question.subject, self.hints.get(ANY_SUBJECT, ""))
        return "\n" + hint.format(subject=question.subject) if hint else ""


def check_template_fields(text: str, allowed: Sequence[str], required: Sequence[str], where: str) -> None:
    """Check the fields in {curly} brackets of a template text.

    Raises:
        BadInput: an unknown or missing field, or brackets that do not match; the message begins with `where`.
    """
    hint = f"allowed are {', '.join(f'{{{name}}}' for name in allowed)}; write a literal bracket twice"
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise BadInput(f"{where}: {error}; {hint}") from None
    found = [name for _, name, _, _ in parts if name is not None]
    for _, name, form, conversion in parts:
        if name is not None and (name not in allowed or form or conversion):
            raise BadInput(
                f"{where}: {{{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}}} "
                f"is not a known field; {hint}"
            )
    if missing := [f"{{{name}}}" for name in required if name not in found]:
        raise BadInput(f"{where}: {', '.join(missing)} is missing in {text!r}")
