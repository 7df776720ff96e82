"""Run programs: print lines, JSON and progress, parse a kernel's arguments, turn errors into one line and a code."""

import argparse
import errno
import inspect
import io
import json
import logging
import os
import re
import sys
import tempfile
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, TextIO

from quorum.config import Settings, describe_settings, read_config
from quorum.disk import find_system_error
from quorum.errors import BadInput, redact, remember_secret

# Exit codes: done; found something wrong; bad input; an error that is a fault of Quorum's own.
DONE, FOUND, BAD_INPUT, SURPRISE = 0, 1, 2, 3
_LONGEST_ERROR = 4000  # characters of an error that is printed
_LONGEST_SURPRISE = 300  # characters of an unexpected error's message
PARENT_VARIABLE = "QUORUM_PARENT"  # in the environment of a kernel whose standard input ends with its parent
_STOPPED_BY_USER = 130

# Called with the number of finished items and the number of all items.
Progress = Callable[[int, int], None]

# A program that shows the progress of the kernels it runs sets this variable for them; they then write marked lines.
PROGRESS_VARIABLE = "QUORUM_PROGRESS_LINES"
_PROGRESS_MARK = "\x01"
_LOG_SECONDS = 180.0  # between two lines in a log

# C0 and C1 controls without tab and line feed, marks of direction, separators of lines, surrogates
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

_broken_names: dict[str, str] = {}  # names of files with line ends, and how they are shown

# Threads of OpenMP that wait sleep instead of spinning: next to other work, two that spin took 20 CPU seconds for what
# one does in 5.5, and two that sleep take 5.5 (the packaged encoder, 128 questions with passages).
PASSIVE_THREADS = {} if "OMP_WAIT_POLICY" in os.environ else {"OMP_WAIT_POLICY": "PASSIVE"}

# On import, bitsandbytes warns that one of its faster kernels is missing, even if no model is in 4 bits.
_IDLE_LOGGER = "bitsandbytes.backends.cpu.ops"


def run_program(main: Callable[[], int]) -> None:
    """Run a program and exit with its code; an error is reported in one line, without a traceback."""
    run_first(main)
    sys.exit(DONE)


def run_first(main: Callable[[], int]) -> None:
    """Run the first part of a program as `run_program` does, but return if its code is DONE.

    An error of the operating system, such as a full disk, is reported as bad input is. Any other error is a surprise:
    one line names the file with its traceback, and the exit code is SURPRISE.
    """
    _escape_unencodable()
    logging.getLogger(_IDLE_LOGGER).setLevel(logging.ERROR)
    os.environ.update(PASSIVE_THREADS)  # before a library reads it
    try:
        code = main()
        _flush_output()
    except BrokenPipeError:  # `| head` closed the pipe
        sys.stderr.close()
        code = DONE
    except KeyboardInterrupt:
        code = _STOPPED_BY_USER
        _print_last_line("stopped")
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 (the top level; a panic of a library in Rust is no Exception)
        # libraries report a full disk as errors of their own
        found = error if isinstance(error, BadInput) else find_system_error(error)
        code = SURPRISE if found is None else BAD_INPUT
        _print_last_line(f"error: {_format_surprise(error) if found is None else _format_error(found)}")
    if code:
        sys.exit(code)


def _escape_unencodable() -> None:
    """Write characters that the output's encoding lacks as \\xe9, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _format_surprise(error: BaseException) -> str:
    """Return one line on an error that is no wrong input, and write its traceback into a file that the line names.

    The file is in the current directory, or in the one for temporary files if that is read-only.
    """
    trace = redact("".join(traceback.format_exception(error))).encode(errors="backslashreplace")
    what = f"unexpected {type(error).__name__}: {_put_on_one_line(str(error))[:_LONGEST_SURPRISE]}"
    for folder in (Path(), Path(tempfile.gettempdir())):
        path = folder / f"quorum-error-{os.getpid()}-{time.time_ns():x}.txt"
        with suppress(OSError):
            path.write_bytes(trace)
            return f"{what}; the traceback is in {path}; please report it"
    return f"{what}; its traceback cannot be written"


def _flush_output() -> None:
    """Write what is buffered for standard output, so that an error is reported here and not when Python exits."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or errno.EIO), "standard output") from None


def _print_last_line(text: str) -> None:
    """Print a line on standard error, and drop output that cannot be written, which Python would try again at exit."""
    with suppress(OSError):
        print_text(text, sys.stderr)
    try:
        sys.stdout.flush()
    except (OSError, AttributeError):
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stop_with_parent() -> None:
    """End this process when its standard input ends, if its parent set `QUORUM_PARENT`: a killed parent ends it so."""

    def wait() -> None:
        with suppress(OSError):
            while os.read(0, 1024):
                pass
        os._exit(_STOPPED_BY_USER)

    if os.environ.pop(PARENT_VARIABLE, ""):
        threading.Thread(target=wait, daemon=True).start()


def run_story(
    kind: type[Settings],
    story: Callable[[Settings], None],
    caption: str,
    inner: Callable[[], Mapping[str, type]] = dict,
) -> None:
    """Run a kernel as a program: `python kernel.py SETTINGS.toml [key=value ...]`.

    A boolean setting can also be set with a flag, `--setting`.

    Args:
        kind: the kernel's settings class.
        story: the kernel, called with its settings.
        caption: the description for `--help`.
        inner: returns more settings classes for `--help`, by caption: those of tables whose keys depend on a name.
    """
    parser = argparse.ArgumentParser(description=caption, formatter_class=argparse.RawDescriptionHelpFormatter)
    if {"-h", "--help"} & set(sys.argv[1:]):
        tables = {"settings (name: type = default)": kind, **inner()}
        parser.epilog = "\n\n".join(format_settings(title, each) for title, each in tables.items())
    parser.add_argument("toml", type=Path, help="TOML file with the settings below.")
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="key=value",
        help="Override of a setting of the file, such as backend.model=x.",
    )
    flags = [name for name, each in inspect.signature(kind).parameters.items() if each.annotation in (bool, "bool")]
    for name in flags:
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=f"Set {name}=true.")

    def main() -> int:
        args = parser.parse_intermixed_args()
        stop_with_parent()
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
    """Print one JSON document on standard output; characters that a terminal may obey are written as \\u202e."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    print(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def escape_controls(text: str) -> str:
    """Return text from outside as a terminal may show it: control characters, marks that reorder text and lone
    surrogates are written as \\x1b or \\u202e; line ends and tabs stay."""
    if text.isprintable():
        return text
    for name, shown in _broken_names.items():
        text = text.replace(name, shown)
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escape_breaks_in(name: str) -> None:
    """Let this name of a file be printed with \\n for its line ends from now on, so that it forges no line."""
    if "\n" in name:
        _broken_names[name] = name.replace("\n", "\\n")


def print_text(text: str, file: TextIO | None = None) -> None:
    """Print a text, by default on standard output, without secrets and without what a terminal may obey.

    Every text from outside goes through here or `print_json`: ids, names of columns and files, replies, errors.
    """
    print(escape_controls(redact(text)), file=file or sys.stdout, flush=True)


def print_status(text: str) -> None:
    """Print one line on standard error."""
    print_text(text, sys.stderr)


def print_warning(text: str) -> None:
    """Print one line that starts with "warning:" on standard error; `quorum submit` shows such lines of its kernels."""
    print_status(f"warning: {text}")


def read_environment_key(variable: str) -> str:
    """Return the key in an environment variable; keys are sent to a server only, and are never written or printed.

    Raises:
        BadInput: the name is not a variable's name, or the variable has no valid key. The message does not repeat the
            name, which may be the key itself.
    """
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", variable):
        raise BadInput("a key's setting is the NAME of an environment variable, in capitals, never the key itself")
    key = os.environ.get(variable, "").strip()
    if not key:
        raise BadInput(f"the environment variable {variable} is not set or empty; set it to the key")
    if not (key.isascii() and key.isprintable()):
        raise BadInput(
            f"the environment variable {variable} is not a key: an HTTP header does not allow its characters"
        )
    remember_secret(key)
    return key


def _format_error(error: Exception) -> str:
    """Return an error as one line, an OSError with the file first."""
    if isinstance(error, OSError) and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename is not None else error.strerror
    line = _put_on_one_line(str(error))
    end = _LONGEST_ERROR // 4
    left_out = len(line) - _LONGEST_ERROR
    return f"{line[: 3 * end]} … ({left_out:,} characters left out) … {line[-end:]}" if left_out > 0 else line


def _put_on_one_line(text: str) -> str:
    return re.sub(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*", " ", text.strip())


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
    caption = escape_controls(caption)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
    )
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
