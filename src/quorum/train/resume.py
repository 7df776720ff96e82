"""Where a killed training goes on: what it was, written down before its first step, and its last whole checkpoint."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.disk import replace_file
from quorum.errors import BadInput
from quorum.train.rows.row import TrainingRow

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_TOLD = "training.json"


def last_checkpoint(
    out: Path, tuning: "DataclassInstance", rows: Sequence[TrainingRow], adapter: "DataclassInstance | None" = None
) -> Path | None:
    """The newest whole checkpoint in OUT/checkpoints of this very training; None where there is none to go on at.

    OUT/training.json says which training `out` holds.

    Raises:
        BadInput: its checkpoints are those of another one.
    """
    told = {"trainer": type(tuning).__name__, "rows": fingerprint_rows(rows), **_as_json(tuning)}
    if adapter is not None:
        told |= {"experts": _as_json(adapter)}
    path = out / _TOLD
    whole = list_whole_checkpoints(out)
    if whole and path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        if other := [name for name in {**known, **told} if known.get(name) != told.get(name)]:
            raise BadInput(
                f"{out} holds a training that differs in {', '.join(other)}; name another folder as out, or delete it"
            )
    with replace_file(path) as part:
        part.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return whole[-1] if whole else None


def clear_training(out: Path) -> None:
    """Deletes the folder `out` where a training left it: what goes on at its checkpoints is none of the next one."""
    if (out / _TOLD).exists():
        shutil.rmtree(out)


def list_whole_checkpoints(out: Path) -> list[Path]:
    """The checkpoints in OUT/checkpoints that were written to their end, by their step."""
    return sorted(filter(_is_whole, out.glob("checkpoints/checkpoint-*")), key=_checkpoint_step)


def fingerprint_rows(rows: Sequence[TrainingRow]) -> str:
    """SHA-256 of the rows as JSON, in order."""
    return hashlib.sha256(json.dumps([asdict(row) for row in rows]).encode()).hexdigest()


def _as_json(tuning: "DataclassInstance") -> dict[str, Any]:
    """The settings as they come back out of JSON."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(tuning), default=str))
    return found


def _is_whole(checkpoint: Path) -> bool:
    """The trainer's state is the last file of a checkpoint that is written."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _checkpoint_step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
