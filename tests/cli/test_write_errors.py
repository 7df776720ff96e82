"""What the operating system refuses is one line with exit code 2, and no temporary file remains."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from quorum.cli.main import run_command_line
from quorum.console import run_program
from tests.support.paths import ROOT, SOURCES

SAMPLE = ROOT / "data" / "sample"
TRAIN, TEST = SAMPLE / "train.csv", SAMPLE / "test.csv"


QUESTIONS = "".join(f"q{n},Which is number {n}?,one {n},two {n},{'AB'[n % 2]}\n" for n in range(40))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with a file, a loop of links, solved questions, and two runs to vote on."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("a file\n")
    Path("loop").symlink_to("loop")
    Path("train.csv").write_text(f"id,question,A,B,answer\n{QUESTIONS}")
    for name in ("one", "two"):
        Path(f"{name}.csv").write_text("id,answer\nq1,A\nq2,B\n")
    return tmp_path


def run(*words: object) -> int:
    """Run a verb in this process; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        run_program(lambda: run_command_line([str(word) for word in words]))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def read_error(capfd: pytest.CaptureFixture[str]) -> str:
    """Return the only line of standard error that reports an error, and check that no traceback is printed."""
    printed = capfd.readouterr().err
    assert "Traceback" not in printed, printed
    (line,) = [line for line in printed.splitlines() if line.startswith("error: ")]
    return line


REFUSED = {
    "file/out": "file(/.*)?: Not a directory",
    "loop/out": "loop(/.*)?: Too many levels of symbolic links",
    "x" * 300: "xxx.*: File name too long",
}
NEIGHBOUR = ROOT / "kernels" / "neighbour.toml"
ANSWERED = ("questions=['train.csv']", "sample=", "train=", "out={}")
WRITERS = {
    "doctor": ("doctor", "train.csv", "--repair", "{}.csv"),
    "split": ("split", "train.csv", "--out", "{}"),
    "vote": ("vote", "one.csv", "two.csv", "--method", "mean", "--out", "{}"),
    "rows": ("rows", "train.csv", "--all", "--out", "{}.jsonl"),
    "bundle": ("bundle", "neighbour", "--out", "{}"),
    "infer": ("run", "infer", NEIGHBOUR, *ANSWERED),
    "submit": ("submit", SAMPLE, "--member", NEIGHBOUR, "--submissions", "{}"),
}


@pytest.mark.parametrize("out", REFUSED, ids=["file", "loop", "long"])
@pytest.mark.parametrize("verb", ["doctor", "split", "vote", "rows", "bundle", "infer"])
def test_a_path_that_the_system_refuses_is_one_line(
    verb: str, out: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*(str(word).replace("{}", out) for word in WRITERS[verb])) == 2
    error = read_error(capfd)
    assert re.fullmatch(rf"error: .*{REFUSED[out]}", error), error
    assert list(folder.rglob("*.part")) == []


def run_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell command in which $QUORUM is the command line."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "QUORUM": f"{sys.executable} -m quorum.cli"}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("out", ["--out /dev/full", "--out vote.csv > /dev/full"])
def test_a_full_device_is_one_line_and_is_not_replaced(out: str, folder: Path) -> None:
    before = Path("/dev/full").stat()
    done = run_shell(f"$QUORUM vote one.csv two.csv --method mean {out}", folder)
    assert done.returncode == 2
    assert re.fullmatch(r"error: (/dev/full: |standard output: |)No space left on device\n", done.stderr), done.stderr
    assert Path("/dev/full").stat() == before
    assert not list(Path("/dev").glob(".full*"))


def test_output_can_be_written_to_a_pipe(folder: Path) -> None:
    done = run_shell("$QUORUM vote one.csv two.csv --method mean --out /dev/stdout | grep ^q", folder)
    assert (done.stdout, done.stderr) == ("q1,A\nq2,B\n", "")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_that_cannot_be_written_to_its_end_leaves_the_old_one_and_no_part(suffix: str, folder: Path) -> None:
    (folder / f"clean.{suffix}").write_text("the old one")
    done = run_shell(f"ulimit -f 1; $QUORUM doctor train.csv --repair clean.{suffix}", folder)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == f"error: clean.{suffix}: File too large"
    assert "Traceback" not in done.stderr
    assert (folder / f"clean.{suffix}").read_text() == "the old one"
    assert list(folder.rglob("*.part")) == []


@pytest.mark.slow
def test_a_kernel_of_submit_that_cannot_write_is_one_line(folder: Path) -> None:
    Path("toys").mkdir()
    Path("toys/train.csv").write_text(Path("train.csv").read_text())
    lines = [line.rpartition(",")[0].replace("q", "t", 1) for line in QUESTIONS.replace("number", "no.").splitlines()]
    Path("toys/test.csv").write_text("\n".join(["id,question,A,B", *lines]) + "\n")
    Path("runs/toys/neighbour/test.parquet").mkdir(parents=True)
    done = run_shell(f"$QUORUM submit toys --member {NEIGHBOUR}", folder)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: runs/toys/neighbour/test.parquet: Is a directory"
    assert list(folder.rglob("*.part")) == []
