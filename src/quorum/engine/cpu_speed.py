"""Choose the number type in which this CPU computes fast."""

import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from quorum.disk import replace_file
from quorum.errors import BadInput

CPU_TYPE_VARIABLE = "QUORUM_CPU_DTYPE"  # in the environment: the type that auto is on a CPU, instead of a measured one
_CPU_TYPES = ("float32", "bfloat16")
_FAST_UNITS = frozenset({"amx_bf16", "avx512_bf16"})  # flags of x86 processors; without one bfloat16 is emulated
_MUCH_FASTER = 1.5
_SIDE, _ROUNDS = 1024, 5


@cache
def choose_cpu_dtype() -> str:
    """Return bfloat16 if this CPU multiplies matrices of it at least 1.5 times as fast as of float32, else float32.

    The CPU has to name such units, and a measurement of a tenth of a second confirms them; its result is kept in the
    user's cache, so that every later process, such as one that resumes a run, chooses the same type. `QUORUM_CPU_DTYPE`
    in the environment overrides both.

    Raises:
        BadInput: the variable is neither float32 nor bfloat16.
    """
    if chosen := os.environ.get(CPU_TYPE_VARIABLE):
        if chosen not in _CPU_TYPES:
            raise BadInput(f"{CPU_TYPE_VARIABLE} is {chosen!r}; allowed are {', '.join(_CPU_TYPES)}")
        return chosen
    flags = read_cpu_flags()
    if not _FAST_UNITS & flags:
        return "float32"
    ratio = _recall_ratio(_name_cpu(flags), measure_bfloat16)
    return "bfloat16" if ratio >= _MUCH_FASTER else "float32"


def read_cpu_flags(file: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the flags of the first processor; empty on a system without this file."""
    with suppress(OSError):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, words = line.partition(":")
            if name.strip() == "flags":
                return frozenset(words.split())
    return frozenset()


def measure_bfloat16() -> float:
    """Return how many times as fast as float32 a product of bfloat16 matrices is, by the best of five rounds."""
    import torch

    best = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(_SIDE, _SIDE, dtype=dtype)
        with torch.inference_mode():
            torch.mm(matrix, matrix)
            best[dtype] = min(_time_product(torch.mm, matrix) for _ in range(_ROUNDS))
    return best[torch.float32] / best[torch.bfloat16]


def _time_product(multiply: Callable[..., object], matrix: object) -> float:
    begun = time.perf_counter()
    multiply(matrix, matrix)
    return time.perf_counter() - begun


def _name_cpu(flags: frozenset[str]) -> str:
    """Return what the measurement holds for: the processor's flags and the version of torch."""
    from importlib.metadata import version

    return " ".join([platform.machine(), f"torch {version('torch')}", *sorted(_FAST_UNITS & flags), str(len(flags))])


def _recall_ratio(cpu: str, measure: Callable[[], float]) -> float:
    """Return the kept measurement for this processor; measure and keep it if there is none."""
    file = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quorum" / "cpu-speed.json"
    kept = {}
    with suppress(OSError, ValueError):
        kept = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(kept, dict) or not isinstance(kept.get(cpu), float):
        kept = {**(kept if isinstance(kept, dict) else {}), cpu: round(measure(), 2)}
        with suppress(OSError):  # without a place to keep it, the next process measures again
            file.parent.mkdir(parents=True, exist_ok=True)
            with replace_file(file) as part:
                part.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return float(kept[cpu])
