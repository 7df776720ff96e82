"""Profile the experts of a mixture model, and prune chosen ones."""

from collections.abc import Iterator, Sequence
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

    The maxima are of values in the model's own type. A prompt that is longer than the model's limit loses its middle.

    Args:
        model: loaded, in eval mode.
        batch_tokens: most tokens in a batch, padding included; a longer prompt is a batch of its own.

    Raises:
        BadInput: there are no prompts or no fused experts, or a maximum is not finite.
    """
    import torch

    if not prompts:
        raise BadInput("there are no prompts to profile the experts on")
    room = find_max_length(model, tokens.tokenizer)
    sequences = [truncate_middle(tokens.encode(tokens.render(prompt.content)), room) for prompt in prompts]
    routed, shared = make_recorders(model)
    real: list[torch.Tensor] = []
    done = 0
    with record_experts(model, routed, shared, real), torch.inference_mode():
        for batch in _length_batches(sequences, batch_tokens):
            ids, mask = _pad_right(batch, tokens.pad, model.device)
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
    routed, shared = find_fused_experts(network), find_shared_experts(network)
    with torch.no_grad():
        for place in places:
            check_expert_exists(place, network, routed, shared)
            if place.expert is None:
                for parameter in shared[place.layer].down_proj.parameters():
                    parameter.zero_()
                continue
            experts = routed[place.layer]
            experts.down_proj[place.expert] = 0
            if experts.has_bias:
                experts.down_proj_bias[place.expert] = 0
    with create_folder(out) as part:
        network.save_pretrained(part)
        tokenizer.save_pretrained(part)


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
