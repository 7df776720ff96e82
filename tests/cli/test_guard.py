"""No output of a verb replaces one of its inputs; what has no end, no name or no rows is refused in one line."""

import json
import os
from pathlib import Path

import polars as pl
import pytest

from quorum.cli.main import run_command_line
from quorum.console import BAD_INPUT, DONE, run_program

ROWS = "".join(f"q{n},Which is number {n * 37 % 101}?,one {n},two {n},{'AB'[n % 2]}\n" for n in range(40))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with questions, two runs and a link to the questions."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text(f"id,question,A,B,answer\n{ROWS}")
    (tmp_path / "runs.csv").write_text("id,one,two\n" + "".join(f"q{n},A,B\n" for n in range(40)))
    (tmp_path / "gold.csv").write_text("id,answer\n" + "".join(f"q{n},{'AB'[n % 2]}\n" for n in range(40)))
    (tmp_path / "replies.jsonl").write_text(
        "".join(json.dumps({"id": f"q{n}", "prompt": "p", "completion": "A"}) + "\n" for n in range(3))
    )
    pl.read_csv("good.csv").write_parquet("train.parquet")
    (tmp_path / "link.csv").symlink_to("good.csv")
    os.link("good.csv", "hard.csv")
    return tmp_path


def run(*words: str) -> int:
    """Run a verb in this process; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        run_program(lambda: run_command_line(words))
    return int(str(ended.value.code))


def refuse(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a verb that has to refuse its input in one line; return the line."""
    assert run(*words) == BAD_INPUT
    lines = capsys.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1
    assert lines[-1] == errors[0]
    return errors[0]


@pytest.mark.parametrize(
    "words",
    [
        ("vote", "runs.csv", "--out", "runs.csv"),
        ("vote", "runs.csv", "--gold", "gold.csv", "--out", "./gold.csv"),
        ("doctor", "good.csv", "--repair", "good.csv"),
        ("doctor", "good.csv", "--repair", "link.csv"),
        ("doctor", "link.csv", "--repair", "hard.csv"),
        ("explore", "good.csv", "--grouped", "good.csv"),
        ("rows", "replies.jsonl", "--all", "--out", "replies.jsonl"),
        ("read-replies", "replies.jsonl", "--out", "replies.jsonl"),
        ("split", "train.parquet", "--out", "."),
        ("split", ".", "--out", "."),
    ],
    ids=" ".join,
)
def test_an_output_that_is_an_input_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "which would be lost; name another place" in refuse(capsys, *words)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("words", [("--out", ""), ("--out=",)])
def test_an_empty_output_is_not_the_current_folder(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert refuse(capsys, "split", "good.csv", *words).startswith("error: --out: the path is empty")
    assert not (folder / "heldout.parquet").exists()


def test_a_pipe_or_a_device_is_no_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("fifo.csv")
    Path("zero.csv").symlink_to("/dev/zero")
    for name in ("fifo.csv", "zero.csv"):
        assert refuse(capsys, "doctor", name).startswith(f"error: {name}: not a regular file")


def test_an_error_with_thousands_of_columns_is_short(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ",".join(f"c{n}" for n in range(5000))
    Path("wide.csv").write_text(f"{names}\n{names}\n")
    assert len(refuse(capsys, "doctor", "wide.csv")) < 1000
    assert len(refuse(capsys, "vote", "wide.csv", "--out", "v.csv", "--column", "x" * 9000)) < 4200


def test_a_file_name_forges_no_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "good.csv\n0 errors"
    Path(name).write_text(Path("good.csv").read_text())
    assert run("doctor", name) == DONE
    assert capsys.readouterr().out.startswith("good.csv\\n0 errors: 40 rows")


def test_a_key_that_is_twice_in_an_object_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = '{"id": 1, "question": "q?", "A": "a", "B": "b", "answer": "A", "answer": "B"}'
    Path("twice.jsonl").write_text(f"{row}\n{row}\n")
    assert "line 1: not JSON: an object has the key 'answer' twice" in refuse(capsys, "doctor", "twice.jsonl")


def test_agreement_needs_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("labels.csv").write_text("h,r\n")
    assert refuse(capsys, "agreement", "labels.csv", "--human", "h", "--rater", "r").endswith("the file has no rows")


def test_rows_says_what_it_leaves_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("miss.csv").write_text(f"id,question,A,B,answer\n{ROWS}x,Which one?,a,b,\ny,Which other?,a,b,Z\n")
    assert run("rows", "miss.csv", "--all", "--out", "rows.jsonl") == DONE
    assert "miss.csv: 2 of 42 rows left out: row 41 (x): " in capsys.readouterr().err
