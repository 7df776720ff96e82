"""Two thousand hostile rows through every verb of benchmarks/hostile.py."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT, SOURCES


@pytest.mark.slow
def test_hostile_rows_make_no_traceback_and_no_file_outside() -> None:
    command = [sys.executable, "benchmarks/hostile.py", "--rows", "2000"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert {verb["verb"] for verb in found} >= {"doctor", "split", "vote", "score", "submit", "report", "record"}
    assert sum(verb["code"] == 0 for verb in found) >= 10
