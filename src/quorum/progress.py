"""Show the progress of a stage: a bar on a terminal, occasional lines in a log."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

# Called with the number of finished items and the number of all items.
Progress = Callable[[int, int], None]

# A program that shows the progress of the kernels it runs sets this variable for them; they then write marked lines.
PROGRESS_VARIABLE = "QUORUM_PROGRESS_LINES"
_PROGRESS_MARK = "\x01"
_LOG_SECONDS = 180.0  # between two lines in a log


@contextmanager
def progress_bar(caption: str, clock: Callable[[], float] = monotonic) -> Iterator[Progress]:
    """Yield a function that shows progress, rate and time left on standard error.

    A terminal shows a bar, which disappears at the end. A log gets a plain line every three minutes, so a short run
    leaves none. If the parent process has set `PROGRESS_VARIABLE`, it gets lines for `parse_progress`.
    """
    if os.environ.get(PROGRESS_VARIABLE):
        yield lambda done, total: _write_line(f"{_PROGRESS_MARK}{done} {total} {caption}")
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    calls: list[tuple[float, int]] = []  # the first and the latest: time, and items done
    printed = clock()
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(caption, total=None, pace="")

        def progress(done: int, total: int) -> None:
            nonlocal printed
            now = clock()
            calls[1:] = [(now, done)]
            pace = _format_pace(calls[0], calls[-1], total)
            bar.update(task, completed=done, total=total, pace=pace)
            if not console.is_terminal and now - printed >= _LOG_SECONDS:
                _write_line(", ".join(filter(None, (f"{caption}: {done} of {total}", pace))))
                printed = now

        yield progress


def parse_progress(line: str) -> tuple[str, int, int] | None:
    """Return the caption, the finished items and all items, if a kernel's `progress_bar` wrote this line."""
    found = re.fullmatch(rf"{_PROGRESS_MARK}(\d+) (\d+) (.*)", line)
    return (found[3], int(found[1]), int(found[2])) if found else None


def _format_pace(first: tuple[float, int], latest: tuple[float, int], total: int) -> str:
    """Return the rate and the time left; an empty text while they are not known.

    The rate is counted from the first call, without loading the model and without replies from a journal.
    """
    (begun, known), (now, done) = first, latest
    if done <= known or now <= begun:
        return ""
    rate = (done - known) / (now - begun)
    text = f"{rate:.1f} a second" if rate >= 1 else f"{60 * rate:.1f} a minute"
    return f"{text}, {timedelta(seconds=round((total - done) / rate))} left"


def _write_line(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
