"""Downloads pinned wheels for Kaggle's Python into a folder for a dataset, and checks that they suffice.

python scripts/wheels.py requirements-kaggle-gpu.txt --id NAME/quorum-wheels
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from quorum.console import DONE, print_json, run_program
from quorum.errors import BadInput, list_some


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requirements", type=Path, help="every package with its version, dependencies included")
    parser.add_argument("--id", required=True, help="owner/slug of the dataset")
    parser.add_argument(
        "--out", type=Path, default=Path("build/wheels"), help="the folder (%(default)s); it keeps no other wheels"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()

    from quorum.disk import fingerprint, replace_file
    from quorum.kaggle.metadata import kaggle_limits
    from quorum.kaggle.mount import WHEELS_MARKER
    from quorum.kaggle.upload import write_dataset_metadata

    image = kaggle_limits()["image"]
    target = target_options(image["python"], image["glibc"])
    check_pins(arguments.requirements)
    arguments.out.mkdir(parents=True, exist_ok=True)
    pip("download", "--no-deps", *target, f"--dest={arguments.out}", f"--requirement={arguments.requirements}")
    wheels = sorted(arguments.out / name for name in needed_wheels(arguments.requirements, arguments.out, target))
    for older in set(arguments.out.glob("*.whl")).difference(wheels):
        older.unlink()
    listed = [{"name": path.name, "bytes": path.stat().st_size, "sha256": fingerprint(path)} for path in wheels]
    with replace_file(arguments.out / WHEELS_MARKER) as part:
        part.write_text(json.dumps({**image, "wheels": listed}, indent=1) + "\n", encoding="utf-8")
    title = arguments.id.partition("/")[2].replace("-", " ").capitalize()
    write_dataset_metadata(arguments.out, arguments.id, title, "other")
    report(arguments.out, listed, arguments.json)
    return DONE


def target_options(python: str, glibc: str) -> list[str]:
    """What tells pip to take wheels for Kaggle's image instead of for this machine."""
    major, minor = map(int, glibc.split("."))
    abi = f"cp{python.replace('.', '')}"
    platforms = [f"manylinux_{major}_{level}_x86_64" for level in range(minor, 4, -1)]
    return [
        "--only-binary=:all:",
        "--ignore-requires-python",  # pip would compare it with the Python that runs here; versions are pinned
        f"--python-version={python}",
        "--implementation=cp",
        *(f"--abi={name}" for name in (abi, "abi3", "none")),
        *(f"--platform={name}" for name in (*platforms, "manylinux2014_x86_64", "linux_x86_64")),
    ]


def needed_wheels(requirements: Path, folder: Path, target: Sequence[str]) -> list[str]:
    """The names of the wheels in `folder` that pip would install, offline, with all that they need.

    Raises:
        BadInput: one is not there, or is there from an earlier download without being among the requirements: the
            kernel installs these and nothing else.
    """
    with tempfile.TemporaryDirectory() as nowhere:  # pip takes another machine's wheels only for a folder of their own
        offline = ("--isolated", "--no-index", f"--find-links={folder}", "--dry-run", f"--target={nowhere}")
        told = pip("install", *offline, *target, "--report=-", f"--requirement={requirements}")
    listed = json.loads(told)["install"]
    unnamed = [wheel["metadata"] for wheel in listed if not wheel["requested"]]
    if pins := sorted(f"{wheel['name']}=={wheel['version']}" for wheel in unnamed):
        raise BadInput(f"{requirements}: what it names needs {list_some(pins)} too; name it there")
    return [Path(unquote(urlsplit(wheel["download_info"]["url"]).path)).name for wheel in listed]


def check_pins(path: Path) -> None:
    """Refuses a requirement without its version, also in a file named with -r: later it would be other bytes."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        pin = line.split("#")[0].strip()
        if pin.startswith("-r "):
            check_pins(path.parent / pin[3:].strip())
        elif pin and ("==" not in pin or "*" in pin):
            raise BadInput(f"{path}, line {number}: {pin!r} has no version of its own: name==version is allowed")


def pip(*arguments: str) -> str:
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


def report(folder: Path, listed: Sequence[dict[str, Any]], as_json: bool) -> None:
    """The whole size, and the largest wheels."""
    whole = sum(wheel["bytes"] for wheel in listed)
    if as_json:
        print_json({"folder": str(folder), "bytes": whole, "wheels": listed})
        return
    for wheel in sorted(listed, key=lambda wheel: -wheel["bytes"])[:5]:
        print(f"{wheel['bytes'] / 1e6:10.1f} MB  {wheel['name']}")
    following = f"make push WHAT={shlex.quote(str(folder))}"
    print(f"{whole / 1e6:10.1f} MB  in all, {len(listed)} wheels in {folder}; next: {following}")


if __name__ == "__main__":
    run_program(main)
