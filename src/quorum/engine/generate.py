"""What a model writes after its prompts: in batches, beginnings that prompts share read once."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from quorum.console import Progress
from quorum.engine.prefixes import CACHE_FACTOR, PrefixNode, TokenSequence, list_ancestors, plan_blocks


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How the next token is chosen: the likeliest at temperature 0, otherwise by chance among the likeliest `top_p`."""

    max_new_tokens: int
    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A prompt's tokens, and the seed of all chance in what is written after them."""

    context: tuple[int, ...]
    seed: int


class PromptSeeds:
    """The seeds of sampled prompts.

    A seed depends on `seed`, the prompt's tokens, its `repeat` and how often this object was asked for it before: so a
    sampled vote is the same in any batch, order or process, and the same prompt asked again is another draw.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._times: Counter[tuple[tuple[int, ...], int]] = Counter()

    @contextmanager
    def batch(self) -> Iterator[Callable[[tuple[int, ...], int], int]]:
        """Give the function (tokens, repeat) -> seed, 56 bits. A batch that fails has drawn nothing."""
        times = self._times.copy()

        def next_seed(ids: tuple[int, ...], repeat: int) -> int:
            times[ids, repeat] += 1
            known = repr((self._seed, repeat, times[ids, repeat], ids)).encode()
            return int.from_bytes(hashlib.sha256(known).digest()[:7])

        yield next_seed
        self._times = times


def generate_after(
    model: Any,
    drafts: Sequence[GenerationRequest],
    pad: int,
    sampling: SamplingSettings,
    batch_tokens: int,
    share: bool,
    progress: Progress | None = None,
) -> list[list[int]]:
    """The token ids that the model writes after each draft's context, with `pad` behind their end.

    `share` reads beginnings that contexts have in common once. What is drawn for a draft depends on its seed alone,
    not on the batch it is in: each row has its own chance (Gumbel-max: Maddison et al. 2014, arXiv:1411.0030).
    """
    texts: list[list[int]] = [[] for _ in drafts]
    done = 0
    for head, indices in _group_by_prefix(drafts, batch_tokens if share else None).items():
        prefix = tuple(token for part in list_ancestors(head) for token in part.tokens)
        memory = _read_prefix(model, prefix) if prefix else None
        rests = {index: len(drafts[index].context) - len(prefix) for index in indices}
        for batch in _plan_batches(rests, len(prefix), sampling, batch_tokens):
            written = _generate_batch(model, prefix, memory, [drafts[index] for index in batch], pad, sampling)
            for index, ids in zip(batch, written, strict=True):
                texts[index] = ids
            done += len(batch)
            if progress is not None:
                progress(done, len(drafts))
    return texts


def _group_by_prefix(drafts: Sequence[GenerationRequest], most: int | None) -> dict[PrefixNode | None, list[int]]:
    """The drafts (their numbers) below each shared beginning; all below none where `most` is None."""
    if most is None:
        return {None: list(range(len(drafts)))}
    runs = sorted({TokenSequence(draft.context, len(draft.context) - 1) for draft in drafts})
    blocks = plan_blocks(runs, most)
    above = {run: block.head for block in blocks for run in runs[block.first : block.first + len(block.wanted)]}
    below: dict[PrefixNode | None, list[int]] = {}
    for index, draft in enumerate(drafts):
        below.setdefault(above[TokenSequence(draft.context, len(draft.context) - 1)], []).append(index)
    return below


def _plan_batches(rests: dict[int, int], prefix: int, sampling: SamplingSettings, most: int) -> list[list[int]]:
    """The keys of `rests` (how much is to be read) in batches, longest first; a batch has at least one.

    Its padded tokens are at most `most`, and those of which keys and values are kept `CACHE_FACTOR` times as many.
    """
    batches: list[list[int]] = []
    for index in sorted(rests, key=lambda index: -rests[index]):
        rows, longest = (len(batches[-1]) + 1, rests[batches[-1][0]]) if batches else (1, 0)
        kept = prefix + longest + sampling.max_new_tokens
        if batches and rows * longest <= most and rows * kept <= most * CACHE_FACTOR:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _read_prefix(model: Any, prefix: tuple[int, ...]) -> Any:
    """The keys and values of a shared beginning."""
    import torch
    from transformers import DynamicCache

    memory = DynamicCache(config=model.config)
    with torch.inference_mode():
        model(torch.tensor([prefix], device=model.device), past_key_values=memory, use_cache=True, logits_to_keep=1)
    return memory


def _generate_batch(
    model: Any,
    prefix: tuple[int, ...],
    memory: Any,
    drafts: Sequence[GenerationRequest],
    pad: int,
    sampling: SamplingSettings,
) -> list[list[int]]:
    """One batch; the padding stands between the shared beginning and each rest, where the mask hides it."""
    import torch

    width = max(len(draft.context) for draft in drafts)
    gaps = [width - len(draft.context) for draft in drafts]
    rows = [(*prefix, *[pad] * gap, *draft.context[len(prefix) :]) for gap, draft in zip(gaps, drafts, strict=True)]
    masks = [[1] * len(prefix) + [0] * gap + [1] * (width - len(prefix) - gap) for gap in gaps]
    settings: dict[str, Any] = {}
    if sampling.temperature > 0:
        settings["logits_processor"] = [SeededSampler(drafts, sampling, model.device)]
    if memory is not None:
        settings["past_key_values"] = deepcopy(memory)
        settings["past_key_values"].batch_repeat_interleave(len(drafts))
    with torch.inference_mode():
        ids = model.generate(
            torch.tensor(rows, device=model.device),
            attention_mask=torch.tensor(masks, device=model.device),
            max_new_tokens=sampling.max_new_tokens,
            pad_token_id=pad,
            do_sample=False,  # chance, where wanted, is in the logits already
            temperature=None,
            top_p=None,
            top_k=None,
            **settings,
        )
    written: list[list[int]] = ids[:, width:].tolist()
    return written


class SeededSampler:
    """Logits to which each row's own Gumbel noise is added, so that the largest is a draw from their softmax."""

    def __init__(self, drafts: Sequence[GenerationRequest], sampling: SamplingSettings, device: Any) -> None:
        import torch

        self._sampling = sampling
        self._generators = [torch.Generator(device).manual_seed(draft.seed) for draft in drafts]

    def __call__(self, ids: Any, logits: Any) -> Any:
        import torch
        from transformers import TopPLogitsWarper

        logits = logits.float() / self._sampling.temperature
        if self._sampling.top_p < 1:
            logits = TopPLogitsWarper(self._sampling.top_p)(ids, logits)
        noise = [torch.empty_like(logits[0]).exponential_(generator=each).log() for each in self._generators]
        return logits - torch.stack(noise)
