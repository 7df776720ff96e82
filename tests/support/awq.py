"""A checkpoint in AWQ's format, made on the spot: 4 bits a weight, in groups with a scale and a zero point each."""

import json
import shutil
from pathlib import Path
from typing import Any

GROUP = 32  # weights; 128 in the checkpoints of the hub
_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # which of eight neighbours lies where in an int32


def write_awq(model: Path, folder: Path, rounded: Path) -> None:
    """Writes `model` with its linear layers in 4 bits into `folder`, and those rounded weights whole into `rounded`."""
    import torch
    from safetensors.torch import load_file, save_file

    for out in (folder, rounded):
        shutil.copytree(model, out, dirs_exist_ok=True)
    packed: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    for name, weight in load_file(model / "model.safetensors").items():
        if weight.ndim != 2 or "embed" in name or "lm_head" in name:
            packed[name] = whole[name] = weight.half()
            continue
        levels, zeros, scales = _quantised(weight.float())
        stem = name.removesuffix("weight")
        packed |= {stem + "qweight": _packed(levels), stem + "qzeros": _packed(zeros), stem + "scales": scales}
        spread = [each.repeat_interleave(GROUP, 0) for each in (zeros, scales)]
        whole[name] = ((levels - spread[0]) * spread[1]).T.to(torch.float32).contiguous()
    save_file(packed, folder / "model.safetensors", {"format": "pt"})
    save_file({name: each.float() for name, each in whole.items()}, rounded / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "float16"
    config["quantization_config"] = {
        "quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm",
        "modules_to_not_convert": None,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))


def _quantised(weight: Any) -> tuple[Any, Any, Any]:
    """Levels (inputs, outputs), zero points and scales (groups, outputs) of a (outputs, inputs) matrix."""
    groups = weight.T.reshape(-1, GROUP, weight.shape[0])
    low, high = groups.amin(1), groups.amax(1)
    scales = ((high - low) / 15).half()
    zeros = (-low / scales.float()).round().clamp(0, 15)
    levels = (groups / scales.float()[:, None] + zeros[:, None]).round().clamp(0, 15)
    return levels.reshape(weight.T.shape).int(), zeros.int(), scales


def _packed(levels: Any) -> Any:
    """Eight 4-bit numbers along the last axis in one int32, in AWQ's order."""
    import torch

    eights = levels.long().reshape(levels.shape[0], -1, 8)[:, :, _ORDER]
    shifted = (eights << torch.arange(0, 32, 4)).sum(-1)
    return (shifted - (shifted >= 2**31).long() * 2**32).int().contiguous()
