"""Run programs: print lines and JSON, parse a kernel's arguments, turn errors into one line and an exit code."""

import argparse
import inspect
import json
import logging
import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from quorum.config import Settings, describe_settings, read_config
from quorum.errors import BadInput

DONE, FOUND, BAD_INPUT = 0, 1, 2  # exit codes: done, found something wrong, bad input
_STOPPED_BY_USER = 130
# C0 and C1 controls without tab and line feed, marks of direction, separators of lines, surrogates
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

# On import, bitsandbytes warns that one of its faster kernels is missing, even if no model is in 4 bits.
_IDLE_LOGGER = "bitsandbytes.backends.cpu.ops"


def run_program(main: Callable[[], int]) -> None:
    """Run a program and exit with its code; bad input is reported in one line and with code 2, without a traceback."""
    run_first(main)
    sys.exit(DONE)


def run_first(main: Callable[[], int]) -> None:
    """Run the first part of a program as `run_program` does, but return if its code is DONE."""
    logging.getLogger(_IDLE_LOGGER).setLevel(logging.ERROR)
    try:
        code = main()
    except (BadInput, FileNotFoundError, IsADirectoryError, PermissionError) as error:
        print(f"error: {_format_error(error)}", file=sys.stderr)
        code = BAD_INPUT
    except BrokenPipeError:  # `| head` closed the pipe
        sys.stderr.close()
        code = DONE
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = _STOPPED_BY_USER
    if code:
        sys.exit(code)


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
    """Print one JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def escape_controls(text: str) -> str:
    """Return text from outside as a terminal may show it: control characters, marks that reorder text and lone
    surrogates are written as \\x1b or \\u202e; line ends and tabs stay."""
    if text.isprintable():
        return text
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def print_status(text: str) -> None:
    """Print one line on standard error."""
    print(text, file=sys.stderr, flush=True)


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
    return key


def _format_error(error: Exception) -> str:
    """Return an error as one line, an OSError with the file first."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
