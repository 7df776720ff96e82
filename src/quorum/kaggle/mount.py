"""Find a kernel's inputs, wheels and machine at Kaggle. Only needs Python itself."""

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

WHEELS_MARKER = "wheels.json"  # a file in the folder of wheels, by which it is found under any mounted name

_PACKAGES = ("numpy", "polars", "torch", "transformers", "vllm", "unsloth", "trl", "peft")
_DEEPEST = 4  # folders between /kaggle/input and a source: none, its owner, "datasets" and its owner, a model's parts


@dataclass(frozen=True)
class StartupLimits:
    """The time limit of a kernel.

    Raises:
        BadInput: the deadline is not a time.
    """

    deadline: float | None = None  # minutes after which the kernel stops asking

    def __post_init__(self) -> None:
        if self.deadline is not None and not 0 <= self.deadline < math.inf:
            raise BadInput(f"limits.deadline is {self.deadline}; allowed are minutes, 0 or more, or no deadline")


@dataclass(frozen=True, kw_only=True)
class StartupSettings:
    """The settings of a kernel that are read before its wheels are installed, and those of its machine."""

    kaggle: Path = Path("/kaggle")  # the folder that replaces /kaggle
    gpus: int = 0  # the number that the kernel needs
    driver: int = 0  # the oldest NVIDIA driver that the kernel runs on
    sample: str = ""  # the sample submission; empty: the kernel makes no submission
    out: str = "/kaggle/working"
    limits: StartupLimits = field(default_factory=StartupLimits)


def make_startup_settings(table: Mapping[str, Any], where: str) -> StartupSettings:
    """Return the startup settings among a kernel's settings.

    Raises:
        BadInput: a setting has the wrong type, or the deadline is not a time.
    """
    startup = _pick_fields(StartupSettings, table)
    if isinstance(limits := startup.get("limits"), Mapping):
        startup["limits"] = _pick_fields(StartupLimits, limits)
    return from_table(StartupSettings, startup, where)


def _pick_fields(kind: type[StartupLimits] | type[StartupSettings], table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a table that are fields of a dataclass."""
    return {each.name: table[each.name] for each in fields(kind) if each.name in table}


def resolve_mounts(value: Any, root: Path) -> Any:
    """Return `value` with each path under /kaggle, at any depth of lists and tables, replaced by its path under `root`.

    An input is found by its source's name and the path below it, since Kaggle mounts sources into /kaggle/input,
    /kaggle/input/OWNER, /kaggle/input/datasets/OWNER, /kaggle/input/competitions and so on. The shallowest match wins.

    Raises:
        BadInput: an input is not mounted, or is mounted twice at the same depth.
    """
    if isinstance(value, Mapping):
        return {key: resolve_mounts(item, root) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve_mounts(item, root) for item in value]
    if not isinstance(value, str) or not value.startswith("/kaggle/"):
        return value
    _, _, folder, *parts = value.split("/")
    if folder != "input" or not parts:
        return str(root.joinpath(folder, *parts))
    return str(_find_input(root / "input", parts))


def describe_machine(root: Path, deadline: float | None) -> list[str]:
    """Return lines for the log: the machine, its GPUs, the mounts and the deadline."""
    disk = shutil.disk_usage(root if root.exists() else Path.cwd())
    folders = sorted(path.relative_to(root).as_posix() for path in (root / "input").glob("*/*"))
    return [
        f"python {platform.python_version()}, glibc {platform.libc_ver()[1] or 'unknown'}, {os.cpu_count()} CPUs, "
        f"{_memory_gb()} GB memory, {disk.free / 1e9:.0f} GB disk free",
        *list_gpus(),
        "mounts: " + (list_some(folders, 40) if folders else "none"),
        "deadline: " + ("none" if deadline is None else f"{deadline:g} minutes"),
    ]


def find_versions() -> str:
    """Return a line with the versions of the main packages, once the wheels are installed."""
    return "versions: " + (", ".join(filter(None, map(_find_version, _PACKAGES))) or "no known packages")


def copy_sample(sample: str, out: str, root: Path) -> None:
    """Copy the sample submission to OUT/submission.csv, so that a legal submission exists before anything can fail.

    Raises:
        BadInput: the sample is not mounted.
    """
    mounted = resolve_mounts(sample, root)
    with replace_file(Path(resolve_mounts(out, root)) / "submission.csv") as part:
        shutil.copyfile(mounted, part)


def check_gpus(count: int) -> None:
    """Stop a kernel at once if it runs on another machine than it requested.

    Raises:
        BadInput: there are fewer than `count` GPUs.
    """
    gpus = [line for line in list_gpus() if line.startswith("GPU ")]
    if len(gpus) < count:
        raise BadInput(
            f"{len(gpus)} GPUs, but the kernel's machine_shape has {count}: Kaggle gave it another machine; "
            f"push it again, or run it with gpus={len(gpus)}"
        )


def check_driver(least: int) -> None:
    """Stop a kernel, before its wheels are installed, if their CUDA is too new for the machine's NVIDIA driver.

    Raises:
        BadInput: the major version of the driver is below `least`.
    """
    drivers = [line.rpartition("driver ")[2] for line in list_gpus() if "driver " in line]
    if old := [
        version for version in drivers if version.split(".")[0].isdigit() and int(version.split(".")[0]) < least
    ]:
        raise BadInput(
            f"NVIDIA driver {old[0]}, but the CUDA of the wheels needs {least} or newer: use a kernel that runs on the"
            " image's own packages, such as [causal], or try it anyway with driver=0"
        )


def list_missing_pins(pins: Sequence[str]) -> list[str]:
    """Return the `pins` (name==version) that are not installed in exactly this version."""
    return [pin for pin in pins if _find_version(pin.split("==")[0]) != pin.replace("==", " ")]


def restart_with_wheels(
    pins: Sequence[str], wheels: str, root: Path, argv: Sequence[str], environment: Mapping[str, str]
) -> NoReturn:
    """Install `pins` from the mounted folder `wheels`, without a network, and restart the program `argv`.

    They are installed into a separate folder outside the outputs, so the image's packages do not change, and worker
    processes find the same packages. QUORUM_WHEELS in the environment shows the program that they are installed.

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
    """Return the folder of wheels: the only one under /kaggle/input with a wheels.json, otherwise the one at `wheels`.

    Raises:
        BadInput: the folder is not mounted, or is mounted twice.
    """
    inputs = root / "input"
    depths = range(1, _DEEPEST + 1)
    marked = _list_distinct(path.parent for depth in depths for path in inputs.glob("*/" * depth + WHEELS_MARKER))
    return marked[0] if len(marked) == 1 else Path(resolve_mounts(wheels, root))


def _find_input(inputs: Path, parts: Sequence[str]) -> Path:
    source, *rest = parts
    for depth in range(_DEEPEST):  # the shallowest is the mount; a source may contain a folder with the name of another
        found = _list_distinct(folder.joinpath(*rest) for folder in inputs.glob("*/" * depth + source))
        if len(found) > 1:
            paths = [str(path) for path in found]
            raise BadInput(f"{inputs}: {'/'.join(parts)} is mounted more than once: {list_some(paths)}")
        if found:
            return found[0]
    mounted = sorted(path.relative_to(inputs).as_posix() for path in [*inputs.glob("*"), *inputs.glob("*/*")])
    raise BadInput(f"{inputs}: {'/'.join(parts)} is not mounted; mounted are {list_some(mounted, 20) or 'no inputs'}")


def _list_distinct(paths: Iterable[Path]) -> list[Path]:
    """Return the paths that exist, without those that are links to the same file or folder."""
    distinct: dict[Path, Path] = {}
    for path in sorted(filter(Path.exists, paths)):
        distinct.setdefault(path.resolve(), path)
    return list(distinct.values())


def list_gpus() -> list[str]:
    """Return a line for each GPU, "GPU 0, Tesla T4, 7.5, 15360 MiB, driver 580.65": capability and memory; or why none.

    nvidia-smi is asked, because torch would take seconds to import, and is not there before the wheels are.
    """
    query = ["nvidia-smi", "--query-gpu=index,name,compute_cap,memory.total,driver_version", "--format=csv,noheader"]
    if shutil.which(query[0]) is None:
        return ["no GPU"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    listed = done.stdout.splitlines()
    if done.returncode or not listed:  # the output then holds the error message in place of the GPUs
        return [" ".join(["no GPU:", *listed])]
    return [f"GPU {', driver '.join(line.rsplit(', ', 1))}" for line in listed]


def _memory_gb() -> str:
    """Return the main memory in GB; unknown if there is no /proc."""
    try:
        first = Path("/proc/meminfo").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return "unknown"
    return f"{int(first.split()[1]) / 1e6:.0f}"


def _find_version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return ""
