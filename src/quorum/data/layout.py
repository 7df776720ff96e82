"""Describe which column of a question file holds what."""

from dataclasses import dataclass, field
from typing import Literal

AnswerKind = Literal["letter", "index0", "index1", "text", "boolean", "one_hot"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Columns by role; None means detected. `question.stem` is an entry of the dict in the column `question`."""

    id: str | None = field(default=None, metadata={"help": "Column of the ids."})
    question: str | None = field(default=None, metadata={"help": "Column of the question's text."})
    choices: tuple[str, ...] | None = field(
        default=None,
        metadata={"help": "One column that holds a list, or several columns in label order; []: open questions."},
    )
    distractors: tuple[str, ...] | None = field(
        default=None,
        metadata={"help": "Columns of the wrong answers, if the answer column holds the text of the right one."},
    )
    labels: tuple[str, ...] | None = field(
        default=None, metadata={"help": "The choices that all questions share, such as yes, no, maybe."}
    )
    answer: str | None = field(default=None, metadata={"help": "Column of the right answer."})
    answer_columns: tuple[str, ...] | None = field(
        default=None, metadata={"help": "One column per choice, with 1 for the right one and 0 for the others."}
    )
    answer_kind: AnswerKind | None = field(
        default=None,
        metadata={
            "help": "How answers are written: the label, the choice's index from 0 or from 1, its text, yes/no, or 1 "
            "for the right choice and 0 for the others."
        },
    )
    subject: str | None = field(default=None, metadata={"help": "Column of the subject."})
    group: str | None = field(default=None, metadata={"help": "Column that groups questions that belong together."})
    context: str | None = field(default=None, metadata={"help": "Column of the passage that a question is about."})
    rationale: str | None = field(default=None, metadata={"help": "Column of the worked solution."})
    header: bool | None = field(default=None, metadata={"help": "Whether the first line of a CSV file is a header."})
    encoding: str | None = field(default=None, metadata={"help": "Encoding of text files, such as cp949."})
    separator: str | None = field(default=None, metadata={"help": "What separates the cells of a CSV file."})

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that have a role, without repetition."""
        several = (*(self.choices or ()), *(self.distractors or ()), *(self.answer_columns or ()))
        one = (self.id, self.question, self.answer, self.subject, self.group, self.context, self.rationale)
        return tuple(dict.fromkeys(column for column in (*several, *one) if column is not None))
