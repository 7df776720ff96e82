"""The help and the errors of `quorum VERB`."""

import inspect
from pathlib import Path

import pytest

from quorum.cli.main import VERBS, run_command_line
from tests.support.help_text import NOT_FOR_HELP, show_help
from tests.support.paths import ROOT

VERB_FUNCTIONS = {name: function for verbs in VERBS.values() for name, function in verbs.items()}
COLUMNS = 80
CAPTION_COLUMNS = 60


@pytest.mark.parametrize("verb", ["", *VERB_FUNCTIONS])
def test_help_of_a_verb_describes_it_without_a_heavy_import(verb: str) -> None:
    shown, loaded = show_help("-m", "quorum.cli", *([verb] if verb else []))
    assert shown.startswith(f"Usage: quorum {verb}".rstrip())
    assert "--json" in shown or verb in ("", "run")
    assert max(map(len, shown.splitlines())) <= COLUMNS
    assert not loaded & NOT_FOR_HELP


def test_help_lists_every_verb_under_its_heading_in_one_line() -> None:
    lines = show_help("-m", "quorum.cli")[0].splitlines()
    for heading, verbs in VERBS.items():
        start = lines.index(f"{heading}:")
        listed = lines[start + 1 : start + 1 + len(verbs)]
        assert [line.split()[0] for line in listed] == list(verbs)


@pytest.mark.parametrize("verb", VERB_FUNCTIONS)
def test_a_verb_is_alone_in_its_file_and_has_a_short_caption(verb: str) -> None:
    function = VERB_FUNCTIONS[verb]
    assert Path(inspect.getfile(function)).stem == verb.replace("-", "_")
    assert function.__doc__
    assert len(function.__doc__.splitlines()[0]) <= CAPTION_COLUMNS


@pytest.mark.parametrize("verb", ["", *VERB_FUNCTIONS])
def test_a_wrong_option_of_a_verb_ends_in_one_line_with_code_2(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([*([verb] if verb else []), "--no-such-option"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1


def test_the_page_of_commands_lists_every_verb_once() -> None:
    rows = [line for line in (ROOT / "docs" / "commands.md").read_text().splitlines() if line.startswith("| `quorum ")]
    assert [row.split("`")[1].split()[1] for row in rows] == list(VERB_FUNCTIONS)
