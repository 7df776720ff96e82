"""Draw the output of a command as an SVG; docs/submit.svg is from a real run of `quorum submit`.

python scripts/picture.py docs/submit.svg submit data/sample
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from quorum.console import DONE, print_json, run_program
from quorum.errors import BadInput

WIDTH = 80


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="SVG file to write.")
    parser.add_argument("verb", help="Verb of quorum to run.")
    parser.add_argument("arguments", nargs="*", help="Arguments of the verb, such as data/sample.")
    parser.add_argument("--json", action="store_true", help="Print one JSON document instead of a line.")
    given = parser.parse_args()

    from rich.text import Text

    words = [given.verb, *given.arguments]
    text = Text.from_ansi(run_quorum(words))
    draw(text, f"quorum {' '.join(words)}", given.out)
    lines = len(text.split("\n"))
    print_json({"out": str(given.out), "lines": lines}) if given.json else print(f"{given.out}: {lines} lines")
    return DONE


def run_quorum(words: list[str]) -> str:
    """Run a verb in an empty workspace, and return its output, wrapped as on a terminal.

    Raises:
        BadInput: the verb fails.
    """
    from quorum.cli.tables import wrap_lines

    with tempfile.TemporaryDirectory() as workspace:
        data = Path(workspace) / "data"
        data.mkdir()
        (data / "sample").symlink_to(Path("data/sample").resolve())
        done = subprocess.run(
            [sys.executable, "-u", "-m", "quorum.cli", *words],
            cwd=workspace,
            env=os.environ | {"COLUMNS": str(WIDTH)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BadInput(f"quorum {' '.join(words)}: exit code {done.returncode}: {done.stdout[-500:]}")
    return wrap_lines(done.stdout.rstrip(), WIDTH)


def draw(text: object, title: str, out: Path) -> None:
    """Write the text as an SVG of a terminal."""
    from rich.console import Console

    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, highlight=False)
        console.print(text)
        out.parent.mkdir(parents=True, exist_ok=True)
        console.save_svg(str(out), title=title)


if __name__ == "__main__":
    run_program(main)
