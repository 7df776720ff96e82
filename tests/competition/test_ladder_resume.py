"""A ladder, an ablation or a sweep that was killed goes on: what was finished is reused, and the result is the same."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.competitions import write_random_competition
from tests.support.paths import SOURCES
from tests.support.verb import run_verb

STAGES = ("in turns: refine.shuffle.orders=cyclic", "another model: backend.seed=7 backend.accuracy=0.9")
VERBS = {
    "ladder": ["--member", "member.toml", "--only", *[word for text in STAGES for word in ("--stage", text)]],
    "ablate": ["--member", "member.toml", "--only", *[word for text in STAGES for word in ("--arm", text)]],
    "sweep": ["member.toml", "--grid", "backend.seed=1,2,3"],
}
FINISHED = {"ladder": "in turns: accuracy", "ablate": "in turns: ", "sweep": "backend.seed=2: accuracy"}


@pytest.fixture
def competition(tmp_path: Path) -> Path:
    write_random_competition(tmp_path, 120, "bias = {A = 2.0}")
    return tmp_path


def kill_after(line: str, *words: str, cwd: Path) -> None:
    """Start a verb, and kill it with its kernel as soon as it prints this line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "quorum.cli", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for printed in process.stderr:
        if printed.startswith(line):
            os.killpg(process.pid, signal.SIGKILL)
            break
    else:
        pytest.fail(f"{words[0]} ended without {line!r}")
    process.communicate()


def drop_times(value: Any) -> Any:
    """What was printed as JSON, without times."""
    if isinstance(value, dict):
        return {name: drop_times(each) for name, each in value.items() if "seconds" not in name and name != "cost"}
    return [drop_times(each) for each in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_what_was_finished_before_a_kill_is_reused(competition: Path, verb: str) -> None:
    words = (verb, str(competition), *VERBS[verb], "--json")
    (first, second) = (competition / "killed", competition / "whole")
    for workspace in (first, second):
        workspace.mkdir()
        (workspace / "member.toml").write_text((competition / "member.toml").read_text())
    kill_after(FINISHED[verb], *words, cwd=first)
    resumed, whole = run_verb(*words, cwd=first), run_verb(*words, cwd=second)
    assert (resumed.returncode, whole.returncode) == (0, 0), resumed.stderr + whole.stderr
    reused = [line for line in resumed.stderr.splitlines() if "unchanged since" in line]
    assert len(reused) == 2, resumed.stderr
    assert "unchanged since" not in whole.stderr
    assert drop_times(json.loads(resumed.stdout)) == drop_times(json.loads(whole.stdout))
