"""`quorum vote` prints which runs it used and which it left out."""

from pathlib import Path

import pytest

from quorum.cli.main import run_command_line


def test_a_run_without_a_weight_is_printed_as_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = [("ADCB"[n % 4]) for n in range(24)]
    runs = {"one": right, "two": [*right[:-1], "A"], "three": ["D", *right[1:]], "constant": ["B"] * 24}
    for name, cells in runs.items():
        lines = "".join(f"q{n},{cell}\n" for n, cell in enumerate(cells))
        (tmp_path / f"{name}.csv").write_text(f"id,answer\n{lines}", encoding="utf-8")
    paths = [str(tmp_path / f"{name}.csv") for name in runs]
    assert run_command_line(["vote", *paths, "--out", str(tmp_path / "vote.csv")]) == 0
    assert "left out: constant" in capsys.readouterr().out
