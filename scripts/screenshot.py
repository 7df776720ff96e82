"""Photograph a page in headless Chromium: docs/report.png is the report on a real run.

python scripts/screenshot.py docs/report.png build/report/index.html --width 1280 --height 1290
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from quorum.console import DONE, print_json, run_program
from quorum.errors import BadInput

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DARK = "preferredColorScheme=0"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("page", type=Path, help="an HTML file")
    parser.add_argument("--width", type=int, default=1280, help="of the window, in pixels (default: 1280)")
    parser.add_argument("--height", type=int, default=900, help="of the window, in pixels (default: 900)")
    parser.add_argument("--dark", action="store_true", help="in dark mode")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a line")
    parser.add_argument("--at", default="", help="part of the page to open, such as question-1")
    given = parser.parse_args()
    if not given.page.is_file():
        raise BadInput(f"{given.page}: no such file; hint: make report")
    take_screenshot(given.page, given.out, (given.width, given.height), given.dark, given.at)
    print_json({"out": str(given.out)}) if given.json else print(f"{given.out}: {given.width} x {given.height}")
    return DONE


def take_screenshot(page: Path, out: Path, size: tuple[int, int], dark: bool, at: str = "") -> None:
    """Write a PNG of the top of a page.

    Raises:
        BadInput: there is no Chromium, or it wrote no picture.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise BadInput(f"no browser among {', '.join(BROWSERS)}; hint: apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile:
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--window-size={size[0]},{size[1]}",
            *([f"--blink-settings={DARK}"] if dark else []),
            f"--screenshot={out.resolve()}",
            "--virtual-time-budget=5000",  # for what the page does after it is loaded
        ]
        url = page.resolve().as_uri() + (f"#{at}" if at else "")
        done = subprocess.run([browser, *options, url], capture_output=True, text=True, check=False)
    if done.returncode or not out.is_file():
        raise BadInput(f"{browser} wrote no picture: {done.stderr[-300:]}")


if __name__ == "__main__":
    run_program(main)
