"""Prepare a causal model for training: whole or with an adapter on frozen weights, quantised or not."""

import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from quorum.engine.checkpoint import Checkpoint, choose_device, choose_dtype, load_checkpoint, translate_loading_errors
from quorum.errors import BadInput
from quorum.train.settings import CausalTuning
from quorum.train.validate import is_out_of_memory

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# The linear layers of attention and of the MLP, as most families call them.
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class AdapterFactory(Protocol):
    """Makes an adapter in place of ordinary LoRA."""

    @property
    def settings(self) -> "DataclassInstance":
        """Part of what identifies a training."""
        ...

    def attach(self, model: Any, tuning: CausalTuning) -> tuple[Any, str]:
        """Return the model with its adapter, and a line about what it trains."""
        ...

    def check(self, model: Any) -> None:
        """Refuse a trained model that breaks the adapter's promise; raises BadInput."""
        ...


def prepare_model(
    tuning: CausalTuning, say: Callable[[str], None], adapter: AdapterFactory | None = None
) -> tuple[Any, Any]:
    """The tokenizer and the model, through transformers and PEFT; where not all of it learns, with a new adapter.

    Raises:
        BadInput: there is no such model, bitsandbytes is missing, no layer has the name of a target, the profile that
            `adapt` goes by is none of this model.
    """
    import torch
    import transformers

    device = choose_device()
    dtype = select_training_dtype(tuning)
    quantization = None
    if tuning.method == "qlora" and make_four_bit_config(device, say):
        quantization = transformers.BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, dtype),
        )
    stored = "float32" if tuning.method == "full" else dtype  # small steps are lost in 16 bits
    tokenizer, model = load_checkpoint(
        Checkpoint(tuning.model, tuning.revision), stored, device, quantization=quantization
    )
    if tuning.method == "full":
        return tokenizer, model
    if adapter is not None:
        transformers.set_seed(tuning.seed)
        adapted, line = adapter.attach(model, tuning)
        say(line)
        return tokenizer, adapted
    import peft

    targets = tuning.targets or find_lora_targets(model)
    config = peft.LoraConfig(
        r=tuning.rank,
        lora_alpha=tuning.alpha,
        lora_dropout=tuning.dropout,
        target_modules=list(targets) if targets else "all-linear",
        task_type="CAUSAL_LM",
    )
    transformers.set_seed(tuning.seed)
    try:
        return tokenizer, peft.get_peft_model(model, config)
    except ValueError as error:
        raise BadInput(f"targets {', '.join(targets)}: {str(error).splitlines()[0]}") from None


def prepare_unsloth_model(tuning: CausalTuning, say: Callable[[str], None]) -> tuple[Any, Any]:
    """The same through Unsloth, which must have been imported before transformers."""
    import torch
    import transformers

    unsloth = import_module("unsloth")
    four = tuning.method == "qlora" and make_four_bit_config(choose_device(), say)
    with translate_loading_errors(tuning.model):
        # the base's own: Unsloth's may have another padding token, and what is asked later has none of it
        tokenizer = transformers.AutoTokenizer.from_pretrained(tuning.model, revision=tuning.revision)
        try:
            model, _ = unsloth.FastLanguageModel.from_pretrained(
                tuning.model,
                revision=tuning.revision,
                max_seq_length=tuning.max_tokens + 1,
                dtype=getattr(torch, select_training_dtype(tuning)),
                load_in_4bit=four,
                full_finetuning=tuning.method == "full",
                use_exact_model_name=True,
                local_files_only=Path(tuning.model).is_dir(),
            )
        except RuntimeError as error:  # so Unsloth names a model that is missing or gated
            raise _as_loading(error) from None
    if tuning.method == "full":
        return tokenizer, model
    adapted = unsloth.FastLanguageModel.get_peft_model(
        model,
        r=tuning.rank,
        lora_alpha=tuning.alpha,
        lora_dropout=tuning.dropout,
        target_modules=list(tuning.targets or find_lora_targets(model) or PROJECTIONS),
        bias="none",
        use_gradient_checkpointing="unsloth" if tuning.checkpointing else False,
        random_state=tuning.seed,
    )
    return tokenizer, adapted


def _as_loading(error: RuntimeError) -> Exception:
    return error if is_out_of_memory(error) else OSError(str(error))


def has_unsloth() -> bool:
    """Whether Unsloth is installed."""
    return find_spec("unsloth") is not None


def import_unsloth(out: Path) -> None:
    """Imports Unsloth, before transformers; what it compiles goes to `out`, and it tells nobody.

    Raises:
        BadInput: it isn't installed or can't be imported.
    """
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(out / "unsloth_compiled_cache"))
    try:
        import_module("unsloth")
    except (ImportError, NotImplementedError, RuntimeError) as error:
        found = " ".join(str(error).split())[:300]
        raise BadInput(f'engine unsloth can\'t be imported ({found}); engine = "trl" needs no Unsloth') from None


def select_training_dtype(tuning: CausalTuning) -> str:
    """What is computed in: bfloat16 or float16 by what the GPU has (T4: float16), float32 on a CPU, or the setting's.

    Raises:
        BadInput: the setting's is nothing that this machine learns in.
    """
    device = choose_device()
    fast = choose_dtype(device)
    if tuning.dtype == "float16" and device == "cpu":
        raise BadInput("dtype float16 learns on a GPU alone, and there is none; allowed are auto, float32, bfloat16")
    if tuning.dtype == "bfloat16" and device == "cuda" and fast == "float16":
        raise BadInput("dtype bfloat16: this GPU has none (a T4 has float16); allowed are auto, float16, float32")
    return fast if tuning.dtype == "auto" else tuning.dtype


def find_lora_targets(model: Any) -> tuple[str, ...]:
    """Those of the usual seven projections that the model has as linear layers; none where it calls them otherwise."""
    import torch

    names = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    return tuple(name for name in PROJECTIONS if name in names)


def make_four_bit_config(device: str, say: Callable[[str], None]) -> bool:
    """Whether bitsandbytes can hold weights in 4 bits on this device; where it can not, that is said.

    Raises:
        BadInput: it is not installed.
    """
    if find_spec("bitsandbytes") is None:
        raise BadInput(
            'method qlora: the package bitsandbytes is not installed; pip install bitsandbytes, or method = "lora"'
        )
    if device in import_module("bitsandbytes").supported_torch_devices:
        return True
    say(f"bitsandbytes has no 4-bit weights on {device}: the adapter learns on unquantised weights instead")
    return False
