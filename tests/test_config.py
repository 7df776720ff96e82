from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from quorum.config import from_table, read_config
from quorum.errors import BadInput


@dataclass(frozen=True)
class Settings:
    out: Path
    backend: Literal["fake", "encoder"] = "fake"
    rate: float = 0.5
    count: int = 3
    names: tuple[str, ...] = ()
    model: str | None = None
    on: bool = False
    table: Mapping[str, Any] = field(default_factory=dict)


def read(tmp_path, text, *overrides):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return read_config(Settings, path, overrides)


def test_a_table_becomes_the_dataclass(tmp_path):
    settings = read(tmp_path, 'out = "x.csv"\nbackend = "encoder"\nrate = 1\nnames = ["a"]\nmodel = ""')
    assert settings == Settings(Path("x.csv"), "encoder", 1.0, 3, ("a",), None)


def test_an_override_wins_over_the_file_and_a_bare_word_is_text(tmp_path):
    settings = read(tmp_path, 'out = "x.csv"\ncount = 1', "count=7", "out=runs/y.csv", "on=true")
    assert (settings.count, settings.out, settings.on) == (7, Path("runs/y.csv"), True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('out = "x"\nrat = 1', "unknown setting 'rat'; allowed are out, backend, rate"),
        ('out = "x"\nbackend = "vlm"', "setting 'backend' is 'vlm'; allowed are fake, encoder"),
        ('out = "x"\ncount = "3"', "setting 'count' is '3', which is not a whole number"),
        ('out = "x"\ncount = true', "setting 'count' is True, which is not a whole number"),
        ('out = "x"\non = 1', "setting 'on' is 1, which is not a truth value"),
        ('out = "x"\nnames = "a"', "setting 'names' is 'a', which is not a list, each a text"),
        ('out = "x"\ntable = "a"', "setting 'table' is 'a', which is not a table"),
        ("count = 1", "setting 'out' is missing"),
        ("out = ", "not a TOML file"),
    ],
)
def test_a_wrong_table_says_where_what_and_what_is_allowed(tmp_path, text, message):
    with pytest.raises(BadInput) as error:
        read(tmp_path, text)
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "settings.toml"))


@dataclass(frozen=True)
class Kernel:
    backend: dict[str, Any]
    run: str = "r"


def test_an_override_reaches_into_a_table(tmp_path):
    path = tmp_path / "kernel.toml"
    path.write_text('[backend]\nname = "encoder"\n')
    assert read_config(Kernel, path, ["backend.model=m", "run=x"]) == Kernel({"name": "encoder", "model": "m"}, "x")
    with pytest.raises(BadInput, match="'run.x' cannot be set: 'run' is not a table"):
        read_config(Kernel, path, ["run=x", "run.x=1"])


def test_an_override_without_an_equals_sign_is_refused(tmp_path):
    with pytest.raises(BadInput, match="'count' is not a key=value"):
        read(tmp_path, 'out = "x"', "count")


class Model:
    def __init__(self, *, path: str, rate: float = 1.0, solved: list[str] | None = None) -> None:
        self.made = (path, rate, solved)


def test_any_constructor_takes_its_settings_from_a_table_and_the_rest_from_the_program():
    assert from_table(Model, {"path": "x", "rate": 2}, "here", solved=["q"]).made == ("x", 2.0, ["q"])
    with pytest.raises(BadInput, match="unknown setting 'solved'; allowed are path, rate"):
        from_table(Model, {"path": "x", "solved": 1}, "here", solved=[])
