"""The examples of docs/notebook.md run as they are, in a folder with a copy of the sample."""

import doctest
import re
import shutil
from pathlib import Path

import pytest

import quorum
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "notebook.md").read_text()


def test_the_page_lists_every_function_of_the_package() -> None:
    rows = re.findall(r"^\| `quorum\.(\w+)\(", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(name for name in quorum.__all__ if name != "BadInput")


def test_the_examples_print_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "data" / "sample", tmp_path / "data" / "sample")
    monkeypatch.chdir(tmp_path)
    source = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
    examples = doctest.DocTestParser().get_doctest(source, {}, "docs/notebook.md", None, 0)
    assert len(examples.examples) > 15
    messages: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=messages.append)
    assert "".join(messages) == ""
