"""Propose pairs of questions that may be near-duplicates, with MinHash and locality-sensitive hashing.

A question gets a key in each of `BANDS` bands, and questions with equal keys are proposed. A key combines minimum
hashes of the text, the choices, the passage and the numbers, so questions that share one part only (a form of words,
a passage, "yes" and "no") rarely have equal keys. A pair with equal choices whose texts have the similarity s is
proposed with the probability 1 - (1 - s^4)^96: .998 at .5, and more than .9999999 at .6. The time is linear in the
number of questions: in a large group of equal keys each is compared with its 32 most similar neighbours and with the
shortest text, of which longer ones may be copies with additions. Long texts get `_LONG_BANDS` more keys, of the text
alone: at a similarity of .9 a pair is proposed with the probability 1 - (1 - .9^8)^16 = .9999.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from quorum.data.word_table import Hashes, Integers, Part, WordTable

_MIXED_BANDS = 96  # of one key each
_LONG_BANDS, _LONG_ROWS = 16, 8
BANDS = _MIXED_BANDS + _LONG_BANDS
_TEXT_HASHES, _TEXT_ROWS = 64, 4  # a band takes 4 of the 64 minimum hashes of a text
_CHOICE_HASHES, _CHOICE_ROWS = 24, 2
_CONTEXT_HASHES = _NUMBER_HASHES = 16
_FREE_BANDS = 8  # one band in 8 ignores numbers: an added sentence may have the first number
_MOST_NEIGHBOURS = 32
_BLOCKS = (1, 2, 4, 8, 16, _MOST_NEIGHBOURS)  # distances in a group of equal keys: up to each, proposed together
_FEW = 300
_ROWS = 4096  # questions hashed at a time

MinimumHashes = NDArray[np.uint32]


def propose_pairs(table: WordTable) -> Iterator[Iterator[tuple[Integers, Integers]]]:
    """Yield for each band blocks of pairs of different questions, the lower first; some are in several bands.

    Of up to `_FEW` questions all pairs are proposed at once.
    """
    if len(table) <= _FEW:
        yield iter([np.triu_indices(len(table), 1)])
        return
    text, choices, context, numbers = _hash_questions(table)
    lengths = np.diff(table.text.starts)
    draw = np.random.Generator(np.random.PCG64(1))
    for band in range(BANDS):
        if band < _MIXED_BANDS:
            used = [text[row] for row in draw.choice(_TEXT_HASHES, _TEXT_ROWS, replace=False)]
            used += [choices[row] for row in draw.choice(_CHOICE_HASHES, _CHOICE_ROWS, replace=False)]
            used += [numbers[band % _NUMBER_HASHES]] if band % _FREE_BANDS else []
            rows = np.arange(len(table))
        else:
            used = [text[row] for row in draw.choice(_TEXT_HASHES, _LONG_ROWS, replace=False)]
            rows = np.flatnonzero(table.is_long)
        used += [context[band % _CONTEXT_HASHES]]
        key = np.zeros(len(rows), dtype=np.uint64)
        for column in used:
            key = mix_hashes(key + column[rows])
        order = _sort_by_key(key, text[band % _TEXT_HASHES][rows])
        yield _pair_neighbours(key[order], rows[order], lengths)


def mix_hashes(numbers: Hashes) -> Hashes:
    """Return well-mixed 64-bit hashes of integers (the finalizer of SplitMix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _hash_questions(table: WordTable) -> tuple[MinimumHashes, MinimumHashes, MinimumHashes, MinimumHashes]:
    """Return the minimum hashes of text, choices, passage and numbers: one row for each hash function."""
    text = _compute_minimum_hashes(table, table.text, _TEXT_HASHES)
    numbers = _compute_minimum_hashes(table, table.text, _NUMBER_HASHES, table.is_number)
    numbers[:, table.telling] = 0
    choices = _compute_minimum_hashes(table, table.choices, _CHOICE_HASHES)
    return text, choices, _compute_minimum_hashes(table, table.context, _CONTEXT_HASHES), numbers


def _compute_minimum_hashes(
    table: WordTable, part: Part, count: int, selected: NDArray[np.bool_] | None = None
) -> MinimumHashes:
    """Return the minimum of `count` hash functions over the words and pairs of words of each question's part.

    With `selected` only over the words for which it is true, by word number. A part without words gets 0.
    """
    draw = np.random.Generator(np.random.PCG64(2))
    factors = draw.integers(2**32, size=(count, 2), dtype=np.uint32) | np.uint32(1)
    columns = np.zeros((count, len(table)), dtype=np.uint32)
    for start in range(0, len(table), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(table)))
        hashes, row_of = _hash_items(table, *part.take(rows), selected)
        if not len(hashes):
            continue
        firsts = np.flatnonzero(np.diff(row_of, prepend=-1))
        for column, (factor, summand) in zip(columns, factors, strict=True):
            column[rows[row_of[firsts]]] = np.minimum.reduceat(hashes * factor + summand, firsts)
    return columns


def _hash_items(
    table: WordTable, words: NDArray[np.int32], row_of: Integers, selected: NDArray[np.bool_] | None
) -> tuple[MinimumHashes, Integers]:
    """Return the hashes of the items of a part, each occurrence its own, and the row of each, in order."""
    hash_of = table.word_hash[words]
    if selected is None:
        known = words != 0
        single, double = np.flatnonzero(known), np.flatnonzero(known[:-1] & known[1:])
        hashes = np.concatenate((hash_of[single], mix_hashes(hash_of[double] * np.uint64(3) + hash_of[double + 1])))
        places = np.concatenate((single, double))
    else:
        places = np.flatnonzero(selected[words])
        hashes = hash_of[places]
    codes = np.sort(row_of[places].astype(np.uint64) << np.uint64(32) | hashes >> np.uint64(32))
    new = np.flatnonzero(np.diff(codes, prepend=~codes[:1]))
    repeats = np.arange(len(codes)) - np.repeat(new, np.diff(new, append=len(codes)))
    occurrences = mix_hashes(codes % np.uint64(2**32) + (repeats.astype(np.uint64) << np.uint64(32)))
    return (occurrences >> np.uint64(32)).astype(np.uint32), (codes >> np.uint64(32)).astype(np.int64)


def _sort_by_key(key: Hashes, similar: MinimumHashes) -> Integers:
    """Return the order by key; in a large group of equal keys also by one more minimum hash."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    sizes = np.diff(np.flatnonzero(np.diff(ordered, prepend=ordered[:1] + 1, append=ordered[-1:] + 1)))
    large = np.flatnonzero(np.repeat(sizes > _MOST_NEIGHBOURS, sizes))
    order[large] = order[large][np.lexsort((similar[order[large]], ordered[large]))]
    return order


def _pair_neighbours(ordered: Hashes, order: Integers, lengths: Integers) -> Iterator[tuple[Integers, Integers]]:
    """Yield the pairs of questions with equal keys: neighbours in `order`, nearer ones first, and the shortest."""
    yield from _pair_nearest(ordered, order)
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] + 1))
    sizes = np.diff(starts, append=len(ordered))
    large = np.flatnonzero(np.repeat(sizes > _MOST_NEIGHBOURS, sizes))
    if len(large):
        group = np.repeat(np.arange(len(starts)), sizes)[large]
        by_length = np.lexsort((order[large], lengths[order[large]], group))
        firsts = np.flatnonzero(np.diff(group, prepend=-1))
        shortest = np.repeat(order[large][by_length[firsts]], np.diff(firsts, append=len(large)))
        different = shortest != order[large]
        ones, twos = shortest[different], order[large][different]
        yield np.minimum(ones, twos), np.maximum(ones, twos)


def _pair_nearest(ordered: Hashes, order: Integers) -> Iterator[tuple[Integers, Integers]]:
    nearer = 0
    for farthest in _BLOCKS:
        firsts = [np.flatnonzero(ordered[:-step] == ordered[step:]) for step in range(nearer + 1, farthest + 1)]
        if not sum(map(len, firsts)):
            return
        steps = np.repeat(np.arange(nearer + 1, farthest + 1), [len(each) for each in firsts])
        places = np.concatenate(firsts)
        ones, twos = order[places], order[places + steps]
        yield np.minimum(ones, twos), np.maximum(ones, twos)
        nearer = farthest
