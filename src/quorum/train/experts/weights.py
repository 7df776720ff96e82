"""What is done to chosen experts alone: their output set to zero, or an adapter that learns in them."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from quorum.engine.checkpoint import Checkpoint, load_checkpoint, translate_loading_errors
from quorum.errors import BadInput
from quorum.train.experts.choice import Expert, format_experts
from quorum.train.experts.profile import find_fused_experts, find_shared_experts, layer_of

if TYPE_CHECKING:
    import torch

Adapt = Literal["super", "random", "attention"]
_FUSED = ("gate_up_proj", "down_proj")


def prune_experts(model: str, places: Sequence[Expert], out: Path) -> None:
    """Writes OUT, whole or not at all: the model with the down_proj of these experts zero, in its own type, and its
    tokenizer. Such an expert adds nothing to what the others write; the router still sends it tokens.

    Raises:
        BadInput: the model can't be loaded or has no such experts, or OUT is there already.
    """
    import torch
    import transformers

    if out.exists():
        raise BadInput(f"{out} is there already; name another folder, or delete it")
    with translate_loading_errors(model):
        stored = transformers.AutoConfig.from_pretrained(model).get_text_config().dtype
    tokenizer, network = load_checkpoint(Checkpoint(model), str(stored or torch.float32).removeprefix("torch."), "cpu")
    routed, shared = find_fused_experts(network), find_shared_experts(network)
    with torch.no_grad():
        for place in places:
            _check_place(place, network, routed, shared)
            if place.expert is None:
                for parameter in shared[place.layer].down_proj.parameters():
                    parameter.zero_()
                continue
            experts = routed[place.layer]
            experts.down_proj[place.expert] = 0
            if experts.has_bias:
                experts.down_proj_bias[place.expert] = 0
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    network.save_pretrained(part)
    tokenizer.save_pretrained(part)
    part.replace(out)


def add_expert_adapter(model: Any, places: Sequence[Expert], adapt: Adapt, *, rank: int, alpha: int) -> tuple[Any, str]:
    """The model with a LoRA adapter that learns in chosen places alone, and a line about them.

    *super* and *random*: the projections of these experts; *attention*: the linear layers of attention in their layers.
    PEFT adapts the fused experts of a layer all together, so both factors of those that are not chosen begin at zero:
    neither ever has a gradient.

    Raises:
        BadInput: the model has no such experts.
    """
    import peft

    routed, shared = find_fused_experts(model), find_shared_experts(model)
    for place in places:
        _check_place(place, model, routed, shared)
    names = {id(module): name for name, module in model.named_modules()}
    layers = sorted({place.layer for place in places})
    if adapt == "attention":
        modules = _linear_layers(model, _attention_of(names.values(), layers))
        if not modules:
            raise BadInput(
                f"{model.name_or_path} has no linear layers in a module self_attn, where attention would learn"
            )
        parameters, told = [], f"attention in layers {', '.join(map(str, layers))}"
    else:
        within = [names[id(shared[place.layer])] for place in places if place.expert is None]
        fused = [
            names[id(routed[layer])] for layer in sorted({each.layer for each in places if each.expert is not None})
        ]
        # of a mixture PEFT takes modules called gate_proj for the fused ones, wherever they are: so they are parameters
        parameters = [f"{name}.{weight}" for name in fused for weight in _FUSED]
        parameters += [f"{name}.weight" for name in _linear_layers(model, within)]
        modules, told = [], f"experts {format_experts(places)}"
    config = peft.LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=modules, target_parameters=parameters, task_type="CAUSAL_LM"
    )
    adapted = peft.get_peft_model(model, config)
    others = _factors_beside(adapted, places)
    for factors in others:
        for factor in factors:
            factor.zero_()
    learns = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    learns -= sum(factor.numel() for factors in others for factor in factors)
    return adapted, f"adapt {adapt}: {told}; {learns:,} numbers learn"


def check_others_unchanged(model: Any, places: Sequence[Expert]) -> None:
    """Nothing, where the fused experts that `add_expert_adapter` did not choose are as they were before the training.

    Raises:
        BadInput: the optimizer moved them without a gradient.
    """
    if any(bool(factor.any()) for factors in _factors_beside(model, places) for factor in factors):
        raise BadInput(
            "the optimizer moved experts that were not chosen, which have no gradient; "
            'optimizer = "adamw_torch" leaves them alone'
        )


def _factors_beside(adapted: Any, places: Sequence[Expert]) -> list[tuple["torch.Tensor", "torch.Tensor"]]:
    """Both factors, as views of the adapter's weights, of each fused expert that was not chosen."""
    return [factors for layer, expert, factors in _expert_factors(adapted) if Expert(layer, expert) not in places]


def _expert_factors(adapted: Any) -> Iterator[tuple[int, int, tuple["torch.Tensor", "torch.Tensor"]]]:
    """Layer, expert, and the factors of its update: shapes (rank, in) and (out, rank); PEFT's layout."""
    from peft.tuners.lora import ParamWrapper

    for name, module in adapted.named_modules():
        layer = layer_of(name)
        if layer is None or not isinstance(module, ParamWrapper) or module.parameter_name not in _FUSED:
            continue
        factors: Any = module.lora_A["default"], module.lora_B["default"]
        inner, outer = (factor.weight.data for factor in factors)
        count: int = module.num_experts
        by_expert = inner.view(count, -1, inner.shape[1]), outer.view(outer.shape[0], -1, count)
        for expert in range(count):
            yield layer, expert, (by_expert[0][expert], by_expert[1][:, :, expert])


def _check_place(place: Expert, model: Any, routed: dict[int, Any], shared: dict[int, Any]) -> None:
    if place.expert is None:
        known = place.layer in shared
    else:
        known = place.layer in routed and place.expert < len(routed[place.layer].down_proj)
    if not known:
        raise BadInput(f"{model.name_or_path} has no expert {place.name}: the profile is of another model")


def _attention_of(names: Iterable[str], layers: Sequence[int]) -> list[str]:
    """What holds the linear layers of attention in these layers."""
    return [name for name in names if name.endswith("self_attn") and layer_of(name) in layers]


def _linear_layers(model: Any, within: Sequence[str]) -> list[str]:
    """The linear layers in the modules of these names."""
    import torch

    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and any(name.startswith(f"{outer}.") for outer in within)
    ]
