"""Which beginnings token sequences share, and how to run each of them once.

Sorted, sequences that begin alike stand together: the lengths that neighbours share are the whole trie. It is cut in
two. A beginning that saves enough work becomes a `PrefixNode`: run once, kept. What is left below is cut into
`SuffixBlock`s: small trees that run in one go, many of them side by side in a pack.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

# Attention inside a block is dense: siblings waste work on each other. A block of so many tokens takes twice its work.
_DENSE_TOKENS = 2048
# A block of several runs has at most so many tokens, which bounds its mask.
_MAX_BLOCK_TOKENS = 512
# A head must save at least this many tokens: it costs a run of its own.
_MIN_SAVED_TOKENS = 256
# Keys and values take less room than a token in work: they are kept of so many times more tokens.
CACHE_FACTOR = 8


@dataclass(frozen=True, slots=True, order=True)
class TokenSequence:
    """A token sequence to be read; `wanted` is the first position whose prediction is wanted, and all after it are."""

    tokens: tuple[int, ...]
    wanted: int


@dataclass(frozen=True, slots=True, eq=False)
class PrefixNode:
    """Tokens that several runs have in common, from position `start` on, after those of `parent`."""

    parent: "PrefixNode | None"
    start: int
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SuffixBranch:
    """Rows `start` to `end` of a block: each attends to those before it in the branch, and all to the rows `above`."""

    start: int
    end: int
    above: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SuffixBlock:
    """Runs that are read together after `head`, what they share standing once.

    Row i is `tokens[i]` at position `positions[i]`. `wanted[j]` are the rows whose predictions run `first + j` wants.
    """

    head: PrefixNode | None
    first: int
    tokens: tuple[int, ...]
    positions: tuple[int, ...]
    branches: tuple[SuffixBranch, ...]
    wanted: tuple[tuple[int, ...], ...]


def count_shared_tokens(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with (by bisection: slices compare fast)."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def plan_blocks(runs: Sequence[TokenSequence], most: int) -> list[SuffixBlock]:
    """The sorted, distinct `runs` as blocks below shared heads, in their order; each run is in one block.

    No head, and no block of several runs, has more than `most` tokens. The rows that a run wants are all in its block.
    """
    if not runs:
        return []
    shared = [0, *(count_shared_tokens(one.tokens, other.tokens) for one, other in pairwise(runs))]
    fresh = [0, *accumulate(len(run.tokens) - common for run, common in zip(runs, shared, strict=True))]

    def below(low: int, high: int, depth: int) -> int:
        """The tokens of the trie of these runs from `depth` on."""
        return len(runs[low].tokens) - depth + fresh[high] - fresh[low + 1]

    blocks: list[SuffixBlock] = []
    todo: list[tuple[int, int, int, PrefixNode | None]] = [(0, len(runs), 0, None)]
    while todo:
        low, high, depth, head = todo.pop()
        common = min(shared[low + 1 : high], default=len(runs[low].tokens))
        cuts = [low, *(at for at in range(low + 1, high) if shared[at] == common), high]
        end = min(common, *(run.wanted for run in runs[low:high]))  # of what may become a head
        tokens, alone = below(low, high, depth), high - low == 1
        apart = sum(_estimate_dense_cost(below(start, stop, depth)) for start, stop in pairwise(cuts))
        together = tokens <= min(most, _MAX_BLOCK_TOKENS) and _estimate_dense_cost(tokens) <= apart
        if together or (alone and (tokens <= most or end <= depth)):
            blocks.append(_make_block(runs[low:high], shared[low:high], low, depth, head))
            continue
        if alone:
            end = min(end, depth + most)
        if alone or (end - depth) * (len(cuts) - 2) >= _MIN_SAVED_TOKENS:
            for start in range(depth, end, most):
                head = PrefixNode(head, start, runs[low].tokens[start : min(start + most, end)])
            depth = end
        todo += [(start, stop, depth, head) for start, stop in reversed(list(pairwise(cuts)))]
    return blocks


def plan_packs(
    blocks: Sequence[SuffixBlock], most: int, most_wanted: int, most_above: int
) -> Iterator[list[SuffixBlock]]:
    """`blocks` in order, as many at a time as keep to every bound; one that is larger stands alone.

    A pack has `most` tokens, wants `most_wanted` rows, and stands below heads of `most_above` tokens in all.
    """
    pack: list[SuffixBlock] = []
    above: set[PrefixNode] = set()
    tokens = wanted = kept = 0
    for block in blocks:
        wants, line = sum(map(len, block.wanted)), list_ancestors(block.head)
        needs = sum(len(head.tokens) for head in line if head not in above)
        within = tokens + len(block.tokens) <= most and wanted + wants <= most_wanted and kept + needs <= most_above
        if pack and not within:
            yield pack
            pack, above, tokens, wanted, kept = [], set(), 0, 0, 0
            needs = sum(len(head.tokens) for head in line)
        pack.append(block)
        above.update(line)
        tokens, wanted, kept = tokens + len(block.tokens), wanted + wants, kept + needs
    if pack:
        yield pack


def list_ancestors(head: PrefixNode | None) -> list[PrefixNode]:
    """A head and what stands before it, first things first."""
    line: list[PrefixNode] = []
    while head is not None:
        line.append(head)
        head = head.parent
    return line[::-1]


def _estimate_dense_cost(tokens: int) -> float:
    return tokens * (1 + tokens / _DENSE_TOKENS)


def _make_block(
    runs: Sequence[TokenSequence], shared: Sequence[int], first: int, depth: int, head: PrefixNode | None
) -> SuffixBlock:
    tokens: list[int] = []
    positions: list[int] = []
    branches: list[SuffixBranch] = []
    wanted: list[tuple[int, ...]] = []
    path: list[int] = []  # the rows of the run at hand, from depth on
    for run, common in zip(runs, shared, strict=True):
        del path[common - depth if tokens else 0 :]
        at, start = depth + len(path), len(tokens)
        tokens += run.tokens[at:]
        positions += range(at, len(run.tokens))
        branches.append(SuffixBranch(start, len(tokens), tuple(path)))
        path += range(start, len(tokens))
        wanted.append(tuple(path[run.wanted - depth :]))
    return SuffixBlock(head, first, tuple(tokens), tuple(positions), tuple(branches), tuple(wanted))
