"""Builds every kernel that kernels/kaggle.toml names into build/kernels/NAME/: one script and its metadata."""

import argparse
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorum.console import DONE, print_json, run_program
from quorum.errors import BadInput

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Plan:
    """One kernel as kernels/kaggle.toml describes it."""

    story: str  # kernels/STORY.py
    settings: str  # kernels/SETTINGS.toml
    title: str
    machine_shape: str | None = None  # a CPU where it is not given
    dataset_sources: tuple[str, ...] = ()
    competition_sources: tuple[str, ...] = ()
    kernel_sources: tuple[str, ...] = ()
    model_sources: tuple[str, ...] = ()
    docker_image: str | None = None
    requirements: str | None = None  # pinned, from the project's folder; installed from `wheels`
    wheels: str = ""  # /kaggle/input/NAME of the dataset that make wheels made
    kaggle: Mapping[str, Any] = field(default_factory=dict)  # settings that differ there


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="kernels to build (default: all)")
    parser.add_argument("--kernels", type=Path, default=ROOT / "kernels", help="stories, settings and kaggle.toml")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "kernels", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()

    owner, plans = read_plans(arguments.kernels / "kaggle.toml")
    if unknown := sorted(set(arguments.names) - set(plans)):
        raise BadInput(
            f"no kernel {', '.join(unknown)} in {arguments.kernels}/kaggle.toml; there are {', '.join(plans)}"
        )
    commit = current_commit()
    sizes = {
        name: build(name, plans[name], owner, arguments.kernels, arguments.out / name, commit)
        for name in arguments.names or plans
    }
    if arguments.json:
        print_json([{"name": name, "folder": str(arguments.out / name), "bytes": size} for name, size in sizes.items()])
    else:
        for name, size in sizes.items():
            print(f"{arguments.out / name / name}.py  {size} bytes")
    return DONE


def read_plans(path: Path) -> tuple[str, dict[str, Plan]]:
    """The owner, and the kernels by name."""
    from quorum.config import from_table, read_table

    table = read_table(path)
    owner = table.pop("owner", None)
    if not isinstance(owner, str):
        raise BadInput(f"{path}: owner is missing: your name at Kaggle")
    if loose := [name for name, plan in table.items() if not isinstance(plan, Mapping)]:
        raise BadInput(f"{path}: {loose[0]} is no table; allowed are owner, and one table a kernel")
    return owner, {name: from_table(Plan, plan, f"{path}, [{name}]") for name, plan in table.items()}


def build(name: str, plan: Plan, owner: str, kernels: Path, folder: Path, commit: str) -> int:
    """Writes one kernel's script and metadata, and gives the script's size in bytes."""
    from quorum.config import merge_tables, read_table
    from quorum.disk import replace_file
    from quorum.kaggle.bundle import build_kernel
    from quorum.kaggle.metadata import (
        KernelMetadata,
        check_kernel_settings,
        kaggle_limits,
        kaggle_slug,
        write_kernel_metadata,
    )

    table = merge_tables(read_table(kernels / f"{plan.settings}.toml"), plan.kaggle)
    metadata = KernelMetadata(
        id=f"{owner}/{kaggle_slug(plan.title)}",
        title=plan.title,
        code_file=f"{name}.py",
        machine_shape=plan.machine_shape,
        dataset_sources=plan.dataset_sources,
        competition_sources=plan.competition_sources,
        kernel_sources=plan.kernel_sources,
        model_sources=plan.model_sources,
        docker_image=plan.docker_image,
    )
    check_kernel_settings(metadata, table | {"wheels": plan.wheels})
    pins = read_pins(ROOT / plan.requirements) if plan.requirements else []
    gpus = kaggle_limits()["machine"].get(plan.machine_shape, {}).get("gpus", 0)
    text = build_kernel(kernels / f"{plan.story}.py", table, ROOT / "src", name, commit, pins, plan.wheels, gpus)
    with replace_file(folder / f"{name}.py") as part:
        part.write_text(text, encoding="utf-8")
    write_kernel_metadata(metadata, folder)
    return len(text.encode())


def read_pins(path: Path) -> list[str]:
    """The requirements of a file without its comments; other options than -r are refused."""
    pins = []
    for line in path.read_text(encoding="utf-8").splitlines():
        pin = line.split("#")[0].strip()
        if pin.startswith("-r "):
            pins += read_pins(path.parent / pin[3:].strip())
        elif pin:
            pins.append(pin)
    return pins


def current_commit() -> str:
    """What the working tree is: its commit, and whether it has been changed since; unknown outside git."""
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "src", "kernels"], capture_output=True, check=False).stdout
    return (commit or "unknown") + (" and changes since" if changed else "")


if __name__ == "__main__":
    run_program(main)
