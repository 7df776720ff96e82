"""Describe which column of a question file holds what."""

from dataclasses import dataclass, field
from typing import Literal

AnswerKind = Literal["letter", "index0", "index1", "text", "boolean"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Columns by role; None means detected. `question.stem` is an entry of the dict in the column `question`."""

    id: str | None = field(default=None, metadata={"help": "Column of the ids."})
    question: str | None = field(default=None, metadata={"help": "Column of the question's text."})
    choices: tuple[str, ...] | None = field(
        default=None,
        metadata={"help": "One column that holds a list, or several columns in label order; []: open questions."},
    )
    answer: str | None = field(default=None, metadata={"help": "Column of the right answer."})
    answer_kind: AnswerKind | None = field(
        default=None,
        metadata={
            "help": "How answers are written: the label, the choice's index from 0 or from 1, its text, or yes/no."
        },
    )
    subject: str | None = field(default=None, metadata={"help": "Column of the subject."})
    group: str | None = field(default=None, metadata={"help": "Column that groups questions that belong together."})
    context: str | None = field(default=None, metadata={"help": "Column of the passage that a question is about."})
    rationale: str | None = field(default=None, metadata={"help": "Column of the worked solution."})
    header: bool | None = field(default=None, metadata={"help": "Whether the first line of a CSV file is a header."})
    encoding: str | None = field(default=None, metadata={"help": "Encoding of text files, such as cp949."})
    separator: str | None = field(default=None, metadata={"help": "What separates the cells of a CSV file."})
