"""The pictures of the documentation: what a command prints is drawn, and a page is photographed."""

import os
import subprocess
import sys
from pathlib import Path

from matplotlib.image import imread

from tests.support.chromium import needs_chromium
from tests.support.paths import ROOT, SOURCES


def test_what_a_command_prints_is_drawn(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "picture.py"), str(tmp_path / "board.svg"), "leaderboard"]
    env = os.environ | {"PYTHONPATH": str(SOURCES)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    drawn = (tmp_path / "board.svg").read_text()
    assert drawn.startswith("<svg")
    assert "quorum&#160;leaderboard" in drawn
    assert "no&#160;submissions&#160;yet" in drawn


def test_a_command_that_fails_is_not_drawn(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "picture.py"), str(tmp_path / "x.svg"), "doctor", "nowhere.csv"]
    env = os.environ | {"PYTHONPATH": str(SOURCES)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "exit code 2: error: nowhere.csv: No such file" in done.stderr
    assert not (tmp_path / "x.svg").exists()


@needs_chromium
def test_a_page_is_photographed_in_the_size_and_the_mode_that_are_requested(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    style = "body { background: white } @media (prefers-color-scheme: dark) { body { background: black } }"
    page.write_text(f"<style>{style}</style>")
    for mode, colour in ((), 255), (("--dark",), 0):
        out = tmp_path / f"{colour}.png"
        size = ("--width", "600", "--height", "700")
        command = [sys.executable, str(ROOT / "scripts" / "screenshot.py"), str(out), str(page), *size, *mode]
        env = os.environ | {"PYTHONPATH": str(SOURCES)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        pixels = imread(out)
        assert pixels.shape[:2] == (700, 600)
        assert round(float(pixels[350, 300, 0]) * 255) == colour


def test_a_page_that_does_not_exist_ends_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "screenshot.py"), str(tmp_path / "x.png"), "nowhere.html"]
    env = os.environ | {"PYTHONPATH": str(SOURCES)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
