"""Build the kernels that kaggle.toml plans: each becomes a folder with one script and its metadata."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from quorum.config import from_table, merge_tables, read_table
from quorum.disk import replace_file
from quorum.errors import BadInput
from quorum.kaggle.bundle import build_kernel
from quorum.kaggle.metadata import (
    KernelMetadata,
    check_kernel_settings,
    kaggle_limits,
    kaggle_slug,
    write_kernel_metadata,
)

PLAN_FILE = "kaggle.toml"


@dataclass(frozen=True, kw_only=True)
class KernelPlan:
    """One kernel as kaggle.toml describes it."""

    story: str  # STORY.py beside kaggle.toml
    settings: str  # SETTINGS.toml beside it
    title: str
    machine_shape: str | None = None  # a CPU if it is not given
    dataset_sources: tuple[str, ...] = ()
    competition_sources: tuple[str, ...] = ()
    kernel_sources: tuple[str, ...] = ()
    model_sources: tuple[str, ...] = ()
    docker_image: str | None = None
    requirements: str | None = None  # a file of pinned versions, relative to the folder above; installed from `wheels`
    wheels: str = ""  # /kaggle/input/NAME of the dataset that `quorum wheels` made
    kaggle: Mapping[str, Any] = field(default_factory=dict)  # settings that differ there


@dataclass(frozen=True)
class BuiltKernel:
    """A kernel's folder, and the size of its script in bytes."""

    name: str
    folder: Path
    size: int

    @property
    def script(self) -> Path:
        return self.folder / f"{self.name}.py"


def build_kernels(kernels: Path, names: Sequence[str], out: Path) -> list[BuiltKernel]:
    """Build the named kernels of KERNELS/kaggle.toml, or all of them, each into a folder of its name in `out`.

    Raises:
        BadInput: a name or a setting is unknown, or Kaggle would refuse the kernel.
    """
    owner, plans = read_plans(kernels / PLAN_FILE)
    if unknown := sorted(set(names) - set(plans)):
        raise BadInput(f"no kernel {', '.join(unknown)} in {kernels / PLAN_FILE}; there are {', '.join(plans)}")
    commit = _describe_checkout(kernels.parent)
    return [
        _build(name, plans[name], owner=owner, kernels=kernels, folder=out / name, commit=commit)
        for name in names or plans
    ]


def read_plans(path: Path) -> tuple[str, dict[str, KernelPlan]]:
    """Return the owner, and the plans by name.

    Raises:
        BadInput: the owner is missing, or a plan is not a table or has an unknown setting.
    """
    table = read_table(path)
    owner = table.pop("owner", None)
    if not isinstance(owner, str):
        raise BadInput(f"{path}: owner is missing: your name at Kaggle")
    if loose := [name for name, plan in table.items() if not isinstance(plan, Mapping)]:
        raise BadInput(f"{path}: {loose[0]} is not a table; allowed are owner, and one table for each kernel")
    return owner, {name: from_table(KernelPlan, plan, f"{path}, [{name}]") for name, plan in table.items()}


def read_pins(path: Path) -> list[str]:
    """Return the requirements of a file and of those it includes with -r, without comments."""
    pins = []
    for line in path.read_text(encoding="utf-8").splitlines():
        pin = line.split("#")[0].strip()
        if pin.startswith("-r "):
            pins += read_pins(path.parent / pin[3:].strip())
        elif pin:
            pins.append(pin)
    return pins


def _build(name: str, plan: KernelPlan, owner: str, kernels: Path, folder: Path, commit: str) -> BuiltKernel:
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
    pins = read_pins(kernels.parent / plan.requirements) if plan.requirements else []
    gpus = kaggle_limits()["machine"].get(plan.machine_shape, {}).get("gpus", 0)
    sources = Path(str(files("quorum"))).parent
    text = build_kernel(
        kernels / f"{plan.story}.py",
        table,
        src=sources,
        name=name,
        commit=commit,
        pins=pins,
        wheels=plan.wheels,
        gpus=gpus,
    )
    built = BuiltKernel(name, folder, len(text.encode()))
    with replace_file(built.script) as part:
        part.write_text(text, encoding="utf-8")
    write_kernel_metadata(metadata, folder)
    return built


def _describe_checkout(root: Path) -> str:
    """The commit of a checkout, and whether its sources differ from it; unknown if `root` is no checkout."""
    if not (root / ".git").exists():
        return "unknown"
    git = ["git", "-C", str(root)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "src", "kernels"], capture_output=True, check=False).stdout
    return (commit or "unknown") + (" and changes since" if changed else "")
