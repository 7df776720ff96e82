"""Train the model that a TOML table names: rows in, and out comes a folder that a backend opens."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from quorum.config import from_table
from quorum.console import Progress
from quorum.errors import BadInput
from quorum.train.callbacks import TrainingResult
from quorum.train.row import TrainingRow
from quorum.train.settings import CausalTuning, EncoderTuning, ExpertAdapterSettings, ExpertsTable, Seq2seqTuning
from quorum.train.teacher_settings import GrpoTuning


def list_trainer_settings() -> dict[str, type]:
    """Return the settings class of every trainer, by a caption for help texts."""
    return {
        '[trainer] name = "encoder"': EncoderTuning,
        '[trainer] name = "sft"': CausalTuning,
        '[trainer.experts] of name = "sft"': ExpertAdapterSettings,
        '[trainer] name = "seq2seq"': Seq2seqTuning,
        '[trainer] name = "grpo"': GrpoTuning,
    }


def read_trainer_settings(table: Mapping[str, Any]) -> EncoderTuning | CausalTuning | Seq2seqTuning | GrpoTuning:
    """Return the settings in a `[trainer]` table, without loading anything.

    Raises:
        BadInput: there is no such trainer, or a setting is unknown, missing or of the wrong type.
    """
    rest = {name: value for name, value in table.items() if name != "name"}
    where = f"trainer {table.get('name')!r}"
    match table.get("name"):
        case "encoder":
            return from_table(EncoderTuning, rest, where)
        case "sft":
            _read_experts(table)
            return from_table(CausalTuning, {name: value for name, value in rest.items() if name != "experts"}, where)
        case "seq2seq":
            return from_table(Seq2seqTuning, rest, where)
        case "grpo":
            return from_table(GrpoTuning, rest, where)
        case _:
            raise BadInput(f"{where} is unknown; allowed are encoder, sft, seq2seq, grpo")


def _read_experts(table: Mapping[str, Any]) -> ExpertAdapterSettings | None:
    """Return the settings in the inner table `experts`, if there is one."""
    return from_table(ExpertsTable, {"experts": table.get("experts", "")}, f"trainer {table.get('name')!r}").experts


def train_model(
    table: Mapping[str, Any],
    rows: Sequence[TrainingRow],
    out: Path,
    progress: Progress,
    report: Callable[[str], None] = lambda text: None,
) -> TrainingResult:
    """Train a model with the trainer that a `[trainer]` table names; a killed run resumes from its last checkpoint.

    Args:
        table: the trainer's name and its settings.
        out: folder for the model, its card, the loss curve and the checkpoints. If it has a record of the questions
            that are learned, the model's folder gets it too.
        report: called with lines for the log.

    Raises:
        BadInput: there is no such trainer, a setting is unknown, missing or of the wrong type, or the training fails.
    """
    from quorum.data.learned import copy_learned

    trained = _run_trainer(table, rows, out, progress, report)
    copy_learned(out, trained.folder, base=table.get("model"))
    return trained


def _run_trainer(
    table: Mapping[str, Any],
    rows: Sequence[TrainingRow],
    out: Path,
    progress: Progress,
    report: Callable[[str], None],
) -> TrainingResult:
    settings = read_trainer_settings(table)
    match settings:
        case EncoderTuning():
            from quorum.train.encoder import tune_encoder

            return tune_encoder(settings, rows, out, progress, report)
        case CausalTuning():
            from quorum.train.expert_adapter import ExpertAdapter
            from quorum.train.sft import tune_causal

            experts = _read_experts(table)
            adapter = ExpertAdapter(experts, settings) if experts else None
            return tune_causal(settings, rows, out=out, progress=progress, report=report, adapter=adapter)
        case Seq2seqTuning():
            from quorum.train.seq2seq import tune_seq2seq

            return tune_seq2seq(settings, rows, out, progress, report)
        case GrpoTuning():
            from quorum.train.grpo import tune_by_reward

            return tune_by_reward(settings, rows, out, progress, report)
