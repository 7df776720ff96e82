"""Refuse, before the first model is loaded, what a run of a competition would otherwise fail on at its end."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quorum.competition.cascade_members import needs_gold
from quorum.competition.folder import Competition
from quorum.competition.run import VOTE, find_training_toml, is_tuned, read_member_settings
from quorum.competition.workspace import Workspace
from quorum.config import from_table, read_table
from quorum.console import read_environment_key
from quorum.disk import check_replaceable, check_writable
from quorum.errors import BadInput
from quorum.train.settings import TrainSettings
from quorum.train.trainer import read_trainer_settings

_HUB_ID = re.compile(r"\w[\w.-]*(/[\w.-]+)?")


def check_members(competition: Competition, workspace: Workspace, tomls: Sequence[Path]) -> None:
    """Check the settings of all members and of their trainings, their models, keys, and the places of all outputs.

    Raises:
        BadInput: a setting is unknown or wrong, a model's folder or a key is missing, or a folder of the user is where
            a training would write.
        OSError: a file cannot be written where an output goes.
    """
    for toml in tomls:
        fitted = {"limits.cascade.gold": "heldout.parquet"} if needs_gold(toml) else {}
        sample = {"sample": str(competition.sample or "sample_submission.csv")}
        settings = read_member_settings(toml, sample | fitted)
        refine = settings.refine
        _check_backend_files(settings.backend, f"{toml}: backend", trained=is_tuned(toml))
        for name, table in (("refine.verify.backend", refine.verify.backend), ("refine.reader", refine.reader)):
            if table:
                _check_backend_files(table, f"{toml}: {name}")
        if is_tuned(toml):
            _check_training(find_training_toml(toml), competition.name, workspace)
    _check_outputs(competition.name, workspace, [*(toml.stem for toml in tomls), VOTE])


def _check_backend_files(table: Mapping[str, Any], where: str, trained: bool = False) -> None:
    """Check that the key and the model's folder of a `[backend]` table exist, as far as it is no hub id.

    Args:
        trained: the adapter, or without one the model, is made by a training.
    """
    if isinstance(inner := table.get("inner"), Mapping):
        _check_backend_files(inner, where, trained)
    if table.get("key_variable"):
        read_environment_key(str(table["key_variable"]))
    if table["name"] == "endpoint":  # the name of its model means something to the server only
        return
    made = ("adapter" if "adapter" in table else "model") if trained else ""
    for name in ("model", "adapter"):
        path = table.get(name)
        if name == made or not isinstance(path, str) or not path:
            continue
        if not _HUB_ID.fullmatch(path) and not Path(path).exists():
            raise BadInput(
                f"{where}.{name} is {path!r}: there is no such folder, and it is no hub id such as org/model"
            )


def _check_training(toml: Path, name: str, workspace: Workspace) -> None:
    out = workspace.run(name, toml.stem).path
    given = {"train": "train.parquet", "out": str(out)}
    settings = from_table(TrainSettings, {**read_table(toml), **given}, str(toml))
    read_trainer_settings(settings.trainer)
    _check_backend_files({"name": "", "model": settings.trainer.get("model")}, f"{toml}: trainer")
    check_replaceable(out)


def _check_outputs(name: str, workspace: Workspace, members: Sequence[str]) -> None:
    files = [workspace.gold(name), workspace.ledger, workspace.split(name).test]
    for member in members:
        folder = workspace.run(name, member)
        files += [Path(f"{folder.path}.log"), folder.test, folder.held_out, workspace.submission(name, member)]
    for file in files:
        check_writable(file)
