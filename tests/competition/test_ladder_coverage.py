"""The intervals that a ladder promises hold the truth: benchmarks/ladder_coverage.py with a few competitions."""

import json
import subprocess
import sys

import pytest

from tests.support.paths import ROOT


@pytest.mark.slow
def test_the_promised_intervals_hold_the_truth_in_most_of_a_few_competitions() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "ladder_coverage.py"), "--competitions", "80", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["all"]
    assert found["competitions"] == 80
    # 80 draws at 95 % give fewer than 70 with a probability below .5 %
    assert min(found["value"], found["test"]) >= 70 / 80, found
    assert abs(found["bias"]) < abs(found["naive bias"]) + 0.01
