"""A path names one file: it is never a pattern, a home folder or an address, and every name can be read and written."""

import os
import re
from pathlib import Path

import polars as pl
import pytest

from quorum.errors import BadInput
from quorum.files.runs import read_runs
from quorum.tables.parquet import (
    read_parquet_columns,
    read_parquet_file,
    scan_parquet_files,
    write_parquet_file,
)
from tests.support.paths import SOURCES

NAMES = ["x[1]", "x*", "x?", "~", "~root", "%41", "a b", "{a,b}", "é漢", "a=1", "file:", "s3:", os.fsdecode(b"c\xff")]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("inside", [True, False])
def test_the_named_file_is_written_and_read_and_no_other(
    name: str, inside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = Path(name, "t.parquet") if inside else Path(f"{name}.parquet")
    for other in ("x1.parquet", "xy.parquet"):
        write_parquet_file(pl.DataFrame({"of": ["another"]}), Path(other))
    with pytest.raises(FileNotFoundError) as missing:
        read_parquet_file(path)
    assert missing.value.filename == str(path)
    write_parquet_file(pl.DataFrame({"of": ["its own"]}), path)
    assert path.is_file()
    assert read_parquet_file(path)["of"].to_list() == ["its own"]
    assert list(read_parquet_columns(path)) == ["of"]
    assert scan_parquet_files([path, path]).collect()["of"].to_list() == ["its own"] * 2
    assert not Path("home").exists()


@pytest.mark.parametrize("cut", [4, 60, -9, -1])
def test_a_damaged_file_is_bad_input(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_parquet_file(pl.DataFrame({"a": list(range(1000))}), path)
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    for read in (read_parquet_file, read_parquet_columns):
        with pytest.raises(BadInput, match="not a Parquet file, or a damaged one") as refused:
            read(path)
        assert "\n" not in str(refused.value)
    path.write_bytes(content[:40] + bytes(80) + content[120:])
    with pytest.raises(BadInput, match="x.parquet: not a Parquet file"):
        read_parquet_file(path)


def test_a_run_with_a_pattern_in_its_name_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "comp [1]"
    folder.mkdir()
    frame = pl.DataFrame({"id": ["q1"], "answer": ["B"]})
    write_parquet_file(frame, folder / "run.parquet")
    assert read_runs([folder / "run.parquet"])["label"].to_list() == ["B"]


def test_no_other_module_gives_polars_a_path() -> None:
    calls = re.compile(
        r"\b(?:read|scan|sink|write)_(?:parquet|parquet_schema|csv|ndjson|ipc)\((?!io\.BytesIO|file\b|path\.read_b)"
    )
    found = {
        path.name: calls.findall(path.read_text(encoding="utf-8"))
        for path in SOURCES.rglob("*.py")
        if path.name != "parquet.py" and "import polars" in path.read_text(encoding="utf-8")
    }
    assert len(found) > 10
    assert {name: calls for name, calls in found.items() if calls} == {}
