"""Read the log of a kernel that ran at Kaggle, and find why it failed."""

import json
import re
from collections.abc import Iterable

MOST_LOG_CHARACTERS = 50_000_000  # of a log that are kept, half of them from its end

# Patterns in a kernel's last lines, with the likely cause and a hint.
_CAUSES = (
    (r"CUDA out of memory|OutOfMemoryError", "out of GPU memory: use a smaller model, batch or context length"),
    (r"allocate more memory than is available|exit code 137|\bKilled\b", "out of memory: load one model at a time"),
    (r"No space left on device", "the disk is full: write less to /kaggle/working"),
    (r"Bfloat16 is only supported", "the T4 has no bfloat16: set the type to float16"),
    (r"no kernel image is available", "another GPU than the wheels were built for: check machine_shape"),
    (r"No module named|ModuleNotFoundError", "a package is neither in the image nor in the wheels"),
    (r"No matching distribution found", "the wheels lack a package: quorum wheels checks the closure"),
    (
        r"name resolution|Max retries exceeded|NewConnectionError",
        "it needs the network, which is off: mount the files that it loads",
    ),
    (
        r"/kaggle/input.*(No such file|not found)|FileNotFoundError",
        "an input is missing: compare the mounts in the log",
    ),
    (r"[Tt]imed? ?out|exceeded the maximum (run)?time", "out of time: set an earlier deadline, or use a smaller model"),
)


def parse_log(log: str) -> list[str]:
    """Return the lines that a kernel printed, from Kaggle's log: a JSON list of pieces, otherwise plain text."""
    try:
        text = "".join(str(piece["data"]) for piece in json.loads(log))
    except (ValueError, TypeError, KeyError, RecursionError):
        text = log
    return text.splitlines()


def shorten_log(log: str) -> str:
    """Return a log that is not too long; the middle of a longer one is left out, and it is read as plain text."""
    if len(log) <= MOST_LOG_CHARACTERS:
        return log
    half, left_out = MOST_LOG_CHARACTERS // 2, len(log) - MOST_LOG_CHARACTERS
    return f"{log[:half]}\n({left_out:,} characters left out)\n{log[-half:]}"


def find_likely_cause(lines: Iterable[str], reason: str = "") -> str | None:
    """Return the likely cause of a kernel's failure, from its lines and Kaggle's reason; the last match wins."""
    for line in reversed([*lines, reason]):
        for pattern, cause in _CAUSES:
            if re.search(pattern, line):
                return cause
    return None
