"""Settings of a training: rows, their selection, and the trainers.

Nothing heavy is imported, because `--help` lists all settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from quorum.ask.prompt import Style
from quorum.ask.settings import RetrievalSettings
from quorum.ask.template import Template
from quorum.data.layout import Layout
from quorum.errors import BadInput
from quorum.model.similarity import PACKAGED
from quorum.train.teacher_settings import KeptReplySettings, TeacherSettings
from quorum.train.validate import check_bounds

Target = Literal["letter", "option", "rationale"]
Schedule = Literal["linear", "cosine", "constant_with_warmup"]
Log = Literal["none", "wandb", "tensorboard", "trackio"]


@dataclass(frozen=True, kw_only=True)
class RowSettings:
    """How questions become training rows.

    Raises:
        BadInput: a number below 0, or settings that contradict each other.
    """

    style: Style = field(default="letter", metadata={"help": "Prompt style, as prompt.style of the infer kernel."})
    template: Template = field(default_factory=Template)
    target: Target = field(
        default="letter",
        metadata={
            "help": "What the model learns to write: the letter, the option's text, or reasoning and the letter."
        },
    )
    fallback: bool = field(
        default=True,
        metadata={"help": "A question without a rationale becomes a row with its letter only; false: it is left out."},
    )
    shuffles: int = field(default=0, metadata={"help": "More option orders of each question, each a row."})
    examples: int = field(
        default=0, metadata={"help": "Solved examples before each question, from a pool that is not trained on."}
    )
    pool: int = field(default=0, metadata={"help": "Size of that pool; 0: as many as `examples`, the same everywhere."})
    seed: int = field(default=42, metadata={"help": "Seed of the orders and the pool."})
    replies: KeptReplySettings = field(default_factory=KeptReplySettings)

    def __post_init__(self) -> None:
        if min(self.shuffles, self.examples, self.pool) < 0:
            raise BadInput(
                f"rows: shuffles {self.shuffles}, examples {self.examples}, pool {self.pool}; allowed are 0 or more"
            )
        if (self.style == "cot") != (self.target == "rationale"):
            raise BadInput(
                f"rows: style {self.style!r} does not go with target {self.target!r}; "
                "cot asks for reasoning and needs rationale, and no other style does"
            )
        if self.shuffles and self.style in ("option", "bare"):
            raise BadInput(f"rows: style {self.style!r} shows no letters, so shuffles have no effect; set shuffles = 0")
        if self.replies.files and self.target != "rationale":
            raise BadInput('rows.replies are worked solutions; set rows.style = "cot" and rows.target = "rationale"')
        if self.pool and self.pool < self.examples:
            raise BadInput(f"rows: {self.examples} examples cannot be drawn from a pool of {self.pool}")


@dataclass(frozen=True)
class SelectionSettings:
    """Which questions of the training folds are trained on; by default all of them."""

    ids: Path | None = field(
        default=None, metadata={"help": "CSV file with a column id, as `quorum sample` writes it."}
    )
    longest: int = field(
        default=0, metadata={"help": "Most tokens of passage, text, choices and rationale together; 0: no limit."}
    )
    tokenizer: str = field(
        default="", metadata={"help": "Tokenizer that counts them: hub id or folder; empty: words are counted."}
    )
    validation: tuple[int, ...] = field(default=(), metadata={"help": "Training folds that are not trained on."})


@dataclass(frozen=True)
class SplitSettings:
    """The split whose training folds are trained on."""

    file: Path | None = field(
        default=None, metadata={"help": "split.parquet of `quorum split`; without it the same split is drawn here."}
    )
    questions: Path | None = field(
        default=None,
        metadata={
            "help": "Question file of the split: rows without ids may be trained on, except those with the text of a"
            " held-out question."
        },
    )
    held_out: float = field(default=0.25, metadata={"help": "Share held out, when the split is drawn here."})
    seed: int = field(default=42, metadata={"help": "Seed of the split, when it is drawn here."})


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of the train kernel."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "split as text": "split.file",
        "held_out": "split.held_out",
        "seed": "split.seed",
        "lesson": "rows",
        "template": "rows.template",
    }

    run: str = field(metadata={"help": "Name of the model."})
    train: Path = field(
        metadata={"help": "Solved questions; or rows of `quorum rows`, with the split that they were made with."}
    )
    out: Path = field(metadata={"help": "Folder for the model, its card, the loss curve, checkpoints, split.parquet."})
    trainer: Mapping[str, Any] = field(metadata={"help": "Name of the trainer (encoder, sft, seq2seq), its settings."})
    split: SplitSettings = field(default_factory=SplitSettings)
    rows: RowSettings = field(default_factory=RowSettings)
    sampling: SelectionSettings = field(default_factory=SelectionSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    layout: Layout = field(default_factory=Layout)
    smoke: bool = field(
        default=False, metadata={"help": "A few steps on the shortest rows, into OUT-smoke, as a test run."}
    )

    def __post_init__(self) -> None:
        writes, rows = self.trainer.get("name") in ("sft", "seq2seq"), self.rows
        if writes and rows.style == "option" and rows.target == "letter":  # a bare question may list its options itself
            raise BadInput(
                "rows: style 'option' shows no letters, so a model that learns to write one learns nothing about"
                ' the options; set rows.target = "option"'
            )


@dataclass(frozen=True, kw_only=True)
class EncoderTuning:
    """Settings of fine-tuning an encoder.

    Raises:
        BadInput: a number is out of its range.
    """

    model: str = field(
        default=PACKAGED,
        metadata={"help": "A sentence-transformers model, or a language model that gets a multiple-choice head."},
    )
    epochs: float = field(default=3.0, metadata={"help": "Passes over the rows."})
    batch: int = field(default=32, metadata={"help": "Questions per step."})
    learning_rate: float = field(
        default=1e-4, metadata={"help": "Highest learning rate: it rises over the warm-up and falls linearly to 0."}
    )
    warmup: float = field(default=0.1, metadata={"help": "Share of the steps."})
    weight_decay: float = field(default=0.01, metadata={"help": "Weight decay."})
    frozen_layers: int = field(default=0, metadata={"help": "Lowest layers that are not trained."})
    frozen_embeddings: bool = field(default=True, metadata={"help": "Whether the embeddings are not trained."})
    max_tokens: int = field(
        default=256, metadata={"help": "Longest text; a longer one is truncated, by the trained model too."}
    )
    scale: float = field(default=20.0, metadata={"help": "Factor on cosine similarities, as in the encoder backend."})
    device: str = field(default="auto", metadata={"help": "Torch device; auto: a GPU if there is one."})
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = field(
        default="auto",
        metadata={
            "help": "Number type of computations; weights are float32. auto: bfloat16 on a CPU that is fast in it."
        },
    )
    seed: int = field(default=42, metadata={"help": "Seed of the order of rows and of new weights."})
    log_every: int = field(default=5, metadata={"help": "Steps between two points of the loss curve."})
    save_every: int = field(default=0, metadata={"help": "Steps between checkpoints; 0: one per epoch."})
    keep: int = field(default=1, metadata={"help": "Checkpoints that are kept."})
    smoke: bool = field(default=False, metadata={"help": "A few steps on the shortest rows."})

    def __post_init__(self) -> None:
        check_bounds("encoder", self)
        if self.warmup >= 1:
            raise BadInput(f"trainer 'encoder': warmup is {self.warmup}; allowed is a share of the steps, below 1")


@dataclass(frozen=True, kw_only=True)
class CausalTuning:
    """Settings of fine-tuning a causal language model.

    Raises:
        BadInput: a number is out of its range.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"adapt": "experts.adapt", "draw": "experts.draw"}

    model: str = field(metadata={"help": "Hub id or folder."})
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit at the hub."})
    engine: Literal["auto", "unsloth", "trl"] = field(
        default="auto", metadata={"help": "auto: Unsloth on a GPU if it is installed, else TRL."}
    )
    method: Literal["lora", "qlora", "full"] = field(
        default="lora", metadata={"help": "qlora: frozen weights in 4 bits (nf4, double quantisation)."}
    )
    rank: int = field(default=16, metadata={"help": "Rank of the LoRA matrices."})
    alpha: int = field(default=32, metadata={"help": "LoRA alpha."})
    dropout: float = field(default=0.0, metadata={"help": "LoRA dropout."})
    targets: tuple[str, ...] = field(
        default=(), metadata={"help": "Layers that get an adapter; empty: the usual seven projections, if they exist."}
    )
    epochs: float = field(default=1.0, metadata={"help": "Passes over the rows."})
    steps: int | None = field(default=None, metadata={"help": "Number of steps, instead of epochs."})
    batch: int = field(default=8, metadata={"help": "Rows (packed: sequences) in a batch."})
    accumulate: int = field(default=1, metadata={"help": "Batches per step."})
    learning_rate: float = field(default=2e-4, metadata={"help": "Highest learning rate."})
    schedule: Schedule = field(default="cosine", metadata={"help": "Schedule of the learning rate."})
    warmup: float = field(default=0.05, metadata={"help": "Share of the steps; from 1 on a number of steps."})
    weight_decay: float = field(default=0.01, metadata={"help": "Weight decay."})
    optimizer: str = field(
        default="auto",
        metadata={"help": "Optimizer of transformers; auto: adamw_8bit on a GPU with bitsandbytes, else adamw_torch."},
    )
    checkpointing: bool = field(
        default=False, metadata={"help": "Recompute activations: less memory, about a third more time."}
    )
    packing: bool = field(default=False, metadata={"help": "Put several rows into one sequence, without padding."})
    max_tokens: int = field(
        default=2048, metadata={"help": "Longest prompt, answer included; a longer one loses its middle."}
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = field(
        default="auto", metadata={"help": "Number type of computations."}
    )
    seed: int = field(default=3407, metadata={"help": "Seed of the order of rows and of new weights."})
    log_every: int = field(default=10, metadata={"help": "Steps between two points of the loss curve."})
    save_every: int = field(default=100, metadata={"help": "Steps between checkpoints."})
    keep: int = field(default=3, metadata={"help": "Checkpoints that are kept."})
    log: Log = field(default="none", metadata={"help": "Experiment tracker that gets the loss."})
    smoke: bool = field(default=False, metadata={"help": "A few steps on the shortest rows."})

    def __post_init__(self) -> None:
        check_bounds("sft", self)


@dataclass(frozen=True)
class ExpertAdapterSettings:
    """Settings of an adapter on chosen experts of a mixture, in place of ordinary LoRA: `[trainer.experts]`."""

    profile: Path = field(metadata={"help": "Profile written by `quorum profile-experts`."})
    adapt: Literal["super", "random", "matched", "attention"] = field(
        metadata={
            "help": "The super experts; as many others of the same layers, random or with similar shares of tokens; or"
            " the attention of those layers."
        }
    )
    draw: int = field(default=3407, metadata={"help": "Seed of adapt = random; `quorum prune-experts` uses the same."})


@dataclass(frozen=True)
class ExpertsTable:
    """The optional table `[trainer.experts]`."""

    RENAMED: ClassVar[Mapping[str, str]] = {"experts as text": "experts.profile"}

    experts: ExpertAdapterSettings | None = None


@dataclass(frozen=True, kw_only=True)
class Seq2seqTuning:
    """Settings of fine-tuning all weights of an encoder-decoder.

    Weights are float32; computations are bfloat16 on a GPU that supports it. Half precision is not available, because
    T5's activations overflow in it.

    Raises:
        BadInput: a number is out of its range.
    """

    model: str = field(default="google/flan-t5-base", metadata={"help": "Hub id or folder."})
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit at the hub."})
    epochs: float = field(default=3.0, metadata={"help": "Passes over the rows."})
    steps: int | None = field(default=None, metadata={"help": "Number of steps, instead of epochs."})
    batch: int = field(default=8, metadata={"help": "Rows in a batch."})
    accumulate: int = field(default=1, metadata={"help": "Batches per step."})
    learning_rate: float = field(default=1e-4, metadata={"help": "Highest learning rate."})
    schedule: Schedule = field(default="linear", metadata={"help": "Schedule of the learning rate."})
    warmup: float = field(default=0.05, metadata={"help": "Share of the steps; from 1 on a number of steps."})
    weight_decay: float = field(default=0.01, metadata={"help": "Weight decay."})
    optimizer: str = field(
        default="adamw_torch",
        metadata={"help": "Optimizer of transformers; adafactor needs a fraction of AdamW's memory."},
    )
    checkpointing: bool = field(
        default=False, metadata={"help": "Recompute activations: less memory, about a third more time."}
    )
    max_tokens: int | None = field(
        default=None, metadata={"help": "Longest prompt, as context_tokens of the seq2seq backend."}
    )
    dtype: Literal["auto", "float32", "bfloat16"] = field(
        default="auto", metadata={"help": "Number type of computations."}
    )
    seed: int = field(default=3407, metadata={"help": "Seed of the order of rows and of new weights."})
    log_every: int = field(default=10, metadata={"help": "Steps between two points of the loss curve."})
    save_every: int = field(default=100, metadata={"help": "Steps between checkpoints."})
    keep: int = field(default=3, metadata={"help": "Checkpoints that are kept."})
    log: Log = field(default="none", metadata={"help": "Experiment tracker that gets the loss."})
    smoke: bool = field(default=False, metadata={"help": "A few steps on the shortest rows."})

    def __post_init__(self) -> None:
        check_bounds("seq2seq", self)
