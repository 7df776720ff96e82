"""Which checkpoint, and which settings: several of them scored on the same held-out questions, and one picked."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quorum.disk import replace_file
from quorum.errors import BadInput
from quorum.train.resume import list_complete_checkpoints

HALVINGS = 200


@dataclass(frozen=True, slots=True)
class Candidate:
    """A checkpoint's name, empty where there is none, and the settings of kernels/infer.py that it is asked with."""

    checkpoint: str
    settings: Mapping[str, Any]
    grid: Mapping[str, Any]  # those of `settings` that vary beside the checkpoint

    @property
    def name(self) -> str:
        """checkpoint-40 scale=10."""
        return " ".join(
            [*filter(None, [self.checkpoint]), *(f"{setting}={value}" for setting, value in self.grid.items())]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A candidate's accuracy on n held-out questions and its standard error (None: not known), and what it cost.

    `second` is its value by another criterion, where there is one.
    """

    candidate: Candidate
    n: int
    accuracy: float
    error: float | None
    unread: int
    seconds: float
    second: float | None = None


def list_candidates(trained: Path | None, grid: Mapping[str, Sequence[Any]]) -> list[Candidate]:
    """Every whole checkpoint of a training folder, by its step, with every combination of the grid's values, in order.

    Without a training folder the combinations alone. A checkpoint that is an adapter goes to the setting
    `backend.adapter`, any other to `backend.model`.

    Raises:
        BadInput: the folder has no checkpoints, or there are less than two candidates.
    """
    combinations = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    found = [Candidate("", combination, combination) for combination in combinations]
    if trained is not None:
        checkpoints = list_complete_checkpoints(trained)
        if not checkpoints:
            raise BadInput(
                f"{trained}: no whole checkpoint in its folder checkpoints; a trainer's setting says how many to keep"
            )
        found = [
            Candidate(path.name, {_find_checkpoint_setting(path): str(path), **combination}, combination)
            for path in checkpoints
            for combination in combinations
        ]
    if len(found) < 2:
        raise BadInput(
            f"{len(found)} candidate ({found[0].name or 'as it stands'}), where there is to pick from two or more"
        )
    return found


def reaches_floor(trial: Trial, floor: float | None) -> bool:
    """Whether a trial's second criterion is at least the floor; without a floor each does, without a value none."""
    return floor is None or (trial.second is not None and trial.second >= floor)


def pick_trial(trials: Sequence[Trial], floor: float | None = None) -> int:
    """The place of the most accurate trial of those that reach the floor; a tie goes to the earliest.

    Raises:
        BadInput: none reaches the floor.
    """
    allowed = [place for place, trial in enumerate(trials) if reaches_floor(trial, floor)]
    if not allowed:
        best = max((trial.second for trial in trials if trial.second is not None), default=None)
        raise BadInput(f"none of the {len(trials)} candidates reaches the floor of {floor}; the highest is {best}")
    return max(allowed, key=lambda place: trials[place].accuracy)  # the first of equals


def estimate_nested_accuracy(right: npt.NDArray[np.bool_], clusters: Sequence[object], seed: int = 42) -> float:
    """What to expect of the pick on questions that did not choose it: the mean over halvings of the held-out set.

    In each of `HALVINGS` halvings whole clusters go to one half or the other by chance, the candidate that is best on a
    half (a tie goes to the earliest) is scored on the other one, and the other way round. `right` is (candidates,
    questions). Half the questions choose a little worse than all of them, so this errs to the low side.

    Raises:
        BadInput: fewer than two clusters.
    """
    codes = np.unique([str(cluster) for cluster in clusters], return_inverse=True)[1]
    count = int(codes.max()) + 1
    if count < 2:
        raise BadInput(f"{count} cluster of held-out questions, where two or more can be halved")
    chance, scores = np.random.default_rng(seed), []
    for _ in range(HALVINGS):
        half = (chance.permutation(count) < count // 2)[codes]
        for chosen, scored in ((half, ~half), (~half, half)):
            best = int(right[:, chosen].sum(axis=1).argmax())
            scores.append(float(right[best, scored].mean()))
    return float(np.mean(scores))


def write_checkpoint_scores(path: Path, trials: Sequence[Trial]) -> None:
    """A CSV row a trial, in order; the settings as JSON, the column `second` where a trial has one."""
    second = any(trial.second is not None for trial in trials)
    with replace_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        heading = ["checkpoint", "settings", "n", "accuracy", "error", "unread", "seconds"]
        rows.writerow([*heading, *(["second"] if second else [])])
        for trial in trials:
            grid = json.dumps(dict(trial.candidate.grid), ensure_ascii=False)
            known = [trial.n, trial.accuracy, trial.error, trial.unread, round(trial.seconds, 1)]
            rows.writerow([trial.candidate.checkpoint, grid, *known, *([trial.second] if second else [])])


def _find_checkpoint_setting(checkpoint: Path) -> str:
    return "backend.adapter" if (checkpoint / "adapter_config.json").exists() else "backend.model"
