"""How a training goes, watched while it runs: its loss curve, its pace and its memory."""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import Progress
from quorum.disk import replace_file
from quorum.errors import BadInput
from quorum.train.trained import TrainingResult

if TYPE_CHECKING:
    from transformers import TrainerCallback


def make_callback(out: Path, progress: Progress, clock: Callable[[], float] = time.monotonic) -> "TrainerCallback":
    """A callback for the Trainer of transformers and its children: `progress` at each step, OUT/loss.json at each log.

    At the end OUT/loss.png shows the curve. Seconds and memory are kept in the trainer's own state, so a run that goes
    on at a checkpoint knows what it has cost so far. Wants `include_num_input_tokens_seen` on, and
    `logging_nan_inf_filter` off.

    The trainer raises:
        BadInput: the loss is no number any more.
    """
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            spent = max((entry.get("seconds", 0.0) for entry in state.log_history), default=0.0)
            self.begun = clock() - spent

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress(state.global_step, state.max_steps)
            control.should_log = control.should_log or state.global_step >= state.max_steps

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            entry = state.log_history[-1]
            if "loss" not in entry:
                return
            if not math.isfinite(entry["loss"]):
                raise BadInput(
                    f"the loss at step {state.global_step} is {entry['loss']}; the way out is a smaller learning rate,"
                    " a longer warm-up or dtype float32 (bfloat16 where the GPU has it)"
                )
            entry |= {"seconds": clock() - self.begun, "peak_bytes": _peak_bytes()}
            if state.is_world_process_zero:
                _write_losses(state, out / "loss.json")

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                _draw_losses(state, out / "loss.png")

    return Watch()


def make_result(trainer: Any, folder: Path) -> TrainingResult:
    """What a trainer that was watched came to; `folder` holds its model."""
    state, logged = trainer.state, _logged(trainer.state)
    return TrainingResult(
        folder=folder,
        steps=state.global_step,
        seconds=logged[-1]["seconds"],
        tokens=logged[-1]["num_input_tokens_seen"],
        losses=tuple((entry["step"], entry["loss"]) for entry in logged),
        peak_bytes=max(entry["peak_bytes"] for entry in logged),
    )


def _logged(state: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in state.log_history if "seconds" in entry]


def _write_losses(state: Any, path: Path) -> None:
    names = ("step", "loss", "learning_rate", "grad_norm", "seconds", "num_input_tokens_seen", "peak_bytes")
    curve = [{name: entry[name] for name in names if name in entry} for entry in _logged(state)]
    with replace_file(path) as part:
        part.write_text(json.dumps({"steps": state.max_steps, "curve": curve}, indent=1) + "\n", encoding="utf-8")


def _draw_losses(state: Any, path: Path) -> None:
    from matplotlib.figure import Figure  # without pyplot: no window, no state

    figure = Figure(figsize=(7, 4), layout="tight")
    axes = figure.subplots()
    axes.plot([entry["step"] for entry in _logged(state)], [entry["loss"] for entry in _logged(state)])
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    with replace_file(path) as part:
        figure.savefig(part, format="png", dpi=120)


def _peak_bytes() -> int:
    """The most memory taken so far: the GPU's where there is one, else the process's."""
    import resource
    import sys

    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # kibibytes, but for macOS
