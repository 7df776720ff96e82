"""What every expert of a mixture writes while the model reads: the largest values, over all tokens routed to it."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from quorum.console import Progress
from quorum.engine.checkpoint import find_max_length
from quorum.engine.tokens import PromptTokenizer, truncate_middle
from quorum.errors import BadInput
from quorum.question import Prompt
from quorum.train.experts.choice import Criterion, Expert, ExpertPeak, ExpertProfile

if TYPE_CHECKING:
    import torch

SHARED = ("shared_expert", "shared_experts")
_LAYER = re.compile(r"(?:.*\.)?layers\.(\d+)\.")


class _Seen:
    """The running maxima of an expert's down_proj, float32."""

    def __init__(self, place: Expert) -> None:
        self.place = place
        self.tokens, self.output_max, self.input_max, self.channel = 0, 0.0, 0.0, 0

    def take(self, inner: "torch.Tensor", outer: "torch.Tensor") -> None:
        """Takes what went in and came out for some tokens, shapes (tokens, width).

        Raises:
            BadInput: a value is no finite number.
        """
        by_channel = outer.abs().amax(0).float()
        channel = int(by_channel.argmax())  # the first of equal ones
        output, inside = float(by_channel[channel]), float(inner.abs().amax().float())
        if not (math.isfinite(output) and math.isfinite(inside)):
            raise BadInput(
                f"expert {self.place.name} writes {output}, which is no finite number: dtype bfloat16 or float32 holds "
                "more than float16"
            )
        if not self.tokens or (output, -channel) > (self.output_max, -self.channel):
            self.output_max, self.channel = output, channel
        self.input_max = max(self.input_max, inside)
        self.tokens += len(outer)

    def peak(self) -> ExpertPeak:
        """What is known now."""
        if not self.tokens:
            return ExpertPeak(self.place, 0, None, None, None)
        return ExpertPeak(self.place, self.tokens, self.output_max, self.input_max, self.channel)


def find_fused_experts(model: Any) -> dict[int, Any]:
    """The module that holds all routed experts of a layer in three-dimensional parameters, by layer.

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
    apart = any(name.endswith("experts") for name in named)
    found = "its experts are no fused parameters (gate_up_proj, down_proj)" if apart else "it has no experts"
    raise BadInput(
        f"{model.name_or_path}: {found}; allowed are mixtures as transformers 5 loads Mixtral, Qwen-MoE, OLMoE and "
        "DeepSeek, unquantised"
    )


def find_shared_experts(model: Any) -> dict[int, Any]:
    """The shared expert of each layer that has one."""
    found = {}
    for name, module in model.named_modules():
        layer = layer_of(name)
        if layer is not None and name.rpartition(".")[2] in SHARED and hasattr(module, "down_proj"):
            found[layer] = module
    return found


def profile_experts(
    model: Any,
    tokens: PromptTokenizer,
    prompts: Sequence[Prompt],
    criterion: Criterion,
    *,
    batch_tokens: int = 2048,
    progress: Progress = lambda done, total: None,
) -> ExpertProfile:
    """What each expert of `model`, loaded and in eval, wrote while it read the prompts as a backend sends them.

    The maxima are of values in the model's own type. A batch holds at most `batch_tokens` tokens, padding included, or
    one prompt; of a prompt that is longer than the model reads the middle is left out.

    Raises:
        BadInput: no prompts, no fused experts, a maximum is no finite number.
    """
    import torch

    if not prompts:
        raise BadInput("there are no prompts to profile the experts on")
    room = find_max_length(model, tokens.tokenizer)
    sequences = [truncate_middle(tokens.encode(tokens.render(prompt.content)), room) for prompt in prompts]
    routed = {
        layer: [_Seen(Expert(layer, number)) for number in range(len(experts.down_proj))]
        for layer, experts in find_fused_experts(model).items()
    }
    shared = {layer: _Seen(Expert(layer, None)) for layer in find_shared_experts(model)}
    real: list[torch.Tensor] = []  # which places of the batch at hand hold a token
    done = 0
    with _watched(model, routed, shared, real), torch.inference_mode():
        for batch in _length_batches(sequences, batch_tokens):
            ids, mask = _padded_behind(batch, tokens.pad, model.device)
            real[:] = [mask.flatten().bool()]
            model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
            progress(done := done + len(batch), len(sequences))
    peaks = [
        seen.peak()
        for layer in sorted({*routed, *shared})
        for seen in [*routed.get(layer, []), *([shared[layer]] if layer in shared else [])]
    ]
    layers = int(model.config.get_text_config().num_hidden_layers)
    return ExpertProfile(model.name_or_path, layers, len(sequences), sum(map(len, sequences)), criterion, tuple(peaks))


@contextmanager
def _watched(
    model: Any, routed: dict[int, list[_Seen]], shared: dict[int, _Seen], real: "list[torch.Tensor]"
) -> Iterator[None]:
    """While this is open, what experts read and write is noted; the model answers as it does without."""
    handles = []
    for layer, module in find_fused_experts(model).items():

        def note(experts: Any, args: tuple[Any, ...], kwargs: dict[str, Any], layer: int = layer) -> None:
            given = dict(zip(("hidden_states", "top_k_index"), args, strict=False)) | kwargs
            _note_routed(routed[layer], experts, given["hidden_states"], given["top_k_index"], real[0])

        handles.append(module.register_forward_pre_hook(note, with_kwargs=True))
    for layer, module in find_shared_experts(model).items():

        def note_shared(_: Any, args: tuple[Any, ...], out: Any, layer: int = layer) -> None:
            shared[layer].take(*(each.reshape(-1, each.shape[-1])[real[0]] for each in (args[0], out)))

        handles.append(module.down_proj.register_forward_hook(note_shared))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _note_routed(
    seen: Sequence[_Seen], experts: Any, hidden: "torch.Tensor", routes: "torch.Tensor", real: "torch.Tensor"
) -> None:
    """Each expert's own output, before the router weighs it; (tokens, width), and (tokens, experts a token)."""
    hidden, routes = hidden.reshape(len(real), -1)[real], routes.reshape(len(real), -1)[real]
    for expert in sorted(set(routes.flatten().tolist())):
        given = hidden[(routes == expert).any(1)]
        inner = experts._apply_gate(_product(experts, "gate_up_proj", expert, given))
        seen[expert].take(inner, _product(experts, "down_proj", expert, inner))


def _product(experts: Any, name: str, expert: int, given: "torch.Tensor") -> "torch.Tensor":
    from torch.nn.functional import linear

    weight = getattr(experts, name)[expert]
    bias = getattr(experts, f"{name}_bias")[expert] if experts.has_bias else None
    return linear(given.to(weight.dtype), weight.T if experts.is_transposed else weight, bias)


def _length_batches(sequences: Sequence[tuple[int, ...]], most: int) -> Iterator[list[tuple[int, ...]]]:
    """Sequences of like length together, the longest first: what the memory does not hold fails at once."""
    batch: list[tuple[int, ...]] = []
    for sequence in sorted(sequences, key=len, reverse=True):
        if batch and len(batch[0]) * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(sequence)
    yield batch


def _padded_behind(batch: Sequence[tuple[int, ...]], pad: int, device: Any) -> "tuple[torch.Tensor, torch.Tensor]":
    """Token ids and their mask, padded behind: a causal model reads nothing of what comes later."""
    import torch

    width = len(batch[0])
    ids = torch.tensor([[*sequence, *[pad] * (width - len(sequence))] for sequence in batch], device=device)
    lengths = torch.tensor([len(sequence) for sequence in batch], device=device)
    return ids, (torch.arange(width, device=device) < lengths[:, None]).long()


def layer_of(name: str) -> int | None:
    """The layer that a module of that name stands in."""
    found = _LAYER.match(f"{name}.")
    return int(found[1]) if found else None
