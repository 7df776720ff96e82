"""Train a LoRA adapter on chosen experts of a mixture model, in place of ordinary LoRA."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from quorum.errors import BadInput
from quorum.train.expert_profile import Chosen, Expert, choose_experts, format_experts, read_profile
from quorum.train.experts.layers import check_expert_exists, find_fused_experts, find_shared_experts, layer_of
from quorum.train.settings import CausalTuning, ExpertAdapterSettings

if TYPE_CHECKING:
    import torch

Adapt = Literal["super", "random", "matched", "attention"]
_FUSED = ("gate_up_proj", "down_proj")


class ExpertAdapter:
    """Attach LoRA matrices to chosen experts, and check after the training that no other expert has changed.

    Raises:
        BadInput: the profile cannot be read or has too few experts, or the trainer's settings are incompatible.
    """

    def __init__(self, settings: ExpertAdapterSettings, tuning: CausalTuning) -> None:
        self.settings = settings
        allowed = {"engine": ("auto", "trl"), "method": ("lora",), "dropout": (0.0,), "targets": ((),)}
        if wrong := [name for name, values in allowed.items() if getattr(tuning, name) not in values]:
            raise BadInput(
                f"trainer 'sft': experts needs engine auto or trl, method lora (bitsandbytes has no 4 bits for fused"
                f" experts), dropout 0 and no targets; change {', '.join(wrong)}"
            )
        chosen: Chosen = "super" if settings.adapt == "attention" else settings.adapt
        self.experts = choose_experts(read_profile(settings.profile), chosen, settings.draw)

    def attach(self, model: Any, tuning: CausalTuning) -> tuple[Any, str]:
        """Return the model with the adapter, and a line about the weights that it trains."""
        return add_expert_adapter(model, self.experts, self.settings.adapt, rank=tuning.rank, alpha=tuning.alpha)

    def check(self, model: Any) -> None:
        """Refuse a trained model in which other experts have changed.

        Raises:
            BadInput: the optimizer changed them without a gradient.
        """
        check_others_unchanged(model, self.experts)


def add_expert_adapter(model: Any, places: Sequence[Expert], adapt: Adapt, *, rank: int, alpha: int) -> tuple[Any, str]:
    """Return the model with a LoRA adapter that trains chosen weights only, and a line about these weights.

    PEFT adapts the fused experts of a layer all together. Both factors of experts that are not chosen start at zero, so
    neither ever has a gradient.

    Args:
        adapt: *super*, *random* and *matched* train the projections of the experts; *attention* trains the linear
            layers of attention in the experts' layers.

    Raises:
        BadInput: the model has no such experts.
    """
    import peft

    routed, shared = find_fused_experts(model), find_shared_experts(model)
    for place in places:
        check_expert_exists(place, model, routed, shared)
    names = {id(module): name for name, module in model.named_modules()}
    layers = sorted({place.layer for place in places})
    if adapt == "attention":
        modules = _linear_layers(model, _attention_modules(names.values(), layers))
        if not modules:
            raise BadInput(f"{model.name_or_path} has no linear layers in a module self_attn to adapt attention")
        parameters, scope = [], f"attention in layers {', '.join(map(str, layers))}"
    else:
        within = [names[id(shared[place.layer])] for place in places if place.expert is None]
        fused = [
            names[id(routed[layer])] for layer in sorted({each.layer for each in places if each.expert is not None})
        ]
        # PEFT takes any module called gate_proj in a mixture for a fused expert, so we pass parameters, not modules
        parameters = [f"{name}.{weight}" for name in fused for weight in _FUSED]
        parameters += [f"{name}.weight" for name in _linear_layers(model, within)]
        modules, scope = [], f"experts {format_experts(places)}"
    config = peft.LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=modules, target_parameters=parameters, task_type="CAUSAL_LM"
    )
    adapted = peft.get_peft_model(model, config)
    others = _other_factors(adapted, places)
    for factors in others:
        for factor in factors:
            factor.zero_()
    trainable = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    trainable -= sum(factor.numel() for factors in others for factor in factors)
    return adapted, f"adapt {adapt}: {scope}; {trainable:,} trainable parameters"


def check_others_unchanged(model: Any, places: Sequence[Expert]) -> None:
    """Refuse a model in which fused experts that `add_expert_adapter` did not choose have changed in the training.

    Raises:
        BadInput: the optimizer changed them without a gradient.
    """
    if any(bool(factor.any()) for factors in _other_factors(model, places) for factor in factors):
        raise BadInput(
            "the optimizer moved experts that were not chosen, which have no gradient; "
            'optimizer = "adamw_torch" leaves them unchanged'
        )


def _other_factors(adapted: Any, places: Sequence[Expert]) -> list[tuple["torch.Tensor", "torch.Tensor"]]:
    """Return both factors, as views of the adapter's weights, of each fused expert that was not chosen."""
    return [factors for layer, expert, factors in _expert_factors(adapted) if Expert(layer, expert) not in places]


def _expert_factors(adapted: Any) -> Iterator[tuple[int, int, tuple["torch.Tensor", "torch.Tensor"]]]:
    """Yield layer, expert, and the factors of its update in PEFT's layout: shapes (rank, in) and (out, rank)."""
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


def _attention_modules(names: Iterable[str], layers: Sequence[int]) -> list[str]:
    """Return the names of the attention modules of these layers."""
    return [name for name in names if name.endswith("self_attn") and layer_of(name) in layers]


def _linear_layers(model: Any, within: Sequence[str]) -> list[str]:
    """Return the names of the linear layers inside the named modules."""
    import torch

    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and any(name.startswith(f"{outer}.") for outer in within)
    ]
