"""Record the largest activations of every expert while a mixture model reads."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from quorum.errors import BadInput
from quorum.train.expert_profile import Expert, ExpertPeak
from quorum.train.experts.layers import find_fused_experts, find_shared_experts

if TYPE_CHECKING:
    import torch


class PeakRecorder:
    """Keep the maxima of an expert's down_proj over all tokens, in float32."""

    def __init__(self, place: Expert) -> None:
        self.place = place
        self.tokens, self.output_max, self.input_max, self.channel = 0, 0.0, 0.0, 0

    def record(self, inputs: "torch.Tensor", outputs: "torch.Tensor") -> None:
        """Update the maxima with the inputs and outputs of some tokens, shapes (tokens, width).

        Raises:
            BadInput: a value is not finite.
        """
        by_channel = outputs.abs().amax(0).float()
        channel = int(by_channel.argmax())  # the first of equal ones
        output, inner = float(by_channel[channel]), float(inputs.abs().amax().float())
        if not (math.isfinite(output) and math.isfinite(inner)):
            raise BadInput(
                f"expert {self.place.name} writes {output}, which is not finite; dtype bfloat16 and float32 hold larger"
                " numbers than float16"
            )
        if not self.tokens or (output, -channel) > (self.output_max, -self.channel):
            self.output_max, self.channel = output, channel
        self.input_max = max(self.input_max, inner)
        self.tokens += len(outputs)

    def peak(self) -> ExpertPeak:
        """Return the maxima so far."""
        if not self.tokens:
            return ExpertPeak(place=self.place, tokens=0, output_max=None, input_max=None, channel=None)
        return ExpertPeak(
            place=self.place,
            tokens=self.tokens,
            output_max=self.output_max,
            input_max=self.input_max,
            channel=self.channel,
        )


def make_recorders(model: Any) -> tuple[dict[int, list[PeakRecorder]], dict[int, PeakRecorder]]:
    """Return a recorder for each routed expert and for each shared expert of the model, by layer."""
    routed = {
        layer: [PeakRecorder(Expert(layer, number)) for number in range(len(experts.down_proj))]
        for layer, experts in find_fused_experts(model).items()
    }
    return routed, {layer: PeakRecorder(Expert(layer, None)) for layer in find_shared_experts(model)}


@contextmanager
def record_experts(
    model: Any, routed: dict[int, list[PeakRecorder]], shared: dict[int, PeakRecorder], real: "list[torch.Tensor]"
) -> Iterator[None]:
    """Record the inputs and outputs of experts while the context is open; the model's output does not change.

    Args:
        real: one mask, shape (tokens), of the positions in the current batch that are not padding.
    """
    handles = []
    for layer, module in find_fused_experts(model).items():

        def hook(experts: Any, args: tuple[Any, ...], kwargs: dict[str, Any], layer: int = layer) -> None:
            inputs = dict(zip(("hidden_states", "top_k_index"), args, strict=False)) | kwargs
            _record_routed(routed[layer], experts, inputs["hidden_states"], inputs["top_k_index"], real[0])

        handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))
    for layer, module in find_shared_experts(model).items():

        def shared_hook(_: Any, args: tuple[Any, ...], out: Any, layer: int = layer) -> None:
            shared[layer].record(*(each.reshape(-1, each.shape[-1])[real[0]] for each in (args[0], out)))

        handles.append(module.down_proj.register_forward_hook(shared_hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _record_routed(
    recorders: Sequence[PeakRecorder],
    experts: Any,
    hidden: "torch.Tensor",
    routes: "torch.Tensor",
    real: "torch.Tensor",
) -> None:
    """Record each expert's own output, before the router weights it.

    Args:
        hidden: shape (tokens, width).
        routes: the experts of each token, shape (tokens, experts per token).
    """
    from accelerate.utils import align_module_device  # type: ignore[import-untyped]

    hidden, routes = hidden.reshape(len(real), -1)[real], routes.reshape(len(real), -1)[real]
    with align_module_device(experts):  # loads offloaded weights
        for expert in sorted(set(routes.flatten().tolist())):
            inputs = hidden[(routes == expert).any(1)]
            inner = experts._apply_gate(_project(experts, "gate_up_proj", expert, inputs))
            recorders[expert].record(inner, _project(experts, "down_proj", expert, inner))


def _project(experts: Any, name: str, expert: int, inputs: "torch.Tensor") -> "torch.Tensor":
    from torch.nn.functional import linear

    weight = getattr(experts, name)[expert]
    bias = getattr(experts, f"{name}_bias")[expert] if experts.has_bias else None
    return linear(inputs.to(weight.dtype), weight.T if experts.is_transposed else weight, bias)
