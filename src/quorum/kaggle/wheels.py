"""Download pinned wheels for Kaggle's Python into a folder for a dataset, and check that they suffice."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from quorum.disk import fingerprint, replace_file
from quorum.errors import BadInput, list_some
from quorum.kaggle.metadata import kaggle_limits
from quorum.kaggle.mount import WHEELS_MARKER
from quorum.kaggle.upload import write_dataset_metadata

_OLDEST_GLIBC_MINOR = 5  # of manylinux_2_5


@dataclass(frozen=True)
class Wheel:
    """A wheel's file name, size in bytes and SHA-256."""

    name: str
    bytes: int
    sha256: str


def download_wheels(requirements: Path, dataset: str, out: Path) -> list[Wheel]:
    """Download every requirement into `out`, remove other wheels there, and write a marker and dataset metadata.

    Args:
        requirements: every package with its version, dependencies included.
        dataset: owner/slug of the dataset.

    Raises:
        BadInput: a requirement has no version, a dependency is not among them, or pip fails.
    """
    image = kaggle_limits()["image"]
    target = _target_options(image["python"], image["glibc"])
    _check_pins(requirements)
    out.mkdir(parents=True, exist_ok=True)
    _pip("download", "--no-deps", *target, f"--dest={out}", f"--requirement={requirements}")
    paths = sorted(out / name for name in _find_needed(requirements, out, target))
    for older in set(out.glob("*.whl")).difference(paths):
        older.unlink()
    wheels = [Wheel(path.name, path.stat().st_size, fingerprint(path)) for path in paths]
    with replace_file(out / WHEELS_MARKER) as part:
        listed = {**image, "wheels": [asdict(wheel) for wheel in wheels]}
        part.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    title = dataset.partition("/")[2].replace("-", " ").capitalize()
    write_dataset_metadata(out, dataset, title, "other")
    return wheels


def _target_options(python: str, glibc: str) -> list[str]:
    """The options with which pip takes wheels for Kaggle's image instead of this machine."""
    major, minor = map(int, glibc.split("."))
    abi = f"cp{python.replace('.', '')}"
    platforms = [f"manylinux_{major}_{level}_x86_64" for level in range(minor, _OLDEST_GLIBC_MINOR - 1, -1)]
    return [
        "--only-binary=:all:",
        "--ignore-requires-python",  # pip would compare it with the Python that runs here; versions are pinned
        f"--python-version={python}",
        "--implementation=cp",
        *(f"--abi={name}" for name in (abi, "abi3", "none")),
        *(f"--platform={name}" for name in (*platforms, "manylinux2014_x86_64", "linux_x86_64")),
    ]


def _find_needed(requirements: Path, folder: Path, target: Sequence[str]) -> list[str]:
    """The names of the wheels in `folder` that pip would install, offline, with their dependencies.

    Raises:
        BadInput: a dependency is missing, or is there from an earlier download without being among the requirements:
            the kernel installs these and nothing else.
    """
    with tempfile.TemporaryDirectory() as nowhere:  # pip takes another machine's wheels only for a folder of their own
        offline = ("--isolated", "--no-index", f"--find-links={folder}", "--dry-run", f"--target={nowhere}")
        report = _pip("install", *offline, *target, "--report=-", f"--requirement={requirements}")
    listed = json.loads(report)["install"]
    unnamed = [wheel["metadata"] for wheel in listed if not wheel["requested"]]
    if pins := sorted(f"{wheel['name']}=={wheel['version']}" for wheel in unnamed):
        raise BadInput(f"{requirements}: its packages need {list_some(pins)} too; add them there")
    return [Path(unquote(urlsplit(wheel["download_info"]["url"]).path)).name for wheel in listed]


def _check_pins(path: Path) -> None:
    """Check that every requirement has its version, also in a file included with -r: later it would be other bytes."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        pin = line.split("#")[0].strip()
        if pin.startswith("-r "):
            _check_pins(path.parent / pin[3:].strip())
        elif pin and ("==" not in pin or "*" in pin):
            raise BadInput(f"{path}, line {number}: {pin!r} has no version of its own: name==version is allowed")


def _pip(*arguments: str) -> str:
    """What pip prints.

    Raises:
        BadInput: it fails; the message is its last line of error.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise BadInput(f"pip {arguments[0]}: {' '.join(errors) or done.stderr.strip()[-500:]}")
    return done.stdout
