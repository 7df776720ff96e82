"""Inspect the machine: its processors, its memory and its GPUs."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from quorum.kaggle.mount import list_gpus
from quorum.model.model_files import GIB

_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
_BFLOAT16_CAPABILITY = 8.0  # a T4 has 7.5


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its name, its memory in GiB, and its compute capability."""

    name: str
    memory: float
    capability: float

    @property
    def dtype(self) -> str:
        """The 16-bit number type that it computes fast."""
        return "bfloat16" if self.capability >= _BFLOAT16_CAPABILITY else "float16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The number of processor cores, the memory in GiB, and the GPUs, which are alike."""

    cores: int
    memory: float
    gpus: tuple[Gpu, ...] = ()

    def __str__(self) -> str:
        plain = f"{self.cores} cores, {self.memory:.0f} GiB"
        if not self.gpus:
            return f"{plain}, no GPU"
        return f"{plain}, {len(self.gpus)} x {self.gpus[0].name} with {self.gpus[0].memory:.0f} GiB"


def inspect_machine() -> Machine:
    """Return what this machine has; GPUs that CUDA_VISIBLE_DEVICES hides do not count."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read_container_limit()
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        memory=min(memory, limit or memory) / GIB,
        gpus=parse_gpus(list_gpus(), os.environ.get("CUDA_VISIBLE_DEVICES")),
    )


def _read_container_limit() -> int | None:
    """Return the most bytes that this container may use; None without a limit."""
    try:
        text = _CONTAINER_LIMIT.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def parse_gpus(lines: Iterable[str], visible: str | None = None) -> tuple[Gpu, ...]:
    """Return the GPUs in the lines of `list_gpus`.

    Args:
        visible: the value of CUDA_VISIBLE_DEVICES; those that it hides are left out.
    """
    rows = [line.removeprefix("GPU ").split(", ") for line in lines if line.startswith("GPU ")]
    gpus = [Gpu(name, float(memory.split()[0]) / 1024, float(capability)) for _, name, capability, memory, *_ in rows]
    if visible is None:
        return tuple(gpus)
    chosen = [word.strip() for word in visible.split(",") if word.strip() not in ("", "-1")]
    return tuple(gpus[: len(chosen)])  # they are alike, so the names in it do not matter
