"""The settings that the documentation names are settings that the programs know."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from quorum.competition.folder import Description
from quorum.config import describe_settings
from quorum.judge.settings import RunSettings
from quorum.model.backend import list_backend_settings
from quorum.train.settings import TrainSettings
from quorum.train.trainer import list_trainer_settings
from tests.support.paths import ROOT

DOCS = ROOT / "docs"
BLOCKS = [
    pytest.param(block, id=f"{path.stem}-{number}")
    for path in sorted(DOCS.glob("*.md"))
    for number, block in enumerate(re.findall(r"^```toml\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE), 1)
    if path.stem != "kaggle"  # its tables say how a kernel is built
]


def list_settings() -> set[str]:
    """Return the dotted name of every setting of the kernels, their backends and trainers, and of quorum.toml."""
    known = {setting.name for kind in (RunSettings, TrainSettings, Description) for setting in describe_settings(kind)}
    for table, kinds in (("backend", list_backend_settings()), ("trainer", list_trainer_settings())):
        known.add(f"{table}.name")
        for caption, kind in kinds.items():
            inner = "experts." if ".experts]" in caption else ""
            known |= {f"{table}.{inner}{setting.name}" for setting in describe_settings(kind)}
    return known


def names_of(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in table.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from names_of(value, f"{prefix}{name}.")


@pytest.mark.parametrize("block", BLOCKS)
def test_a_toml_block_of_the_documentation_names_settings_that_exist(block: str) -> None:
    known = list_settings()
    tables = {name.rpartition(".")[0] for name in known}
    tables |= {name.partition(".")[0] for name in tables}
    free = tuple(f"{name}." for name in ("refine.reader", "refine.verify.backend", "prompt.template.hints"))
    names = list(names_of(tomllib.loads(block)))
    assert names
    assert [name for name in names if name not in known | tables and not name.startswith(free)] == []
