"""Quorum works without a home, for a user without rights, in a read-only checkout, and in folders of any name."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.paths import ROOT, SOURCES

WITHOUT_RIGHTS = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")  # root that may do no more than others
NAMES = ["plain", "a b", "[1]*?", "é漢😀", "~", "-x", "%41", "'\"", "{x}"]
CLOCK = """
import time

def read_clock(last=[time.time()]):
    last[0] -= 3600  # every reading is an hour before the last one
    return last[0]

time.time, time.time_ns = read_clock, lambda: int(read_clock() * 1e9)
"""
VERBS = """
$QUORUM doctor train.csv --repair clean.parquet && $QUORUM split train.csv --out split &&
$QUORUM vote one.csv two.csv --method mean --out vote.csv && $QUORUM score vote.csv one.csv &&
$QUORUM leaderboard && $QUORUM run infer $KERNELS/neighbour.toml 'questions=["split/heldout.parquet"]' sample= \
train=split/train.parquet out=out && $QUORUM bundle neighbour --out built
"""


def write_files(folder: Path) -> None:
    rows = "".join(f"q{n},Which is number {n * 37 % 101}?,one {n},two {n},{'AB'[n % 2]}\n" for n in range(40))
    (folder / "train.csv").write_text(f"id,question,A,B,answer\n{rows}")
    for name in ("one", "two"):
        (folder / f"{name}.csv").write_text("id,answer\nq1,A\nq2,B\n")


def run_all(folder: Path, checkout: Path, before: Sequence[str] = ()) -> None:
    """Run several verbs in a folder, with no variable but these."""
    quorum = f"{sys.executable} -m quorum.cli"
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    variables |= {"QUORUM": quorum, "KERNELS": str(checkout / "kernels"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*before, "bash", "-c", VERBS],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    written = {path.name for path in folder.iterdir()}
    assert written >= {"clean.parquet", "split", "vote.csv", "out", "built"}
    assert not list(folder.rglob("*.part"))


@pytest.mark.slow
def test_every_folder_name_works_without_a_home(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*NAMES)
    folder.mkdir(parents=True)
    write_files(folder)
    run_all(folder, ROOT)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(folder)]
    assert outside == []


def test_a_clock_that_steps_back_changes_no_duration(tmp_path: Path) -> None:
    write_files(tmp_path)
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK)  # in the verb's process and in its kernel's
    (tmp_path / "test.csv").write_text("id,question,A,B\nx1,Which is number 5?,one 5,two 5\n")
    (tmp_path / "sample_submission.csv").write_text("id,answer\nx1,A\n")
    environment = {**os.environ, "PYTHONPATH": f"{SOURCES}:{tmp_path / 'clock'}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "quorum.cli", "submit", ".", "--member", str(ROOT / "kernels" / "neighbour.toml")]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in (tmp_path / "submissions" / "ledger.jsonl").read_text().splitlines()]
    assert {entry["name"] for entry in entries} >= {"neighbour", "prior"}
    assert all(0 <= entry["seconds"] < 300 for entry in entries)
    assert len({entry["name"] for entry in entries}) == len(entries), "the second call recorded a submission again"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root needs setpriv to drop its rights")
def test_a_read_only_checkout_is_enough_for_a_user_without_rights(tmp_path: Path) -> None:
    checkout, folder = tmp_path / "checkout", tmp_path / "work"
    for part in ("src", "kernels", "locks"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", checkout)
    folder.mkdir()
    write_files(folder)
    everything = [checkout, *checkout.rglob("*")]
    for path in everything:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        run_all(folder, checkout, WITHOUT_RIGHTS if os.geteuid() == 0 else ())
        assert [checkout, *checkout.rglob("*")] == everything
        refused = subprocess.run(
            [*(WITHOUT_RIGHTS if os.geteuid() == 0 else ()), sys.executable, "-m", "quorum.cli", "doctor", "train.csv"]
            + ["--repair", str(checkout / "clean.csv")],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (refused.returncode, refused.stderr.splitlines()[-1]) == (
            2,
            f"error: {checkout / 'clean.csv'}: Permission denied",
        )
    finally:
        for path in everything:
            path.chmod(path.stat().st_mode | 0o200)
