"""Choose the trainings of a ladder: those that ship for the member's kind of model, or the user's own."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from quorum.competition.run import find_kernel_toml
from quorum.competition.stages import Training
from quorum.config import read_table
from quorum.errors import BadInput
from quorum.model.backend import backend_name

FINE_TUNED = "fine-tuned"
Trainings = dict[str, tuple[str, Training]]  # by the name of the stage: the trainer's name, and the training
_NEEDS_GPU = "it needs a GPU here; name a smaller training with --train"


def choose_trainings(member: Mapping[str, Any], own: Sequence[Path] = ()) -> tuple[Trainings, dict[str, str]]:
    """Return the trainings to try, and those that cannot run here, with the reason.

    Args:
        member: the member's TOML table.
        own: settings (TOML) of kernels/train.py; without them those that ship for the member's backend.

    Raises:
        BadInput: a TOML has no trainer.
    """
    if own:
        return {toml.stem: (_read_trainer(toml), Training(toml)) for toml in own}, {}
    match backend_name(member["backend"]):
        case "encoder":
            return {FINE_TUNED: ("encoder", Training(find_kernel_toml("train-encoder")))}, {}
        case "transformers" | "vllm":
            return _choose_adapters()
        case "seq2seq":
            if not _has_gpu():
                return {}, {FINE_TUNED: _NEEDS_GPU}
            return {FINE_TUNED: ("seq2seq", Training(find_kernel_toml("train-flan-t5")))}, {}
        case _:
            return {}, {}


def _choose_adapters() -> tuple[Trainings, dict[str, str]]:
    """Return LoRA, and QLoRA if 4-bit weights are possible."""
    toml = find_kernel_toml("train-causal")
    if not _has_gpu():
        return {}, {"LoRA": _NEEDS_GPU, "QLoRA": _NEEDS_GPU}
    lora: Trainings = {"LoRA": ("sft", Training(toml))}
    if find_spec("bitsandbytes") is None:
        return lora, {"QLoRA": "bitsandbytes is not installed"}
    return lora | {"QLoRA": ("sft", Training(toml, {"trainer.method": "qlora"}))}, {}


def _read_trainer(toml: Path) -> str:
    name = read_table(toml).get("trainer", {}).get("name")
    if not isinstance(name, str):
        raise BadInput(f"{toml}: no [trainer] with a name; --train takes settings of kernels/train.py")
    return name


def _has_gpu() -> bool:
    from torch.cuda import is_available

    return bool(is_available())
