"""A kernel in one file: the modules that its story needs, bottom up, as they stand, and its settings at the foot."""

import ast
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from pprint import pformat
from typing import Any

from quorum.errors import BadInput, list_some
from quorum.kaggle.metadata import kaggle_limits
from quorum.kaggle.mount import make_first_settings
from quorum.kaggle.secret import find_secrets
from quorum.kaggle.source import (
    SourceModule,
    check_imported_names,
    check_unique,
    is_main_guard,
    list_needed_modules,
    read_module,
)

# What every built file needs besides its story; these need nothing but Python itself, so that the wheels can come next.
_GROUND = ("quorum.kaggle.mount", "quorum.config", "quorum.console")

# The settings that are needed before them.
_FIRST = ("sample", "out", "limits")

# What the built file itself brings, and what it means there.
_BUILT_IN = {
    "os": "import os",
    "sys": "import sys",
    "Path": "from pathlib import Path",
    "PINS": "what the wheels are",
    "WHEELS": "where the wheels are",
    "FIRST": "the first settings",
    "SETTINGS": "the settings",
    "begin_kernel": "what comes before the wheels",
    "run_kernel": "what runs the story",
}


def build_kernel(
    story: Path,
    table: Mapping[str, Any],
    src: Path,
    name: str,
    commit: str,
    pins: Sequence[str] = (),
    wheels: str = "",
    gpus: int = 0,
) -> str:
    """The text of one self-contained script: the same text for the same sources, settings and commit.

    `story` is a kernel with a `main(config)`, `table` its settings, `src` the folder that holds the package; `pins` are
    requirements that it installs at Kaggle from the folder `wheels` (/kaggle/input/…) before anything else is imported;
    what is there in that version is left as it is.
    Where a sample submission is among the settings, a legal submission is the first thing that it writes. With fewer
    than `gpus` GPUs it stops there.

    Raises:
        BadInput: a circle, a name that stands twice, an import that cannot be printed into one file, a requirement
            without its version, what looks like a secret, more bytes than Kaggle takes.
    """
    last = read_module(str(story), story)
    submits = {"sample", "questions", "out"} <= table.keys()
    prior = ("quorum.kaggle.prior",) if submits else ()
    whole = list_needed_modules((*_GROUND, *last.needs, *prior), src)
    head = whole[: len(list_needed_modules(_GROUND, src))]
    body = whole[len(head) :]
    classes = {
        node.name: node for module in (*whole, last) for node in module.tree.body if isinstance(node, ast.ClassDef)
    }
    config = _settings_class(last, classes)
    _check_settings(table, config, classes, name)
    make_first_settings({setting: table[setting] for setting in _FIRST if setting in table}, name)
    check_imported_names([*whole, last])
    check_unique([*whole, last], _BUILT_IN)
    pinned = _pinned(pins, wheels)

    code = "\n\n".join(
        [
            *map(_section, head),
            _beginning(table, pinned, wheels, gpus),
            *map(_section, body),
            _section(last),
            _foot(table, config.name, name, submits),
        ]
    )
    if secrets := find_secrets(code):
        raise BadInput(f"{name}: what looks like a secret would be pushed: {list_some(secrets)}")
    text = _banner(name, story, last, commit, code) + code
    try:
        compile(text, f"{name}.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise BadInput(f"{name}: what was built is no Python: {error}") from None
    most = kaggle_limits()["source"]["most_bytes"]
    if len(text.encode()) > most:
        raise BadInput(f"{name}: {len(text.encode())} bytes, where Kaggle takes {most}")
    return text


def _section(module: SourceModule) -> str:
    """A module as it stands, without its imports from the package and without what runs it as a program."""
    source = module.text.split("\n")  # as ast counts lines; splitlines() ends some at a form feed or U+2028 too
    lines: list[str | None] = list(source)
    for block in _blocks(module.tree):
        gone = [node for node in block if node in module.imports or is_main_guard(node)]
        for node in gone:
            end = node.end_lineno or node.lineno
            before = source[node.lineno - 1].encode()[: node.col_offset].decode()
            after = source[end - 1].encode()[node.end_col_offset :].decode().strip()
            if before.strip() or (after and not after.startswith("#")):
                raise BadInput(f"{module.name}, line {node.lineno}: {ast.unparse(node)!r} needs a line of its own")
            lines[node.lineno - 1 : end] = [None] * (end - node.lineno + 1)
        if gone and len(gone) == len(block) and block is not module.tree.body:
            lines[gone[0].lineno - 1] = " " * gone[0].col_offset + "pass"
    title = module.name if module.name.startswith("quorum.") else Path(module.name).name
    return f"# {'-' * 4} {title} {'-' * (112 - len(title))}\n\n{_closed(lines)}\n"


def _blocks(tree: ast.Module) -> list[list[ast.stmt]]:
    """Every list of statements in a module."""
    fields = ("body", "orelse", "finalbody", "handlers")
    found = (getattr(node, field, None) for node in ast.walk(tree) for field in fields)
    return [block for block in found if isinstance(block, list)]


def _closed(lines: Sequence[str | None]) -> str:
    """The lines without those that are gone (None), and without the second blank line beside such a hole."""
    kept: list[str] = []
    hole = False
    for line in lines:
        if line is None:
            hole = True
        elif line or not hole or (kept and kept[-1]):
            kept.append(line)
            hole = hole and not line
    return "\n".join(kept).strip("\n")


def _settings_class(story: SourceModule, classes: Mapping[str, ast.ClassDef]) -> ast.ClassDef:
    """Return the dataclass that the story's main takes."""
    for node in story.tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "main" and len(node.args.args) == 1:
            annotation = node.args.args[0].annotation
            if isinstance(annotation, ast.Name) and annotation.id in classes:
                return classes[annotation.id]
    raise BadInput(f"{story.name}: a kernel needs a main(settings: ITS_DATACLASS)")


def _check_settings(
    table: Mapping[str, Any], config: ast.ClassDef, classes: Mapping[str, ast.ClassDef], name: str, prefix: str = ""
) -> None:
    """Refuse settings with which the kernel would stop at Kaggle, as far as that can be known here.

    Raises:
        BadInput: a setting is unknown or missing, or its value cannot be written as Python.
    """
    known = {
        node.target.id: node
        for node in config.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and "ClassVar" not in ast.unparse(node.annotation)
    }
    if unknown := [setting for setting in table if setting not in known]:
        raise BadInput(f"{name}: unknown setting {prefix + unknown[0]!r}; allowed are {', '.join(known)}")
    if missing := [setting for setting, node in known.items() if _is_required(node.value) and setting not in table]:
        raise BadInput(f"{name}: setting {prefix + missing[0]!r} is missing")
    for setting, value in table.items():
        _check_value(value, name, prefix + setting)
        inner = [each for each in ast.unparse(known[setting].annotation).split(" | ") if each in classes]
        if inner and isinstance(value, Mapping):
            _check_settings(value, classes[inner[0]], classes, name, f"{prefix}{setting}.")


def _is_required(value: ast.expr | None) -> bool:
    """Return whether a dataclass field has no default."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "field":
        return not {"default", "default_factory"} & {keyword.arg for keyword in value.keywords}
    return value is None


def _check_value(value: Any, name: str, setting: str) -> None:
    """Refuse values that TOML has and a Python literal does not: dates, times, NaN and infinity.

    Raises:
        BadInput: the setting has such a value, however deep in lists and tables.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_value(item, name, f"{setting}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            _check_value(item, name, setting)
    elif not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise BadInput(
            f"{name}: setting {setting!r} is {value}; allowed are texts, finite numbers, truth values, lists and tables"
            " of them"
        )


def _pinned(pins: Sequence[str], wheels: str) -> list[str]:
    """The requirements, once each is known to have its version."""
    for pin in pins:
        if "==" not in pin or "*" in pin:
            raise BadInput(f"requirement {pin!r} has no version of its own: name==version is allowed")
    if pins and not wheels.startswith("/kaggle/input/"):
        raise BadInput(f"{len(pins)} requirements, but wheels is {wheels!r}, which is no folder under /kaggle/input/")
    return list(pins)


def _beginning(table: Mapping[str, Any], pins: Sequence[str], wheels: str, gpus: int) -> str:
    first = {setting: table[setting] for setting in _FIRST if setting in table} | {
        "gpus": gpus,
        "driver": _least_driver(pins),
    }
    return f"""# ---- what comes before the wheels {"-" * 84}

# What follows may need the wheels: they are installed, and the program starts anew with them. Before that, what needs
# none: the machine, and a first submission. FIRST are the settings at the foot that this takes, how many GPUs there
# have to be, and how new NVIDIA's driver.
PINS = {pformat(list(pins), width=100)}
WHEELS = {wheels!r}
FIRST = {pformat(first, width=100, sort_dicts=False)}


def begin_kernel() -> int:
    first = make_first_settings(apply_overrides(FIRST, sys.argv[1:], "the settings"), "the settings")
    root = first.kaggle
    for line in preflight(root, first.limits.deadline):
        print(line, flush=True)
    if first.sample:
        copy_sample(first.sample, first.out, root)
    expect_gpus(first.gpus)
    if missing := list_missing_pins(PINS):
        expect_driver(first.driver)
        print(f"installing {{len(missing)}} wheels from {{find_wheels(WHEELS, root)}}", flush=True)
        restart_with_wheels(missing, WHEELS, root, sys.argv, os.environ)
    return DONE


if __name__ == "__main__" and os.environ.get("QUORUM_WHEELS") != WHEELS:
    run_first(begin_kernel)
"""


def _least_driver(pins: Sequence[str]) -> int:
    """The oldest NVIDIA driver that runs the CUDA that is among the requirements; 0 where none is."""
    versions = [pin.partition("==")[2] for pin in pins if pin.startswith("nvidia-cuda-runtime")]
    return max((int(kaggle_limits()["driver"].get(version.split(".")[0], 0)) for version in versions), default=0)


def _foot(table: Mapping[str, Any], config: str, name: str, submits: bool) -> str:
    lines = (
        f"    {json.dumps(setting)}: {pformat(value, width=100, sort_dicts=False)},\n"
        for setting, value in table.items()
    )
    prior = "    write_prior(table, root)\n" if submits else ""
    return f"""# ---- the settings of {name} {"-" * (99 - len(name))}

# On the command line key=value wins over these; kaggle=FOLDER stands for /kaggle in every path, gpus=N for how many
# GPUs there have to be, driver=N for the oldest NVIDIA driver that will do.
SETTINGS = {{
{"".join(lines)}}}


def run_kernel() -> int:
    table = apply_overrides(SETTINGS, sys.argv[1:], "the settings")
    root = make_first_settings(table, "the settings").kaggle
    for seen in ("kaggle", "gpus", "driver"):  # by begin_kernel
        table.pop(seen, None)
    for line in (find_versions(), f"settings: {{table}}"):
        print(line, flush=True)
{prior}    return main(from_table({config}, resolve_mounts(table, root), "the settings")) or DONE


if __name__ == "__main__":
    run_program(run_kernel)
"""


def _banner(name: str, story: Path, module: SourceModule, commit: str, code: str) -> str:
    doc = (ast.get_docstring(module.tree) or name).splitlines()[0].replace("\\", r"\\").replace('"""', r"\"\"\"")
    return f'''"""{doc}

Built by Quorum: kernel {name} out of kernels/{story.name} and the modules it needs, in one file. Do not edit it here.

commit   {commit}
sources  sha256 {hashlib.sha256(code.encode()).hexdigest()}
rebuild  make kernels
"""

import os
import sys
from pathlib import Path

'''
