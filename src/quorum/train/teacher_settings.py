"""Settings of learning from a teacher (probabilities as soft labels, replies as worked solutions) or from a reward.

Nothing heavy is imported, because `--help` lists all settings.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from quorum.errors import BadInput
from quorum.train.validate import check_bounds


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


@dataclass(frozen=True, kw_only=True)
class GrpoTuning:
    """Settings of training a causal language model by a reward for the right answer.

    Raises:
        BadInput: a number is out of its range.
    """

    model: str = field(metadata={"help": "Hub id or folder; best a model that was fine-tuned to answer (sft)."})
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit at the hub."})
    adapter: str | None = field(
        default=None, metadata={"help": "LoRA adapter of the model that training continues; a new one when not set."}
    )
    rollouts: int = field(default=8, metadata={"help": "Replies to a question that are compared, 2 or more."})
    batch: int = field(default=4, metadata={"help": "Questions per step."})
    steps: int = field(default=50, metadata={"help": "Number of steps."})
    learning_rate: float = field(default=1e-5, metadata={"help": "Highest learning rate."})
    temperature: float = field(default=1.0, metadata={"help": "Sampling temperature of the replies."})
    max_new_tokens: int = field(default=16, metadata={"help": "Longest reply; reasoning needs hundreds."})
    max_tokens: int = field(default=1024, metadata={"help": "Longest prompt; a longer one loses its middle."})
    rank: int = field(default=16, metadata={"help": "Rank of the LoRA matrices of a new adapter."})
    alpha: int = field(default=32, metadata={"help": "LoRA alpha of a new adapter."})
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = field(
        default="auto", metadata={"help": "Number type of computations."}
    )
    seed: int = field(default=3407, metadata={"help": "Seed of the order of questions and options, and of replies."})
    log_every: int = field(default=5, metadata={"help": "Steps between two points of the loss curve."})
    smoke: bool = field(default=False, metadata={"help": "A few steps on the shortest rows."})

    def __post_init__(self) -> None:
        check_bounds("grpo", self)
        if self.rollouts < 2 or self.temperature <= 0 or self.max_new_tokens < 1:
            raise BadInput(
                f"trainer 'grpo': rollouts is {self.rollouts}, temperature {self.temperature}, max_new_tokens"
                f" {self.max_new_tokens}; allowed are 2 or more, above 0, and 1 or more"
            )
