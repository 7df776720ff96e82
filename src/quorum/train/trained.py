"""What a training came to."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainingResult:
    """What training came to."""

    folder: Path  # of the model or the adapter
    steps: int
    seconds: float  # of training alone, loading left out
    tokens: int  # read, padding left out
    losses: tuple[tuple[int, float], ...]  # the mean loss since the one before, by step
    peak_bytes: int  # of memory: the device's where there is one, else the process's
