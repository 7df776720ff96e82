"""Run a verb of the command line in a process of its own, from the sources beside these tests."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.paths import SOURCES


def run_verb(
    *words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `quorum WORDS`; `env` is the whole environment, by default this one."""
    command = [sys.executable, "-m", "quorum.cli", *map(str, words)]
    environment = {**(os.environ if env is None else env), "PYTHONPATH": str(SOURCES)}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=timeout
    )
