"""What a kernel finds at Kaggle: its inputs, its wheels, its machine. Needs nothing but Python itself."""

import importlib.metadata
import math
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

from quorum.config import from_table
from quorum.disk import replace_file
from quorum.errors import BadInput, list_some

WHEELS_MARKER = "wheels.json"  # lies beside the wheels; so they are found under whatever name they are mounted

_PACKAGES = ("numpy", "polars", "torch", "transformers", "vllm", "unsloth", "trl", "peft")
_DEEPEST = 4  # folders between /kaggle/input and a source: none, its owner, "datasets" and its owner, a model's parts


@dataclass(frozen=True)
class FirstLimits:
    """The time limit of a kernel.

    Raises:
        BadInput: the deadline is not a time.
    """

    deadline: float | None = None  # minutes after which nothing more is asked

    def __post_init__(self) -> None:
        if self.deadline is not None and not 0 <= self.deadline < math.inf:
            raise BadInput(f"limits.deadline is {self.deadline}; allowed are minutes, 0 or more, or none at all")


@dataclass(frozen=True, kw_only=True)
class FirstSettings:
    """Those of a kernel's settings that are needed before its story, and those of its machine."""

    kaggle: Path = Path("/kaggle")  # the folder that stands for it
    gpus: int = 0  # how many there have to be
    driver: int = 0  # the oldest of NVIDIA's that will do
    sample: str = ""  # the competition's; empty: the kernel makes no submission
    out: str = "/kaggle/working"
    limits: FirstLimits = field(default_factory=FirstLimits)


def make_first_settings(table: Mapping[str, Any], where: str) -> FirstSettings:
    """Return the first settings among a kernel's.

    Raises:
        BadInput: one has the wrong type, or the deadline is not a time.
    """
    first = _pick_fields(FirstSettings, table)
    if isinstance(limits := first.get("limits"), Mapping):
        first["limits"] = _pick_fields(FirstLimits, limits)
    return from_table(FirstSettings, first, where)


def _pick_fields(kind: type[FirstLimits] | type[FirstSettings], table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a table that are fields of a dataclass."""
    return {each.name: table[each.name] for each in fields(kind) if each.name in table}


def resolve_mounts(value: Any, root: Path) -> Any:
    """`value` with each path under /kaggle, however deep in lists and tables, as the path that it is under `root`.

    Inputs are looked for by their source's name and what follows it, since Kaggle puts sources into /kaggle/input,
    /kaggle/input/OWNER, /kaggle/input/datasets/OWNER, /kaggle/input/competitions and so on. The shallowest counts.

    Raises:
        BadInput: an input is not mounted, or is twice at the same depth.
    """
    if isinstance(value, Mapping):
        return {key: resolve_mounts(item, root) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve_mounts(item, root) for item in value]
    if not isinstance(value, str) or not value.startswith("/kaggle/"):
        return value
    _, _, place, *parts = value.split("/")
    if place != "input" or not parts:
        return str(root.joinpath(place, *parts))
    return str(_found_input(root / "input", parts))


def preflight(root: Path, deadline: float | None) -> list[str]:
    """What somebody who reads the log wants to know first: the machine, its GPUs, the mounts, how long it may ask."""
    disk = shutil.disk_usage(root if root.exists() else Path.cwd())
    folders = sorted(path.relative_to(root).as_posix() for path in (root / "input").glob("*/*"))
    return [
        f"python {platform.python_version()}, glibc {platform.libc_ver()[1] or 'unknown'}, {os.cpu_count()} CPUs, "
        f"{_memory_gb()} GB memory, {disk.free / 1e9:.0f} GB disk free",
        *_gpus(),
        "mounts: " + (list_some(folders, 40) if folders else "none"),
        "deadline: " + ("none" if deadline is None else f"{deadline:g} minutes"),
    ]


def find_versions() -> str:
    """The versions of the packages that matter, once the wheels are there."""
    return "versions: " + (", ".join(filter(None, map(_version, _PACKAGES))) or "none of the packages it knows")


def copy_sample(sample: str, out: str, root: Path) -> None:
    """Leaves the competition's sample as OUT/submission.csv: what is legal before anything can be installed or read.

    Raises:
        BadInput: the sample is not mounted.
    """
    found = resolve_mounts(sample, root)
    with replace_file(Path(resolve_mounts(out, root)) / "submission.csv") as part:
        shutil.copyfile(found, part)


def expect_gpus(count: int) -> None:
    """Stops a kernel that was given another machine than it asked for, before hours go into it.

    Raises:
        BadInput: there are fewer than `count` GPUs.
    """
    found = [line for line in _gpus() if line.startswith("GPU ")]
    if len(found) < count:
        raise BadInput(
            f"{len(found)} GPUs, where the kernel's machine_shape stands for {count}: Kaggle gave it another machine; "
            f"push it again, or run it with gpus={len(found)}"
        )


def expect_driver(least: int) -> None:
    """Stops a kernel whose wheels are of a newer CUDA than the machine's driver can run, before they are installed.

    Raises:
        BadInput: the driver's version is below `least`, its first number.
    """
    found = [line.rpartition("driver ")[2] for line in _gpus() if "driver " in line]
    if old := [version for version in found if version.split(".")[0].isdigit() and int(version.split(".")[0]) < least]:
        raise BadInput(
            f"NVIDIA driver {old[0]}, where the CUDA of the wheels needs {least} or newer: take a kernel that runs on "
            "the image's own packages, as [causal] does, or try it all the same with driver=0"
        )


def list_missing_pins(pins: Sequence[str]) -> list[str]:
    """Those of `pins` (name==version) that are not installed here in that very version."""
    return [pin for pin in pins if _version(pin.split("==")[0]) != pin.replace("==", " ")]


def restart_with_wheels(
    pins: Sequence[str], wheels: str, root: Path, argv: Sequence[str], environment: Mapping[str, str]
) -> NoReturn:
    """Installs `pins` from the mounted folder `wheels`, without a network, and starts the program `argv` anew.

    They go into a folder of their own outside the outputs: the image's packages stay as they are, and worker processes
    find the same ones. The program knows by QUORUM_WHEELS in its environment that they are there.

    Raises:
        BadInput: the wheels are not mounted, or one is missing.
    """
    site = root / "temp" / "wheels"
    source = find_wheels(wheels, root)
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, f"--find-links={source}", f"--target={site}", *pins], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BadInput(f"{source}: {(done.stderr or done.stdout).strip()[-2000:]}")
    path = os.pathsep.join(filter(None, [str(site), environment.get("PYTHONPATH")]))
    environment = {**environment, "PYTHONPATH": path, "QUORUM_WHEELS": wheels}
    os.execve(sys.executable, [sys.executable, *argv], environment)


def find_wheels(wheels: str, root: Path) -> Path:
    """The only folder under /kaggle/input with a wheels.json in it; without one, or with several, that named `wheels`.

    Raises:
        BadInput: it is not mounted, or is twice.
    """
    inputs = root / "input"
    depths = range(1, _DEEPEST + 1)
    marked = _distinct(path.parent for depth in depths for path in inputs.glob("*/" * depth + WHEELS_MARKER))
    return marked[0] if len(marked) == 1 else Path(resolve_mounts(wheels, root))


def _found_input(inputs: Path, parts: Sequence[str]) -> Path:
    source, *rest = parts
    for depth in range(_DEEPEST):  # the shallowest is the mount: a source may hold a folder with another one's name
        found = _distinct(place.joinpath(*rest) for place in inputs.glob("*/" * depth + source))
        if len(found) > 1:
            raise BadInput(f"{inputs}: {'/'.join(parts)} is there twice: {list_some([str(path) for path in found])}")
        if found:
            return found[0]
    there = sorted(path.relative_to(inputs).as_posix() for path in [*inputs.glob("*"), *inputs.glob("*/*")])
    raise BadInput(f"{inputs}: {'/'.join(parts)} is not mounted; there are {list_some(there, 20) or 'no inputs'}")


def _distinct(paths: Iterable[Path]) -> list[Path]:
    """Those that exist, each once, though links lead to it under several names."""
    there: dict[Path, Path] = {}
    for path in sorted(filter(Path.exists, paths)):
        there.setdefault(path.resolve(), path)
    return list(there.values())


def _gpus() -> list[str]:
    query = ["nvidia-smi", "--query-gpu=index,name,compute_cap,memory.total,driver_version", "--format=csv,noheader"]
    if shutil.which(query[0]) is None:
        return ["no GPU"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    listed = done.stdout.splitlines()
    if done.returncode or not listed:  # then it says why, where the GPUs would stand
        return [" ".join(["no GPU:", *listed])]
    return [f"GPU {', driver '.join(line.rsplit(', ', 1))}" for line in listed]


def _memory_gb() -> str:
    """The main memory; unknown where there is no /proc."""
    try:
        first = Path("/proc/meminfo").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return "unknown"
    return f"{int(first.split()[1]) / 1e6:.0f}"


def _version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return ""
