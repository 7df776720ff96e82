"""How likely a model finds what may follow: the shared way, each beginning that sequences share read once.

A pack of many short rests is one row of tokens to the model; only its attention knows better. The keys and values of a
shared head are attended once for all rests below it, and joined with the attention inside each rest by their
log-sum-exp (as in Juravsky et al. 2024, arXiv:2402.05099). Unmodified models of the transformers library are served,
through its own register of attention functions.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from typing import Any

from quorum.console import Progress
from quorum.engine.prefixes import (
    CACHE_FACTOR,
    PrefixNode,
    SuffixBlock,
    SuffixBranch,
    TokenSequence,
    list_ancestors,
    plan_blocks,
    plan_packs,
)
from quorum.engine.suffix_attention import PrefixCache, SuffixAttention
from quorum.engine.tokens import Continuation

_ATTENTION_NAME = "quorum_cascade"
# Logits in memory at once, as numbers: at a vocabulary of 150,000 some 440 rows.
_MOST_LOGITS = 2**26
# What an attention call may carry besides; with anything else the model is not served.
_IGNORED_SETTINGS = {"position_ids", "position_embeddings", "use_cache", "output_attentions", "output_router_logits"}


def score_with_shared_prefixes(
    model: Any, continuations: Sequence[Continuation], batch_tokens: int, progress: Progress | None = None
) -> list[list[float]]:
    """For each continuation, the natural log-probability of each of its following tokens, over the whole vocabulary.

    Equal to `plain_logprobs` but for rounding; equal continuations get equal numbers. At most `batch_tokens` tokens
    are in work at once; of the heads above them at most `CACHE_FACTOR` times as many are kept.

    Raises:
        NotImplementedError: the model's attention has a setting that the cascade does not know.
    """
    import torch

    asked: dict[tuple[int, ...], list[int]] = {}
    for index, each in enumerate(continuations):
        asked.setdefault(each.context + each.following[:-1], []).append(index)
    runs = sorted(
        TokenSequence(tokens, min(len(continuations[index].context) for index in indices) - 1)
        for tokens, indices in asked.items()
    )
    scores: list[list[float]] = [[] for _ in continuations]
    done = 0
    with torch.inference_mode(), _use_suffix_attention(model):
        for pack, logprobs in _read_packs(model, plan_blocks(runs, batch_tokens), batch_tokens):
            places: list[tuple[int, int, int]] = []  # continuation, row of logprobs, token
            row = 0
            for block in pack:
                rows = {at: row + n for n, at in enumerate(_list_scored_rows(block))}
                row += len(rows)
                members = runs[block.first : block.first + len(block.wanted)]
                for run, wanted in zip(members, block.wanted, strict=True):
                    for index in asked[run.tokens]:
                        following = continuations[index].following
                        at = wanted[-len(following) :]
                        places += [(index, rows[where], token) for where, token in zip(at, following, strict=True)]
            indices, where, tokens = zip(*places, strict=True)
            for index, value in zip(indices, logprobs[list(where), list(tokens)].tolist(), strict=True):
                scores[index].append(value)
            done += len(set(indices))
            if progress is not None:
                progress(done, len(continuations))
    return scores


def _read_packs(
    model: Any, blocks: Sequence[SuffixBlock], batch_tokens: int
) -> Iterator[tuple[list[SuffixBlock], Any]]:
    """Each pack with the log-probabilities (rows, vocabulary) of its wanted rows, block by block in row order."""
    vocabulary = model.config.get_text_config().vocab_size
    packs = plan_packs(blocks, batch_tokens, _MOST_LOGITS // vocabulary, batch_tokens * CACHE_FACTOR)
    memories: dict[PrefixNode, PrefixCache] = {}
    for pack in packs:
        line = dict.fromkeys(head for block in pack for head in list_ancestors(block.head))
        memories = {head: memory for head, memory in memories.items() if head in line}  # others are not met again
        for head in line:
            if head not in memories:
                memories[head] = _read_prefix_node(model, head, memories)
        starts = [0, *accumulate(len(block.tokens) for block in pack)]
        wanted = [start + row for start, block in zip(starts, pack, strict=False) for row in _list_scored_rows(block)]
        yield pack, _compute_logits(model, pack, SuffixAttention(model, pack, memories, wanted)).float().log_softmax(-1)


def _read_prefix_node(model: Any, head: PrefixNode, memories: dict[PrefixNode, PrefixCache]) -> PrefixCache:
    end = head.start + len(head.tokens)
    block = SuffixBlock(
        head.parent, 0, head.tokens, tuple(range(head.start, end)), (SuffixBranch(0, len(head.tokens), ()),), ()
    )
    attention = SuffixAttention(
        model, [block], memories, wanted=[0], keep=True
    )  # no row is wanted, but one is the least
    _compute_logits(model, [block], attention)
    return attention.memory


def _compute_logits(model: Any, pack: Sequence[SuffixBlock], attention: SuffixAttention) -> Any:
    """The logits (rows, vocabulary) of the wanted rows."""
    import torch

    tokens = torch.tensor([[token for block in pack for token in block.tokens]], device=model.device)
    with _restrict_last_layer(model, attention.wanted, tokens.shape[1]):
        return model(
            tokens,
            position_ids=attention.positions[None],
            attention_mask=tokens.new_zeros(1, 1, 1, 1),  # counts as a finished mask, so none is made
            use_cache=False,
            logits_to_keep=attention.wanted,
            cascade=attention,
        ).logits[0]


def _list_scored_rows(block: SuffixBlock) -> list[int]:
    return sorted({row for rows in block.wanted for row in rows})


@contextmanager
def _use_suffix_attention(model: Any) -> Iterator[None]:
    """Within, the model's attention calls come to the cascade."""
    from transformers import AttentionInterface

    AttentionInterface.register(_ATTENTION_NAME, _call_suffix_attention)
    before = model.config._attn_implementation
    model.set_attn_implementation(_ATTENTION_NAME)
    try:
        if model.config._attn_implementation != _ATTENTION_NAME:
            raise NotImplementedError("the model does not call the library's register of attention functions")
        yield
    finally:
        model.set_attn_implementation(before)


def _call_suffix_attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    *,
    cascade: SuffixAttention,
    scaling: float | None = None,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    **settings: Any,
) -> tuple[Any, None]:
    """The library's call of an attention function: query, key and value are (1, heads, tokens, width)."""
    unknown = [name for name, setting in settings.items() if setting is not None and name not in _IGNORED_SETTINGS]
    if unknown:
        raise NotImplementedError(f"the model's attention has {', '.join(unknown)}")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return cascade.attend(module.layer_idx, query, key, value, scaling, sliding_window), None


@contextmanager
def _restrict_last_layer(model: Any, rows: Any, count: int) -> Iterator[None]:
    """Within, the last layer works on `rows` of its `count` alone wherever it works row by row; the others become 0.

    What stands above a row is read from its keys and values, which are still made for every row.
    """
    decoder = model.get_decoder()
    last = decoder.layers[-1] if hasattr(decoder, "layers") else None
    inner = [getattr(last, "mlp", None)]
    inner += [getattr(getattr(last, "self_attn", None), name, None) for name in ("q_proj", "o_proj")]
    with ExitStack() as hooks:
        for module in inner if len(rows) < count else []:
            if module is not None:
                before = module.register_forward_pre_hook(lambda _, given: (given[0][:, rows], *given[1:]))
                after = module.register_forward_hook(lambda _, given, out: _scatter_rows(out, rows, count))
                hooks.callback(before.remove)
                hooks.callback(after.remove)
        yield


def _scatter_rows(out: Any, rows: Any, count: int) -> Any:
    full = out.new_zeros(1, count, out.shape[-1])
    full[:, rows] = out
    return full
