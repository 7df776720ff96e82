"""Settings of the infer kernel for tests, whose tables may be named without the table that they are in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from quorum.config import from_table, merge_tables
from quorum.judge.settings import RunSettings
from quorum.model.backend import KINDS, Kind


@dataclass(frozen=True)
class NoSettings:
    """The settings of a backend that has none."""


def run_settings(**tables: Any) -> RunSettings:
    """Return the settings in `tables`, where `votes` is refine.votes, `batch` limits.batch and so on."""
    table: dict[str, Any] = {}
    for name, value in tables.items():
        if value is None:  # not set
            continue
        as_text = RunSettings.RENAMED.get(f"{name} as text") if isinstance(value, str) else None
        renamed = as_text or RunSettings.RENAMED.get(name, name)
        nested: Any = _as_toml(value)
        for part in reversed(renamed.split(".")):
            nested = {part: nested}
        table = merge_tables(table, nested)
    return from_table(RunSettings, table, "test")


def register_names(patch: pytest.MonkeyPatch, names: Iterable[str]) -> None:
    """Let [backend] tables name these backends, which `open_backend` is patched to open."""
    for name in names:
        if name not in KINDS:
            patch.setitem(KINDS, name, Kind())
            patch.setattr("quorum.model.backend._registered", {**_registered(), name: (NoSettings, NoSettings)})


def _registered() -> dict[str, Any]:
    import quorum.model.backend as backend

    return backend._registered


def _as_toml(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_toml(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_toml(each) for each in value]
    return str(value) if isinstance(value, Path) else value
