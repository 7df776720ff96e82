"""The help and the errors of kernels and scripts."""

import importlib
import subprocess
import sys
import typing
from dataclasses import fields
from pathlib import Path

import pytest

from quorum.config import describe_settings
from quorum.model.backend import list_backend_settings
from quorum.train.trainer import list_trainer_settings
from tests.support.help_text import NOT_FOR_HELP, show_help
from tests.support.paths import KERNELS, ROOT

STORIES = sorted(KERNELS.glob("*.py"))
PROGRAMS = [*sorted((ROOT / "scripts").glob("*.py")), *STORIES]
INNER = {"infer": list_backend_settings, "train": list_trainer_settings}  # settings of tables that depend on a name
COLUMNS = 80
OWN_SETTINGS = 12


def load_settings_class(story: Path) -> type:
    """Return the dataclass that the story's main takes."""
    kind: type = next(iter(typing.get_type_hints(importlib.import_module(story.stem).main).values()))
    return kind


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_help_needs_no_heavy_import(program: Path) -> None:
    shown, loaded = show_help(str(program))
    assert "--json" in shown or program in STORIES
    assert not loaded & NOT_FOR_HELP


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_a_wrong_argument_ends_with_code_2_and_no_traceback(program: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(program), "--no-such-setting", "x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr[-500:]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_a_kernel_has_few_settings_of_its_own(story: Path) -> None:
    assert 0 < len(fields(load_settings_class(story))) <= OWN_SETTINGS


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_the_help_of_a_kernel_lists_every_setting_with_its_meaning(story: Path) -> None:
    lines = show_help(str(story))[0].partition("\nsettings (")[2].splitlines()
    text = "".join("".join(lines).split())  # a line may end at a hyphen
    for kind in (load_settings_class(story), *INNER.get(story.stem, dict)().values()):
        settings = list(describe_settings(kind))
        assert settings
        for setting in settings:
            assert setting.meaning.endswith("."), f"{kind.__name__}.{setting.name} has no meaning"
            assert any(line.startswith(f"  {setting.name}: ") for line in lines), setting.name
            assert "".join(setting.meaning.split()) in text
    assert max(map(len, lines)) <= COLUMNS
