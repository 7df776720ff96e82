"""Settings of learning from a teacher: its probabilities as soft labels, and its replies as worked solutions.

Nothing heavy is imported, because `--help` lists all settings.
"""

from dataclasses import dataclass, field
from pathlib import Path

from quorum.errors import BadInput


@dataclass(frozen=True)
class TeacherSettings:
    """Whose probabilities are learned beside the answers; nobody's by default: `[teacher]`.

    Raises:
        BadInput: a number is out of range.
    """

    answers: tuple[Path, ...] = field(
        default=(),
        metadata={
            "help": "Out-of-fold answers to the training questions: answers files of runs, or tables of id and a"
            " probability per choice. Several are averaged."
        },
    )
    weight: float = field(
        default=0.5, metadata={"help": "Share of the teacher in what is learned; the rest is the right answer's."}
    )
    temperature: float = field(
        default=1.0, metadata={"help": "T in p^(1/T) of the teacher's probabilities; above 1 they are flatter."}
    )

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1 or not 0.01 <= self.temperature <= 100:
            raise BadInput(
                f"teacher: weight is {self.weight}, temperature {self.temperature}; allowed are above 0 to 1, and 0.01"
                " to 100"
            )


@dataclass(frozen=True)
class KeptReplySettings:
    """Whose kept replies are learned as worked solutions; nobody's by default: `[rows.replies]`.

    Raises:
        BadInput: a number is out of range.
    """

    files: tuple[Path, ...] = field(
        default=(),
        metadata={
            "help": "OUT/FILE.replies.parquet of runs over the training questions. Replies with the right answer become"
            " rows; needs target rationale."
        },
    )
    most: int = field(default=4, metadata={"help": "Most replies of a question that are learned."})
    words: int = field(default=5, metadata={"help": "Least words of a reply; a shorter one shows no reasoning."})

    def __post_init__(self) -> None:
        if self.most < 1 or self.words < 0:
            raise BadInput(
                f"rows.replies: most is {self.most}, words {self.words}; allowed are 1 or more, and 0 or more"
            )
