"""Twenty kills of benchmarks/chaos.py: a file is the old or the new one, and Kaggle gets one version of a kernel."""

import json
import subprocess
import sys

import pytest

from tests.support.paths import ROOT, SOURCES


@pytest.mark.slow
def test_twenty_kills_of_vote_and_push_lose_and_repeat_nothing() -> None:
    command = [sys.executable, "benchmarks/chaos.py", "--kills", "20", "--targets", "vote", "push"]
    environment = {"PYTHONPATH": str(SOURCES), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert sum(target["kills"] for target in found.values()) >= 20
    assert {name: target["problems"] for name, target in found.items()} == {"vote": [], "push": []}
