"""Profile the experts of a mixture model, prune chosen ones, and measure the perplexity without them."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import Progress
from quorum.disk import create_folder
from quorum.engine.checkpoint import Checkpoint, find_max_length, load_checkpoint, translate_loading_errors
from quorum.engine.tokens import PromptTokenizer, truncate_middle
from quorum.errors import BadInput
from quorum.question import Prompt
from quorum.train.expert_profile import Criterion, Expert, ExpertProfile
from quorum.train.experts.layers import check_expert_exists, find_fused_experts, find_shared_experts
from quorum.train.experts.peaks import make_recorders, record_experts

if TYPE_CHECKING:
    import torch


def profile_experts(
    model: Any,
    tokens: PromptTokenizer,
    prompts: Sequence[Prompt],
    criterion: Criterion,
    *,
    batch_tokens: int = 2048,
    progress: Progress = lambda done, total: None,
) -> ExpertProfile:
    """Return the largest activations of each expert while the model reads the prompts as a backend sends them.

    A prompt that is longer than the model's limit loses its middle; otherwise as `profile_sequences`.

    Raises:
        BadInput: there are no prompts or no fused experts, or a maximum is not finite.
    """
    if not prompts:
        raise BadInput("there are no prompts to profile the experts on")
    room = find_max_length(model, tokens.tokenizer)
    sequences = [truncate_middle(tokens.encode(tokens.render(prompt.content)), room) for prompt in prompts]
    return profile_sequences(model, sequences, criterion, pad=tokens.pad, batch_tokens=batch_tokens, progress=progress)


def profile_sequences(
    model: Any,
    sequences: Sequence[tuple[int, ...]],
    criterion: Criterion,
    *,
    pad: int,
    batch_tokens: int = 2048,
    progress: Progress = lambda done, total: None,
) -> ExpertProfile:
    """Return the largest activations of each expert while the model reads sequences of tokens.

    The maxima are of values in the model's own type.

    Args:
        model: loaded, in eval mode; its layers may be offloaded by accelerate.
        batch_tokens: most tokens in a batch, padding included; a longer sequence is a batch of its own.

    Raises:
        BadInput: there are no fused experts, or a maximum is not finite.
    """
    import torch

    routed, shared = make_recorders(model)
    real: list[torch.Tensor] = []
    done = 0
    with record_experts(model, routed, shared, real), torch.inference_mode():
        for batch in _length_batches(sequences, batch_tokens):
            ids, mask = _pad_right(batch, pad, _find_device(model))
            real[:] = [mask.flatten().bool()]
            model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
            progress(done := done + len(batch), len(sequences))
    peaks = [
        recorder.peak()
        for layer in sorted({*routed, *shared})
        for recorder in [*routed.get(layer, []), *([shared[layer]] if layer in shared else [])]
    ]
    layers = int(model.config.get_text_config().num_hidden_layers)
    return ExpertProfile(
        model=model.name_or_path,
        layers=layers,
        prompts=len(sequences),
        tokens=sum(map(len, sequences)),
        criterion=criterion,
        peaks=tuple(peaks),
    )


def measure_perplexity(
    model: Any, sequences: Sequence[tuple[int, ...]], *, pad: int, batch_tokens: int = 2048
) -> tuple[float, float]:
    """Return the perplexity per token, and its standard error over sequences (delta method).

    Each token but the first of a sequence is predicted from those before it.
    """
    import torch

    losses: list[float] = []
    counts: list[int] = []
    with torch.inference_mode():
        for batch in _length_batches(sequences, batch_tokens):
            ids, mask = _pad_right(batch, pad, _find_device(model))
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
            loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
            losses += (loss * mask[:, 1:]).sum(1).tolist()
            counts += mask[:, 1:].sum(1).tolist()
    mean = sum(losses) / sum(counts)
    deviations = [loss - mean * count for loss, count in zip(losses, counts, strict=True)]
    factor = len(losses) / max(1, len(losses) - 1)
    error = math.sqrt(factor * sum(each**2 for each in deviations)) / sum(counts)
    return math.exp(mean), math.exp(mean) * error


@contextmanager
def silence_experts(model: Any, places: Sequence[Expert]) -> Iterator[None]:
    """Set the down_proj of the given experts to zero while the context is open, in memory only.

    Raises:
        BadInput: the model has no such experts.
    """
    import torch

    kept = [(each, each.detach().clone()) for place in places for each in _list_down_weights(model, place)]
    with torch.no_grad():
        for weight, _ in kept:
            weight.zero_()
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, values in kept:
                weight.copy_(values)


def prune_experts(model: str, places: Sequence[Expert], out: Path) -> None:
    """Write the model and its tokenizer to the folder OUT, with the down_proj of the given experts set to zero.

    A pruned expert adds nothing to the output of its layer; the router still sends it tokens. The weights keep their
    type, and the folder is written completely or not at all.

    Raises:
        BadInput: the model cannot be loaded or has no such experts, or OUT exists already.
    """
    import torch
    import transformers

    if out.exists():
        raise BadInput(f"{out} exists already; name another folder, or delete it")
    with translate_loading_errors(model):
        stored = transformers.AutoConfig.from_pretrained(model).get_text_config().dtype
    tokenizer, network = load_checkpoint(Checkpoint(model), str(stored or torch.float32).removeprefix("torch."), "cpu")
    with torch.no_grad():
        for place in places:
            for weight in _list_down_weights(network, place):
                weight.zero_()
    with create_folder(out) as part:
        network.save_pretrained(part)
        tokenizer.save_pretrained(part)


def _list_down_weights(model: Any, place: Expert) -> list[Any]:
    """Return the weights, as views, of an expert's down_proj.

    Raises:
        BadInput: the model has no such expert.
    """
    routed, shared = find_fused_experts(model), find_shared_experts(model)
    check_expert_exists(place, model, routed, shared)
    if place.expert is None:
        return [parameter.data for parameter in shared[place.layer].down_proj.parameters()]
    experts = routed[place.layer]
    bias = [experts.down_proj_bias.data[place.expert]] if experts.has_bias else []
    return [experts.down_proj.data[place.expert], *bias]


def _find_device(model: Any) -> Any:
    """Return the device that the model reads tokens on; offloaded weights are on none."""
    return next((weight.device for weight in model.parameters() if weight.device.type != "meta"), "cpu")


def _length_batches(sequences: Sequence[tuple[int, ...]], most: int) -> Iterator[list[tuple[int, ...]]]:
    """Yield batches of sequences of similar length, the longest first, so that memory runs out at once or never."""
    batch: list[tuple[int, ...]] = []
    for sequence in sorted(sequences, key=len, reverse=True):
        if batch and len(batch[0]) * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(sequence)
    yield batch


def _pad_right(batch: Sequence[tuple[int, ...]], pad: int, device: Any) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return token ids and their mask, padded on the right, where a causal model does not see the padding."""
    import torch

    width = len(batch[0])
    ids = torch.tensor([[*sequence, *[pad] * (width - len(sequence))] for sequence in batch], device=device)
    lengths = torch.tensor([len(sequence) for sequence in batch], device=device)
    return ids, (torch.arange(width, device=device) < lengths[:, None]).long()
