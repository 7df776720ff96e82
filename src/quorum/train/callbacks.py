"""Record the loss curve, the time and the memory of a training while it runs."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import Progress
from quorum.disk import replace_file
from quorum.errors import BadInput

if TYPE_CHECKING:
    from transformers import TrainerCallback


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The result of a training run."""

    folder: Path  # of the model or the adapter
    steps: int
    seconds: float  # of training only, without loading
    tokens: int  # read, without padding
    losses: tuple[tuple[int, float], ...]  # (step, mean loss since the entry before)
    peak_bytes: int  # of the GPU's memory if there is one, else of the process


def make_callback(out: Path, progress: Progress, clock: Callable[[], float] = time.monotonic) -> "TrainerCallback":
    """Return a callback for a Trainer of transformers, TRL or Unsloth that records the training.

    It calls `progress` at each step, writes OUT/loss.json at each log and OUT/loss.png at the end. Seconds and memory
    are kept in the trainer's state, so a run that resumes from a checkpoint includes the time before. The trainer needs
    `include_num_input_tokens_seen` on and `logging_nan_inf_filter` off.

    The trainer raises:
        BadInput: the loss became NaN or infinite.
    """
    from transformers import TrainerCallback

    class LossCallback(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            spent = max((entry.get("seconds", 0.0) for entry in state.log_history), default=0.0)
            self.start = clock() - spent

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress(state.global_step, state.max_steps)
            control.should_log = control.should_log or state.global_step >= state.max_steps

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            entry = state.log_history[-1]
            if "loss" not in entry:
                return
            if not math.isfinite(entry["loss"]):
                raise BadInput(
                    f"the loss became {entry['loss']} at step {state.global_step}; lower learning_rate, raise warmup,"
                    " or use dtype float32 (or bfloat16, if the GPU supports it)"
                )
            entry |= {"seconds": clock() - self.start, "peak_bytes": _peak_bytes()}
            if state.is_world_process_zero:
                _write_losses(state, out / "loss.json")

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                _draw_losses(state, out / "loss.png")

    return LossCallback()


def make_result(trainer: Any, folder: Path) -> TrainingResult:
    """Return the result of a trainer with the callback of `make_callback`; `folder` holds its model."""
    state, entries = trainer.state, _loss_entries(trainer.state)
    return TrainingResult(
        folder=folder,
        steps=state.global_step,
        seconds=entries[-1]["seconds"],
        tokens=entries[-1]["num_input_tokens_seen"],
        losses=tuple((entry["step"], entry["loss"]) for entry in entries),
        peak_bytes=max(entry["peak_bytes"] for entry in entries),
    )


def _loss_entries(state: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in state.log_history if "seconds" in entry]


def _write_losses(state: Any, path: Path) -> None:
    names = ("step", "loss", "learning_rate", "grad_norm", "seconds", "num_input_tokens_seen", "peak_bytes", "reward")
    curve = [{name: entry[name] for name in names if name in entry} for entry in _loss_entries(state)]
    with replace_file(path) as part:
        part.write_text(json.dumps({"steps": state.max_steps, "curve": curve}, indent=1) + "\n", encoding="utf-8")


def _draw_losses(state: Any, path: Path) -> None:
    from matplotlib.figure import Figure  # without pyplot: no window, no state

    figure = Figure(figsize=(7, 4), layout="tight")
    axes = figure.subplots()
    axes.plot([entry["step"] for entry in _loss_entries(state)], [entry["loss"] for entry in _loss_entries(state)])
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    with replace_file(path) as part:
        figure.savefig(part, format="png", dpi=120)


def _peak_bytes() -> int:
    """Return the peak memory so far, in bytes: of the GPU if there is one, else of the process."""
    import resource
    import sys

    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # in KiB except on macOS
