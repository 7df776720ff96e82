"""The number type that a CPU computes fast in."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorum.engine import cpu_speed
from quorum.engine.cpu_speed import choose_cpu_dtype, read_cpu_flags
from quorum.errors import BadInput
from quorum.model.backend import resolve_number_type

FAST = frozenset({"avx512f", "amx_bf16"})


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A CPU with fast units, whose measurements are those of the list, the last one first."""
    ratios = [6.0]
    monkeypatch.delenv("QUORUM_CPU_DTYPE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cpu_speed, "read_cpu_flags", lambda: FAST)
    monkeypatch.setattr(cpu_speed, "measure_bfloat16", lambda: ratios.pop())
    choose_cpu_dtype.cache_clear()
    yield ratios
    choose_cpu_dtype.cache_clear()


def test_fast_units_are_used_if_a_measurement_confirms_them(measured: list[float], tmp_path: Path) -> None:
    assert choose_cpu_dtype() == "bfloat16"
    choose_cpu_dtype.cache_clear()
    assert measured == []  # a second measurement would fail
    assert choose_cpu_dtype() == "bfloat16"
    (tmp_path / "quorum" / "cpu-speed.json").write_text("damaged")
    measured.append(1.1)
    choose_cpu_dtype.cache_clear()
    assert choose_cpu_dtype() == "float32"
    assert list(json.loads((tmp_path / "quorum" / "cpu-speed.json").read_text()).values()) == [1.1]


def test_a_cpu_without_the_units_is_not_measured(measured: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_speed, "read_cpu_flags", lambda: frozenset({"avx512f"}))
    assert choose_cpu_dtype() == "float32"
    assert measured == [6.0]


def test_the_environment_decides_before_the_measurement(measured: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUORUM_CPU_DTYPE", "float32")
    assert choose_cpu_dtype() == "float32"
    monkeypatch.setenv("QUORUM_CPU_DTYPE", "float16")
    choose_cpu_dtype.cache_clear()
    with pytest.raises(BadInput, match="QUORUM_CPU_DTYPE is 'float16'; allowed are float32, bfloat16"):
        choose_cpu_dtype()


def test_the_type_is_part_of_a_table_only_where_auto_is_bfloat16(
    measured: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {"name": "encoder"}
    assert resolve_number_type(table) == {"name": "encoder", "dtype": "bfloat16"}
    assert resolve_number_type({**table, "dtype": "float32"}) == {**table, "dtype": "float32"}
    assert resolve_number_type({**table, "device": "cuda"}) == {**table, "device": "cuda"}
    assert resolve_number_type({"name": "neighbour"}) == {"name": "neighbour"}
    pooled = {"name": "ray", "inner": table}
    assert resolve_number_type(pooled)["inner"] == {"name": "encoder", "dtype": "bfloat16"}
    monkeypatch.setenv("QUORUM_CPU_DTYPE", "float32")
    choose_cpu_dtype.cache_clear()
    assert resolve_number_type(table) == table  # so a journal of an older version is still valid


def test_flags_are_those_of_the_first_processor(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nflags\t\t: fpu amx_bf16\n\nprocessor\t: 1\nflags\t\t: other\n")
    assert read_cpu_flags(file) == {"fpu", "amx_bf16"}
    assert read_cpu_flags(tmp_path / "missing") == frozenset()
