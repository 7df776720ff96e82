"""`quorum submit` is killed at random times: benchmarks/resume.py with a few kills."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT, SOURCES


@pytest.mark.slow
def test_a_dozen_kills_lose_nothing_repeat_nothing_and_end_with_the_same_submissions(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "resume.py"), "--kills", "12", "--rows", "60"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert (found["kills"], found["problems"]) == (12, [])
    assert found["calls"] - found["repeated calls"] == found["rounds"] * found["prompts"]
    assert found["repeated calls"] <= 12 * 4, "a kill costs at most one batch"
