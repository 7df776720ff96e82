"""Tables and lines fit into 80 columns, on a terminal and in a log."""

import pytest

from quorum.cli.board import print_ladder
from quorum.cli.tables import print_table, wrap_lines
from quorum.competition.climb import Rung
from quorum.competition.ladder import Ladder
from quorum.evaluation.compare import PairedDifference


def test_a_long_name_is_folded_and_numbers_are_kept_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table(["run", "score ± error", "n"], [["a-run-with-a-name-that-is-long " * 2, "0.725 ± 0.028", "298"]])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 40
    assert "0.725 ± 0.028 298" in shown
    assert "".join(shown.split()).count("a-run-with-a-") == 2


def test_numbers_that_are_too_many_for_the_width_are_wrapped_and_not_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    cells = ["arc-c", "0.283 ± 0.059", "0.300 ± 0.060", "−0.178 to +0.212", "18 : 17"]
    print_table(["benchmark", "base", "tuned", "95 %", "only one right"], [cells])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 40
    assert all(part in shown.split() for cell in cells for part in cell.split())


def test_markup_in_a_name_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["run", "n"], [["[red]x[/red]", "1"]], title="[bold]", caption="[x]")
    shown = capsys.readouterr().out
    assert "[red]x[/red]" in shown
    assert "[bold]" in shown
    assert "[x]" in shown


def test_lines_are_wrapped_one_by_one_with_the_rest_indented() -> None:
    assert wrap_lines("one two three\n\nfour", 9) == "one two\n  three\n\nfour"
    assert wrap_lines("an-unbreakable-path/with-hyphens", 9) == "an-unbreakable-path/with-hyphens"


def test_a_ladder_lists_the_stages_that_were_tried_and_one_line_for_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    pair = PairedDifference(
        first="x",
        second="y",
        difference=-0.128,
        error=0.024,
        low=-0.2,
        high=-0.1,
        only_first=1045,
        only_second=1007,
        test="exact McNemar",
        p=1e-7,
        adjusted=1e-7,
        smallest=0.05,
    )
    rungs = (
        Rung(stage="base", value=0.329, calls=1.0, seconds=0.033),
        Rung(
            stage="chain-of-thought, where it pays",
            value=0.456,
            calls=10.25,
            seconds=12.5,
            difference=pair,
            p=1e-7,
            adjusted=1.6e-7,
            kept=False,
            reason="loses",
        ),
    )
    skipped = {"votes": "it writes no text", "calibrated": "no letters", "verify": "it writes no text"}
    print_ladder(Ladder(metric="accuracy", n=298, rungs=rungs, skipped=skipped, settings={}))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-2:] == [
        "not tried: votes, verify (it writes no text); calibrated (no letters)",
        "no stage gains; the base is kept",
    ]
    row = next(line for line in lines if line.startswith("chain"))
    assert " ".join(row.split()[-10:]) == "0.456 -0.128 -0.200 to -0.100 1.6e-07 10.25 12500 no: loses"
