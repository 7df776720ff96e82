"""The README's picture is drawn from what a command prints."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT, SOURCES


def test_what_a_command_prints_is_drawn(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "picture.py"), str(tmp_path / "board.svg"), "leaderboard"]
    env = os.environ | {"PYTHONPATH": str(SOURCES)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    drawn = (tmp_path / "board.svg").read_text()
    assert drawn.startswith("<svg")
    assert "quorum&#160;leaderboard" in drawn
    assert "no&#160;submissions&#160;yet" in drawn


def test_a_command_that_fails_is_not_drawn(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "picture.py"), str(tmp_path / "x.svg"), "doctor", "nowhere.csv"]
    env = os.environ | {"PYTHONPATH": str(SOURCES)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 2)  # its own line and the command's
    assert not (tmp_path / "x.svg").exists()
