"""Find the experts in the layers of a mixture model."""

import re
from typing import Any

from quorum.errors import BadInput
from quorum.train.expert_profile import Expert

_SHARED_NAMES = ("shared_expert", "shared_experts")
_LAYER = re.compile(r"(?:.*\.)?layers\.(\d+)\.")


def find_fused_experts(model: Any) -> dict[int, Any]:
    """Return, by layer, the module that holds all routed experts of the layer in three-dimensional parameters.

    Raises:
        BadInput: the model is dense, or its experts are not fused.
    """
    named = dict(model.named_modules())
    fused = {
        layer: module
        for name, module in named.items()
        if (layer := layer_of(name)) is not None
        and all(getattr(getattr(module, each, None), "ndim", 0) == 3 for each in ("gate_up_proj", "down_proj"))
        and hasattr(module, "_apply_gate")  # the interface of transformers' experts
    }
    if fused:
        return fused
    separate = any(name.endswith("experts") for name in named)
    problem = (
        "its experts are not fused parameters (gate_up_proj, down_proj)" if separate else "the model has no experts"
    )
    raise BadInput(
        f"{model.name_or_path}: {problem}; allowed are mixtures as transformers 5 loads Mixtral, Qwen-MoE, OLMoE and "
        "DeepSeek, unquantised"
    )


def find_shared_experts(model: Any) -> dict[int, Any]:
    """Return the shared expert of each layer that has one."""
    shared = {}
    for name, module in model.named_modules():
        layer = layer_of(name)
        if layer is not None and name.rpartition(".")[2] in _SHARED_NAMES and hasattr(module, "down_proj"):
            shared[layer] = module
    return shared


def check_expert_exists(expert: Expert, model: Any, routed: dict[int, Any], shared: dict[int, Any]) -> None:
    """Refuse an expert that the model does not have.

    Raises:
        BadInput: the model has no such expert.
    """
    if expert.expert is None:
        exists = expert.layer in shared
    else:
        exists = expert.layer in routed and expert.expert < len(routed[expert.layer].down_proj)
    if not exists:
        raise BadInput(f"{model.name_or_path} has no expert {expert.name}: the profile is of another model")


def layer_of(name: str) -> int | None:
    """Return the layer of the module with this name, or None if it is in no layer."""
    match = _LAYER.match(f"{name}.")
    return int(match[1]) if match else None
