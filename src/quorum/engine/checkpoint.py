"""A model and its tokenizer, from the hub or a folder, ready to answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from quorum.errors import BadInput

_HUB = (
    "of the hub (owner/name): a gated one needs its terms accepted and `hf auth login`, and without a network it must "
    "have been downloaded before"
)
_MODEL_HINT = f"name a folder that holds config.json, tokenizer.json and the weights, or a model {_HUB}"
_ADAPTER_FILE = "adapter_config.json"
_ADAPTER_HINT = f"name a folder that holds {_ADAPTER_FILE} and adapter_model.safetensors, or an adapter {_HUB}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Which weights: a hub id or a folder, a revision of it, and a PEFT adapter (hub id or folder) to go on top."""

    model: str
    revision: str | None = None
    adapter: str | None = None
    trust_remote_code: bool = False


def load_checkpoint(
    checkpoint: Checkpoint,
    dtype: str = "auto",
    device: str = "auto",
    kind: str = "AutoModelForCausalLM",
    quantization: Any = None,
) -> tuple[Any, Any]:
    """The tokenizer, and the model on its device; `kind` is the class of transformers that opens it.

    `quantization` is a configuration of transformers' for weights that are quantised as they are read.
    `device` auto is a GPU where there is one; `dtype` auto is the type that the device is fast in.

    Raises:
        BadInput: there is no such model or adapter, it may not be read, no such dtype; with the way out.
    """
    import torch
    import transformers

    if checkpoint.adapter is not None:  # before minutes go into the model
        _check_adapter(checkpoint.adapter)
    device = choose_device() if device == "auto" else device
    dtype = choose_dtype(device) if dtype == "auto" else dtype
    if not isinstance(getattr(torch, dtype, None), torch.dtype):
        raise BadInput(f"dtype {dtype!r}; allowed are auto, float32, float16, bfloat16")
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # ours is one callback
    origin: dict[str, Any] = {"revision": checkpoint.revision, "trust_remote_code": checkpoint.trust_remote_code}
    placed: dict[str, Any] = {"dtype": getattr(torch, dtype), "device_map": {"": device}}
    if quantization is not None:
        placed["quantization_config"] = quantization
    with translate_loading_errors(checkpoint.model):
        tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint.model, **origin)
        model: Any = getattr(transformers, kind).from_pretrained(checkpoint.model, **origin, **placed)
    if checkpoint.adapter is not None:
        model = _apply_adapter(model, checkpoint.adapter)
    return tokenizer, model.eval()


def find_max_length(model: Any, tokenizer: Any, asked: int | None = None) -> int:
    """How many tokens the model and its tokenizer say they take at most; fewer where fewer are `asked`.

    Raises:
        BadInput: that is less than four tokens.
    """
    config = model.config.get_text_config()
    said = [getattr(config, "max_position_embeddings", None), tokenizer.model_max_length, asked]
    room = min(int(limit) for limit in [*said, 2**30] if limit)
    if room < 4:
        raise BadInput(f"a context of {room} tokens; at least 4 are needed")
    return room


def choose_device() -> str:
    """A GPU where there is one."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_dtype(device: str) -> str:
    """bfloat16 where the GPU computes in it, half on an older one (T4: capability 7.5), float32 on a CPU."""
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.get_device_capability(device)[0] >= 8 else "float16"
    return "float16" if device == "mps" else "float32"


def _check_adapter(adapter: str) -> None:
    """What can be known of an adapter before there is a model."""
    if find_spec("peft") is None:
        raise BadInput(f"adapter {adapter}: the package peft is not installed; pip install peft")
    with translate_loading_errors(adapter, _ADAPTER_HINT):
        if Path(adapter).is_dir() and not (Path(adapter) / _ADAPTER_FILE).is_file():  # PEFT would ask the hub for it
            raise BadInput(f"{adapter}: no {_ADAPTER_FILE} in that folder; {_ADAPTER_HINT}")


def _apply_adapter(model: Any, adapter: str) -> Any:
    """The model with a PEFT adapter merged into its weights (beside them where they are quantised)."""
    import peft

    try:
        with translate_loading_errors(adapter, _ADAPTER_HINT):
            adapted = peft.PeftModel.from_pretrained(model, adapter)
    except RuntimeError as error:
        if "size mismatch" not in str(error):
            raise
        raise BadInput(f"{adapter} was trained on another model than {model.name_or_path}") from None
    return adapted if getattr(model, "is_quantized", False) else adapted.merge_and_unload()


@contextmanager
def translate_loading_errors(name: str, way_out: str = _MODEL_HINT) -> Iterator[None]:
    """Whatever hinders loading `name`, told with the way out."""
    from safetensors import SafetensorError

    path = Path(name)
    # what has two slashes is no name of the hub's
    if not path.is_dir() and (path.is_absolute() or len(path.parts) > 2):
        raise BadInput(f"{name}: no such folder; {way_out}")
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        found = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise BadInput(f"{name} cannot be loaded: {found.rstrip('.:')}; {way_out}") from None
