"""A program's door: where a kernel or a script meets its user. The only module that prints."""

import argparse
import inspect
import json
import logging
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from quorum.config import Settings, describe_settings, read_config
from quorum.errors import BadInput

DONE, FOUND, BAD_INPUT = 0, 1, 2  # exit codes: done, found something wrong, bad input

# Once imported, bitsandbytes warns that a faster kernel of its own is missing, whether anything is in 4 bits or not.
_IDLE_LOGGER = "bitsandbytes.backends.cpu.ops"
# Seconds between the lines that tell a log how far a stage is.
_TOLD_EVERY = 180.0
# A program that draws the bars of the kernels it starts sets this variable for them: they then write marked lines.
PROGRESS_VARIABLE = "QUORUM_PROGRESS_LINES"
_PROGRESS_MARK = "\x01"

# How far a stage is: called with what is done and what there is in all.
Progress = Callable[[int, int], None]


def run_program(main: Callable[[], int]) -> None:
    """Runs a program and exits with its code: bad input ends in one clear line and code 2, never in a traceback."""
    run_first(main)
    sys.exit(DONE)


def run_first(main: Callable[[], int]) -> None:
    """As `run_program`, for what comes before the rest: it exits only with another code than DONE."""
    logging.getLogger(_IDLE_LOGGER).setLevel(logging.ERROR)
    try:
        code = main()
    except (BadInput, FileNotFoundError, IsADirectoryError, PermissionError) as error:
        print(f"error: {_line(error)}", file=sys.stderr)
        code = BAD_INPUT
    except BrokenPipeError:  # `| head` closed the pipe: nothing to tell anybody
        sys.stderr.close()
        code = DONE
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    if code:
        sys.exit(code)


def run_story(
    kind: type[Settings],
    story: Callable[[Settings], None],
    caption: str,
    inner: Callable[[], Mapping[str, type]] = dict,
) -> None:
    """Run a kernel: `python kernel.py SETTINGS.toml [key=value ...]` calls `story` with the settings as a `kind`.

    A setting that is true or false may be given as `--setting` too.

    Args:
        inner: gives the settings classes of tables whose content depends on a name, by caption, for `--help`.
    """
    parser = argparse.ArgumentParser(description=caption, formatter_class=argparse.RawDescriptionHelpFormatter)
    if {"-h", "--help"} & set(sys.argv[1:]):
        tables = {"settings (name: type = default)": kind, **inner()}
        parser.epilog = "\n\n".join(format_settings(title, each) for title, each in tables.items())
    parser.add_argument("toml", type=Path, help="TOML file with the settings below")
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help="overrides a setting of the file: backend.model=x"
    )
    flags = [name for name, each in inspect.signature(kind).parameters.items() if each.annotation in (bool, "bool")]
    for name in flags:
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=f"{name}=true")

    def main() -> int:
        args = parser.parse_intermixed_args()
        chosen = [f"{name}=true" for name in flags if getattr(args, name)]
        story(read_config(kind, args.toml, [*args.overrides, *chosen]))
        return DONE

    run_program(main)


def format_settings(title: str, kind: type) -> str:
    """Return the settings of a dataclass as a help text: name, type, default and meaning, at most 80 columns wide."""
    lines = [f"{title}:"]
    for setting in describe_settings(kind):
        default = ", required" if setting.default is None else f" = {setting.default}"
        lines += textwrap.wrap(
            f"{setting.name}: {setting.type}{default}", 80, initial_indent="  ", subsequent_indent=" " * 6
        )
        lines += textwrap.wrap(setting.meaning, 80, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def print_json(value: Any) -> None:
    """One JSON document on standard output, for machines."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def print_status(text: str) -> None:
    """Print one line on standard error."""
    print(text, file=sys.stderr, flush=True)


def print_warning(text: str) -> None:
    """Print one line that starts with "warning:" on standard error; `quorum submit` shows such lines of its kernels."""
    print_status(f"warning: {text}")


def read_environment_key(variable: str) -> str:
    """The key in the environment variable of that name; it is for a server alone and never written anywhere.

    Raises:
        BadInput: that is no name (perhaps the key itself: so it is not repeated here), or what it holds is no key.
    """
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", variable):
        raise BadInput("a key's setting is the NAME of an environment variable, in capitals, never the key itself")
    key = os.environ.get(variable, "").strip()
    if not key:
        raise BadInput(f"the environment variable {variable} holds no key")
    if not (key.isascii() and key.isprintable()):
        raise BadInput(f"the environment variable {variable} holds more than a key: signs that no header takes")
    return key


@contextmanager
def progress_bar(caption: str, clock: Callable[[], float] = monotonic) -> Iterator[Progress]:
    """How far a stage is, with rate and time left, on standard error.

    A terminal shows a bar, which disappears at the end; a log gets a plain line every three minutes, so that a short
    run leaves none. A program that started this one and set `PROGRESS_VARIABLE` gets lines for `parse_progress`.
    """
    if os.environ.get(PROGRESS_VARIABLE):
        yield lambda done, total: print_status(f"{_PROGRESS_MARK}{done} {total} {caption}")
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    calls: list[tuple[float, int]] = []  # the first and the latest: when, and what was done
    told = clock()
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(caption, total=None, pace="")

        def progress(done: int, total: int) -> None:
            nonlocal told
            now = clock()
            calls[1:] = [(now, done)]
            pace = _pace(*calls[0], *calls[-1], total)
            bar.update(task, completed=done, total=total, pace=pace)
            if not console.is_terminal and now - told >= _TOLD_EVERY:
                print_status(", ".join(filter(None, (f"{caption}: {done} of {total}", pace))))
                told = now

        yield progress


def parse_progress(line: str) -> tuple[str, int, int] | None:
    """The caption, what is done and what there is in all, if another program's `progress_bar` wrote this line."""
    found = re.fullmatch(rf"{_PROGRESS_MARK}(\d+) (\d+) (.*)", line)
    return (found[3], int(found[1]), int(found[2])) if found else None


def _pace(begun: float, known: int, now: float, done: int, total: int) -> str:
    """The rate and the time left; nothing while they are not known.

    Counted from the first call on: what a journal knew already, and the loading of a model, say nothing of the rest.
    """
    if done <= known or now <= begun:
        return ""
    rate = (done - known) / (now - begun)
    told = f"{rate:.1f} a second" if rate >= 1 else f"{60 * rate:.1f} a minute"
    return f"{told}, {timedelta(seconds=round((total - done) / rate))} left"


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
