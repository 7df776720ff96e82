"""Generate text after prompts in batches; prefixes that prompts share are computed once."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from quorum.console import Progress
from quorum.engine.prefixes import CACHE_FACTOR, PrefixNode, TokenSequence, list_ancestors, plan_blocks

_MIN_SAVED_BY_SAMPLES = 32  # tokens that samples of one prompt do not read again, for a forward pass of its own


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How the next token is chosen: the most probable one at temperature 0, otherwise sampled from the `top_p` mass."""

    max_new_tokens: int
    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A prompt's tokens, and the seed for sampling after them."""

    context: tuple[int, ...]
    seed: int


class PromptSeeds:
    """Seeds for sampled prompts.

    A seed depends on `seed`, the prompt's tokens, its `repeat` and how often this object was asked for it before. So a
    sampled vote is the same in any batch, order or process, and a repeated prompt is a new draw.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._times: Counter[tuple[tuple[int, ...], int]] = Counter()

    @contextmanager
    def batch(self) -> Iterator[Callable[[tuple[int, ...], int], int]]:
        """Yield the function (tokens, repeat) -> seed (56 bits); a batch that fails does not count as asked."""
        times = self._times.copy()

        def next_seed(ids: tuple[int, ...], repeat: int) -> int:
            times[ids, repeat] += 1
            known = repr((self._seed, repeat, times[ids, repeat], ids)).encode()
            return int.from_bytes(hashlib.sha256(known).digest()[:7])

        yield next_seed
        self._times = times


def generate_after(
    model: Any,
    requests: Sequence[GenerationRequest],
    pad: int,
    sampling: SamplingSettings,
    batch_tokens: int,
    share: bool,
    progress: Progress | None = None,
) -> list[list[int]]:
    """Return the token ids that the model generates after each request's context, with `pad` after the end.

    Sampling depends on a request's seed alone, not on its batch: each row has its own Gumbel noise (Gumbel-max trick,
    Maddison et al. 2014, arXiv:1411.0030).

    Args:
        model: A causal model of the transformers library.
        requests: The contexts and seeds.
        pad: The padding token.
        sampling: How tokens are chosen.
        batch_tokens: Largest number of padded tokens in a batch.
        share: Compute prefixes that contexts share once.
        progress: Called with the number of finished requests and their total.
    """
    outputs: list[list[int]] = [[] for _ in requests]
    done = 0
    above: tuple[PrefixNode | None, Any] = (None, None)  # the latest node with children, and its cache
    for node, indices in _group_by_prefix(requests, batch_tokens if share else None).items():
        prefix = tuple(token for part in list_ancestors(node) for token in part.tokens)
        if node is not None and node.parent is not above[0]:
            above = (node.parent, _read_prefix(model, node.parent, None))
        cache = _read_prefix(model, node, above[1]) if prefix else None
        lengths = {index: len(requests[index].context) - len(prefix) for index in indices}
        for batch in _plan_batches(lengths, len(prefix), sampling, batch_tokens):
            generated = _generate_batch(
                model, prefix, cache=cache, requests=[requests[index] for index in batch], pad=pad, sampling=sampling
            )
            for index, ids in zip(batch, generated, strict=True):
                outputs[index] = ids
            done += len(batch)
            if progress is not None:
                progress(done, len(requests))
    return outputs


def _group_by_prefix(
    requests: Sequence[GenerationRequest], max_tokens: int | None
) -> dict[PrefixNode | None, list[int]]:
    """Return the indices of the requests below each shared prefix; without `max_tokens` nothing is shared."""
    if max_tokens is None:
        return {None: list(range(len(requests)))}
    of_request = [TokenSequence(request.context, len(request.context) - 1) for request in requests]
    sequences = sorted(set(of_request))
    prefix_of: dict[TokenSequence, PrefixNode | None] = {}
    for block in plan_blocks(sequences, max_tokens):
        members = sequences[block.first : block.first + len(block.scored_rows)]
        prefix_of |= dict.fromkeys(members, block.prefix)
    samples = Counter(of_request)
    for sequence in sequences:
        begun = sum(len(node.tokens) for node in list_ancestors(prefix_of[sequence]))
        rest = sequence.tokens[begun:-1]
        if len(rest) * (samples[sequence] - 1) >= _MIN_SAVED_BY_SAMPLES:
            prefix_of[sequence] = PrefixNode(prefix_of[sequence], begun, rest)
    indices_of: dict[TokenSequence, list[int]] = {}
    for index, sequence in enumerate(of_request):
        indices_of.setdefault(sequence, []).append(index)
    groups: dict[PrefixNode | None, list[int]] = {}
    for sequence in sequences:  # sorted: nodes below the same one are neighbours
        groups.setdefault(prefix_of[sequence], []).extend(indices_of[sequence])
    return groups


def _plan_batches(lengths: dict[int, int], prefix: int, sampling: SamplingSettings, max_tokens: int) -> list[list[int]]:
    """Group the keys of `lengths` (tokens to read per request) into batches, longest first, at least one per batch.

    A batch has at most `max_tokens` padded tokens, and keys and values of `CACHE_FACTOR` times as many tokens.
    """
    batches: list[list[int]] = []
    for index in sorted(lengths, key=lambda index: -lengths[index]):
        rows, longest = (len(batches[-1]) + 1, lengths[batches[-1][0]]) if batches else (1, 0)
        cached = prefix + longest + sampling.max_new_tokens
        if batches and rows * longest <= max_tokens and rows * cached <= max_tokens * CACHE_FACTOR:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _read_prefix(model: Any, node: PrefixNode | None, above: Any) -> Any:
    """Compute the keys and values of a shared prefix; `above` are those of the parent, or None to compute them too."""
    import torch
    from transformers import DynamicCache

    if node is None:
        return None
    nodes = [node] if above is not None else list_ancestors(node)
    tokens = [token for part in nodes for token in part.tokens]
    cache = DynamicCache(config=model.config) if above is None else deepcopy(above)
    with torch.inference_mode():
        model(torch.tensor([tokens], device=model.device), past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def _generate_batch(
    model: Any,
    prefix: tuple[int, ...],
    cache: Any,
    requests: Sequence[GenerationRequest],
    pad: int,
    sampling: SamplingSettings,
) -> list[list[int]]:
    """Generate one batch; the padding is between the shared prefix and each suffix, where the mask hides it."""
    import torch

    width = max(len(request.context) for request in requests)
    gaps = [width - len(request.context) for request in requests]
    suffixes = [request.context[len(prefix) :] for request in requests]
    rows = [(*prefix, *[pad] * gap, *suffix) for gap, suffix in zip(gaps, suffixes, strict=True)]
    masks = [[1] * len(prefix) + [0] * gap + [1] * (width - len(prefix) - gap) for gap in gaps]
    settings: dict[str, Any] = {}
    if sampling.temperature > 0:
        settings["logits_processor"] = [SeededSampler(requests, sampling, model.device)]
    if cache is not None:
        settings["past_key_values"] = deepcopy(cache)
        settings["past_key_values"].batch_repeat_interleave(len(requests))
        _reserve_room(settings["past_key_values"], width - len(prefix) + sampling.max_new_tokens)
    with torch.inference_mode():
        ids = model.generate(
            torch.tensor(rows, device=model.device),
            attention_mask=torch.tensor(masks, device=model.device),
            max_new_tokens=sampling.max_new_tokens,
            pad_token_id=pad,
            do_sample=False,  # the noise for sampling is already in the logits
            temperature=None,
            top_p=None,
            top_k=None,
            **settings,
        )
    generated: list[list[int]] = ids[:, width:].tolist()
    return generated


def _reserve_room(cache: Any, tokens: int) -> None:
    """Make a cache write new keys and values into memory reserved for `tokens` of them, instead of copying all of it.

    Layers with a sliding window, which forget tokens, stay as they are.
    """
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
        memory: list[Any]  # of keys and of values; the layer's own are the written part of it

        def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
            known, more = self.get_seq_length(), key_states.shape[-2]
            if known + more > self.memory[0].shape[-2]:
                self.reserve(known + 2 * more)
            for memory, states in zip(self.memory, (key_states, value_states), strict=True):
                memory[..., known : known + more, :] = states
            self.keys, self.values = (memory[..., : known + more, :] for memory in self.memory)
            return self.keys, self.values

        def reserve(self, room: int) -> None:
            self.memory = []
            for states in (self.keys, self.values):
                assert states is not None
                memory = states.new_empty(*states.shape[:-2], room, states.shape[-1])
                memory[..., : states.shape[-2], :] = states
                self.memory.append(memory)

    for number, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            roomy = RoomyLayer()  # type: ignore[no-untyped-call]
            roomy.__dict__.update(layer.__dict__)
            roomy.reserve(layer.get_seq_length() + tokens)
            cache.layers[number] = roomy


class SeededSampler:
    """A logits processor that adds Gumbel noise from each row's own seed: the largest logit is a sample of the softmax.

    It is a `LogitsProcessor` of transformers, but does not inherit from it, so that no heavy import is needed.
    """

    def __init__(self, requests: Sequence[GenerationRequest], sampling: SamplingSettings, device: Any) -> None:
        import torch

        self._sampling = sampling
        self._generators = [torch.Generator(device).manual_seed(request.seed) for request in requests]

    def __call__(self, ids: Any, logits: Any) -> Any:
        import torch
        from transformers import TopPLogitsWarper

        logits = logits.float() / self._sampling.temperature
        if self._sampling.top_p < 1:
            logits = TopPLogitsWarper(self._sampling.top_p)(ids, logits)
        noise = [torch.empty_like(logits[0]).exponential_(generator=each).log() for each in self._generators]
        return logits - torch.stack(noise)
