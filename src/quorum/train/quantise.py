"""Quantise a model's weights to 4 bits for serving, with llm-compressor (W4A16, GPTQ).

Frantar et al. (2022), "GPTQ", arXiv:2210.17323.
"""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from quorum.data.learned import copy_learned
from quorum.disk import create_folder
from quorum.engine.checkpoint import Checkpoint, load_checkpoint
from quorum.engine.tokens import PromptTokenizer, truncate_middle
from quorum.errors import BadInput
from quorum.question import Prompt

_GROUP_SIZES = (128, 64, 32)  # weights that share a scale; the first that divides the width of every layer is used
_CALIBRATION_TOKENS = 2048  # of a calibration prompt, at most


def quantise_model(model: str, prompts: Sequence[Prompt], out: Path) -> int:
    """Write the model with 4-bit weights and 16-bit activations to the folder OUT, and return the group size.

    The linear layers are quantised except the last one (lm_head). The folder is in the format compressed-tensors, which
    vLLM and transformers open; it is written completely or not at all.

    Args:
        prompts: calibration prompts, as the model will be asked; their answers have no effect.

    Raises:
        BadInput: llm-compressor is not installed, the model cannot be loaded, no group size fits its layers, or OUT
            exists already.
    """
    if missing := [name for name in ("llmcompressor", "datasets") if find_spec(name) is None]:
        raise BadInput(f"quantising needs {' and '.join(missing)}; pip install llmcompressor (docs/training.md)")
    if out.exists():
        raise BadInput(f"{out} exists already; name another folder, or delete it")
    with redirect_stdout(sys.stderr):  # llm-compressor logs to standard output
        tokenizer, network = load_checkpoint(Checkpoint(model), "float32", "cpu")
        group = _find_group_size(model, network)
        _compress(tokenizer, network, prompts, group)
    with create_folder(out) as part:
        network.save_pretrained(part, save_compressed=True)
        tokenizer.save_pretrained(part)
        copy_learned(Path(model), part)
    return group


def _find_group_size(model: str, network: Any) -> int:
    """Return the largest group size that divides the width of every layer to quantise."""
    import torch

    widths = {
        layer.in_features
        for name, layer in network.named_modules()
        if isinstance(layer, torch.nn.Linear) and not name.endswith("lm_head")
    }
    group = next((size for size in _GROUP_SIZES if not any(width % size for width in widths)), None)
    if group is None:
        raise BadInput(f"{model}: no group of 32 or more weights divides the widths {sorted(widths)} of its layers")
    return group


def _compress(tokenizer: Any, network: Any, prompts: Sequence[Prompt], group: int) -> None:
    """Quantise the weights of a loaded model in place."""
    tokens = PromptTokenizer(tokenizer)
    ids = [list(truncate_middle(tokens.encode(tokens.render(each.content)), _CALIBRATION_TOKENS)) for each in prompts]
    weights = import_module("compressed_tensors.quantization")
    scheme = weights.QuantizationScheme(
        targets=["Linear"],
        weights=weights.QuantizationArgs(num_bits=4, type="int", symmetric=True, strategy="group", group_size=group),
    )
    modifier = import_module("llmcompressor.modifiers.quantization").GPTQModifier
    import_module("llmcompressor").oneshot(
        model=network,
        dataset=import_module("datasets").Dataset.from_dict({"input_ids": ids}),
        recipe=modifier(config_groups={"group_0": scheme}, ignore=["lm_head"]),
        num_calibration_samples=len(ids),
        max_seq_length=_CALIBRATION_TOKENS,
    )
