"""The code blocks of CONTRIBUTING.md run in their order, as one program."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_code_of_the_page_runs_and_its_assertions_hold(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^## (Add .*)$", PAGE, re.MULTILINE)
    assert headings == ["Add a backend", "Add a metric", "Add a file layout", "Add a verb"]
    assert sum(block.count("assert ") for block in blocks) >= len(headings)
    (tmp_path / "page.py").write_text("\n".join(blocks))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "quiz.csv: 1 questions\n"


def test_the_files_that_the_page_names_exist() -> None:
    named = set(re.findall(r"`((?:src|tests|docs)/[\w./]+)`", PAGE))
    assert len(named) > 8
    assert [name for name in sorted(named) if "NAME" not in name and not (ROOT / name).exists()] == []
