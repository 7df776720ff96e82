"""Shorten texts for encoders: a long text keeps its beginning and its end, as the prompts of other backends do."""

import sys
from collections.abc import Sequence
from typing import Any

from quorum.engine.tokens import count_head, truncate_middle

_CHUNK = 512  # texts tokenized at a time


def shorten_texts(tokenizer: Any, texts: Sequence[str], limit: int) -> list[str]:
    """Return the texts without the middle of those that have more than `limit` tokens, special tokens not counted."""
    return [text for text, _ in shorten_and_count(tokenizer, texts, limit)]


def shorten_and_count(tokenizer: Any, texts: Sequence[str], limit: int | None) -> list[tuple[str, int]]:
    """Return what `shorten_texts` returns, each text with its number of tokens, at most `limit`; None: no limit."""
    limit = sys.maxsize if limit is None else max(1, limit)
    shortened = []
    for start in range(0, len(texts), _CHUNK):
        chunk = list(texts[start : start + _CHUNK])
        lengths = [len(ids) for ids in _tokenize(tokenizer, chunk).input_ids]
        shortened += [
            (text, length) if length <= limit else (_cut_middle(tokenizer, text, limit), limit)
            for text, length in zip(chunk, lengths, strict=True)
        ]
    return shortened


def shorten_pairs(tokenizer: Any, pairs: Sequence[tuple[str, str]], limit: int) -> list[tuple[str, str]]:
    """Return the pairs of texts, each with at most `limit` tokens in total, special tokens not counted.

    The longer text of a pair loses its middle; if the shorter one needs more than half of the limit, both do.
    """
    limit = max(2, limit)
    shortened = []
    for start in range(0, len(pairs), _CHUNK):
        chunk = pairs[start : start + _CHUNK]
        firsts, seconds = (_tokenize(tokenizer, [pair[part] for pair in chunk]).input_ids for part in (0, 1))
        for pair, *lengths in zip(chunk, map(len, firsts), map(len, seconds), strict=True):
            if sum(lengths) <= limit:
                shortened.append(pair)
                continue
            rooms = [max(limit // 2, limit - other) for other in reversed(lengths)]
            first, second = (
                text if length <= room else _cut_middle(tokenizer, text, room)
                for text, length, room in zip(pair, lengths, rooms, strict=True)
            )
            shortened.append((first, second))
    return shortened


def _cut_middle(tokenizer: Any, text: str, limit: int) -> str:
    """Return the beginning and the end of a text, in at most `limit` tokens."""
    if not tokenizer.is_fast:  # it does not know where in the text its tokens are
        (ids,) = _tokenize(tokenizer, [text]).input_ids
        return str(tokenizer.decode(truncate_middle(tuple(ids), limit)))
    (spans,) = _tokenize(tokenizer, [text], return_offsets_mapping=True).offset_mapping
    fits: dict[int, str] = {}  # by number of tokens
    for most in range(limit, 0, -1):  # at the seam, half a word may need more tokens than it had, or be part of fewer
        for head in {min(most - 1, max(0, count_head(most) + step)) for step in (0, -1, 1)}:
            kept = f"{text[: spans[head][0]].rstrip()} {text[spans[len(spans) - (most - head)][0] :]}".strip()
            fits[len(_tokenize(tokenizer, [kept]).input_ids[0])] = kept
        if fitting := [count for count in fits if count <= limit]:
            return fits[max(fitting)]
    return ""


def _tokenize(tokenizer: Any, texts: Sequence[str], **options: Any) -> Any:
    return tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False, **options)
