"""Run programs with --help, and list what they import."""

import subprocess
import sys

HEAVY = {"torch", "transformers", "vllm", "unsloth", "trl", "peft", "faiss", "sentence_transformers", "datasets"}
NOT_FOR_HELP = HEAVY | {"polars", "numpy", "scipy", "sklearn", "datasketch", "rich", "pandas", "statsmodels", "kaggle"}


def show_help(*command: str) -> tuple[str, set[str]]:
    """Return what `python COMMAND --help` prints, and the top-level modules that it imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert loaded, "importtime printed nothing"
    return done.stdout, loaded
