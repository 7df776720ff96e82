"""How far a stage is: a bar on a terminal, a line every few minutes in a log, nothing of a short run."""

import logging
import re
from collections.abc import Callable

import pytest

from quorum.console import BAD_INPUT, DONE, PROGRESS_VARIABLE, parse_progress, progress_bar, run_first, run_story


def clock_of(*seconds: float) -> Callable[[], float]:
    """A clock that shows these times, one after the other."""
    return iter(seconds).__next__


def test_a_log_is_told_rate_and_time_left_every_three_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("my-run: test", clock_of(0, 100, 200, 300, 390)) as progress:
        for done in (100, 200, 300, 1200):
            progress(done, 5000)
    assert capsys.readouterr().err.splitlines() == [
        "my-run: test: 200 of 5000, 1.0 a second, 1:20:00 left",
        "my-run: test: 1200 of 5000, 3.8 a second, 0:16:42 left",
    ]


def test_a_log_of_a_short_run_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("my-run: test", clock_of(0, 60, 179)) as progress:
        progress(1, 2)
        progress(2, 2)
    assert capsys.readouterr() == ("", "")


def test_a_slow_stage_is_told_by_the_minute(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("my-run", clock_of(0, 0, 200)) as progress:
        progress(1, 100)
        progress(11, 100)
    assert capsys.readouterr().err == "my-run: 11 of 100, 3.0 a minute, 0:29:40 left\n"


def test_what_a_journal_knew_already_is_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("my-run", clock_of(0, 200, 400)) as progress:
        progress(3000, 5000)
        progress(3000, 5000)
    assert capsys.readouterr().err == "my-run: 3000 of 5000\n" * 2


def test_a_terminal_sees_the_rate_beside_the_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with progress_bar("my-run", clock_of(0, 10, 30)) as progress:
        progress(10, 100)
        progress(50, 100)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)  # without colours and cursor
    assert "my-run" in shown
    assert "50/100 2.0 a second, 0:00:25 left" in shown


def test_a_program_that_draws_the_bars_of_another_gets_lines_it_can_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROGRESS_VARIABLE, "1")
    with progress_bar("my run: test") as progress:
        progress(10, 100)
    (line,) = capsys.readouterr().err.splitlines()
    assert parse_progress(line) == ("my run: test", 10, 100)
    assert parse_progress("10 100 my run: test") is None


def test_a_kernel_without_settings_asks_for_the_one_file_that_it_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["train.py"])
    with pytest.raises(SystemExit) as stopped:
        run_story(object, lambda settings: None, "A story.")
    assert stopped.value.code == BAD_INPUT
    assert capsys.readouterr().err.endswith("train.py: error: the following arguments are required: toml\n")


def test_what_bitsandbytes_lacks_and_nobody_uses_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    run_first(lambda: DONE)
    logging.getLogger("bitsandbytes.backends.cpu.ops").warning("Failed to load CPU gemm_4bit_forward")
    assert caplog.records == []
