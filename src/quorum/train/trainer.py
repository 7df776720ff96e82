"""The one door to a trainer: rows in, a folder out that a backend opens."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from quorum.config import from_table
from quorum.console import Progress
from quorum.errors import BadInput
from quorum.train.rows.row import TrainingRow
from quorum.train.settings import CausalTuning, EncoderTuning, ExpertAdapterSettings, ExpertsTable, Seq2seqTuning
from quorum.train.trained import TrainingResult


def list_trainer_settings() -> dict[str, type]:
    """Return the settings class of every trainer, by a caption for help texts."""
    return {
        '[trainer] name = "encoder"': EncoderTuning,
        '[trainer] name = "sft"': CausalTuning,
        '[trainer.experts] of name = "sft"': ExpertAdapterSettings,
        '[trainer] name = "seq2seq"': Seq2seqTuning,
    }


def train_model(
    table: Mapping[str, Any],
    rows: Sequence[TrainingRow],
    out: Path,
    progress: Progress,
    say: Callable[[str], None] = lambda text: None,
) -> TrainingResult:
    """Trains the model that a TOML table names; the rest of the table are its trainer's settings.

    `out` takes checkpoints, the loss curve and the model; `say` is told what is worth a line meanwhile. A run that was
    killed goes on at its last checkpoint.

    Raises:
        BadInput: no such trainer, a setting is unknown, missing or of the wrong type, or the model can't be trained.
    """
    rest = {name: value for name, value in table.items() if name != "name"}
    where = f"trainer {table.get('name')!r}"
    match table.get("name"):
        case "encoder":
            from quorum.train.encoder import tune_encoder

            return tune_encoder(from_table(EncoderTuning, rest, where), rows, out, progress)
        case "sft":
            from quorum.train.expert_adapter import ExpertAdapter
            from quorum.train.sft import tune_causal

            experts = from_table(ExpertsTable, {"experts": rest.pop("experts", "")}, where).experts
            tuning = from_table(CausalTuning, rest, where)
            adapter = ExpertAdapter(experts, tuning) if experts else None
            return tune_causal(tuning, rows, out, progress, say, adapter)
        case "seq2seq":
            from quorum.train.seq2seq import tune_seq2seq

            return tune_seq2seq(from_table(Seq2seqTuning, rest, where), rows, out, progress, say)
        case _:
            raise BadInput(f"{where} is unknown; allowed are encoder, sft, seq2seq")
