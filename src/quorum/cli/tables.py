"""Print tables and lines: one style for every verb, at most as wide as the terminal, or 80 columns in a log."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quorum.console import print_status

if TYPE_CHECKING:
    from rich.console import Console

# Headings of the columns of names, which are aligned left and folded.
_LEFT = {
    *("", "#", "run", "stage", "arm", "candidate", "method", "subject", "reason", "letter", "fold"),
    *("severity", "finding", "row (id): found", "difference of"),
}


def report_line(text: str) -> None:
    """Print a line on standard error; on a terminal it is wrapped between words."""
    print_status(wrap_lines(text) if sys.stderr.isatty() else text)


def print_line(text: str) -> None:
    """Print one or more lines on standard output; on a terminal they are wrapped between words."""
    print(wrap_lines(text) if sys.stdout.isatty() else text)


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str] | None],
    title: str = "",
    caption: str = "",
    console: "Console | None" = None,
) -> None:
    """Print a table on standard output: the columns of names are folded if need be, numbers are aligned right.

    Args:
        rows: as many cells as there are headings; None draws a line.
        console: where to print instead.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title, style="bold") if title else None,
        title_justify="left",
        caption=Text(caption) if caption else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=0,
    )
    for heading in headings:
        names = heading in _LEFT
        table.add_column(Text(heading), justify="left" if names else "right", no_wrap=not names, overflow="fold")
    for row in rows:
        if row is None:
            table.add_section()
        else:
            table.add_row(*map(Text, row))
    (console or Console()).print(table)


def wrap_lines(text: str, width: int | None = None) -> str:
    """Return the text with its lines wrapped at `width`, by default that of the terminal; the rest is indented."""
    columns = width or shutil.get_terminal_size().columns
    wrapper = textwrap.TextWrapper(columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join("\n".join(wrapper.wrap(line)) for line in text.split("\n"))
