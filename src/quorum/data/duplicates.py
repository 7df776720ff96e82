"""Which questions are the same question: word for word, nearly, or by their group.

A question is known by its text (with the passage it is about), unless that text is a template which stands before many
choice sets ("Which statement is true?"): then its choices decide. Nearly the same are two questions whose rare shingles
(runs of five characters of text and sorted choices) have a Jaccard similarity of at least the threshold. Shingles that
stand in very many questions are left out first: boilerplate says nothing about which question it is, and would chain
all that share it into one monster. MinHash-LSH proposes pairs and the exact Jaccard similarity decides, so that only
a missed proposal is left to chance: at similarity .5 one pair in 270, at .7 one in 40 million.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorum.console import Progress
from quorum.question import Question, fold_text

NEAR = 0.5  # the default threshold; with common shingles left out it catches what TF-IDF cosine .9 catches
MOST_CHOICE_SETS = 3  # a text that stands before more different choice sets than this is a template

_SHINGLE = 5  # characters
_FEW_SHINGLES = 8  # with fewer rare shingles than this a question is known word for word only
_BANDS, _BAND_ROWS = 42, 3  # of the MinHash: a pair of similarity s is proposed with probability 1 - (1 - s^3)^42
_HASH_FACTORS = np.array(  # any odd numbers do
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xFF51AFD7ED558CCD],
    dtype=np.uint64,
)

Shingles = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A question of one file that stands in another: `question` and `other` are their places, counted from 0.

    `similarity` is that of their rare shingles; 1 where the text is the same word for word (`exact`).
    `same_choices` says that the choices are the same too, in whatever order.
    """

    question: int
    other: int
    similarity: float
    exact: bool
    same_choices: bool


@dataclass(frozen=True, slots=True)
class _Link:
    """Two families (sets of questions with the same text and choices) that belong together."""

    one: int
    two: int
    similarity: float
    exact: bool


def text_key(question: Question) -> str:
    """What is equal for questions that ask the same: their text, after the passage that it is about."""
    return "\n".join(fold_text(part) for part in (question.context or "", question.text) if part)


def exact_key(question: Question) -> str:
    """What is equal for questions that ask the same and offer the same choices, in whatever order."""
    return "\n".join((text_key(question), "", *sorted(map(fold_text, question.choices))))


def cluster_duplicates(
    questions: Sequence[Question], threshold: float = NEAR, progress: Progress | None = None
) -> list[int]:
    """The cluster of each question: equal numbers for what must not stand on both sides of a split.

    Linked are exact twins, near-duplicates of at least `threshold`, and questions of one `group`; a cluster is what
    hangs together by links. Clusters are numbered from 0 in order of appearance; what they hold does not depend on it.
    """
    from scipy.sparse import coo_array  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    families = _number_keys([exact_key(question) for question in questions])
    pairs = [(link.one, link.two) for link in _find_links(questions, families, threshold, progress)]
    first_of_group: dict[str, int] = {}
    for question, family in zip(questions, families, strict=True):
        if question.group is not None:
            pairs.append((first_of_group.setdefault(question.group, family), family))
    ones, twos = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    size = len(set(families))
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (ones, twos)), shape=(size, size))
    component = connected_components(graph, directed=False)[1] if size else []
    return _number_keys([int(component[family]) for family in families])


def find_duplicates(
    questions: Sequence[Question],
    others: Sequence[Question],
    threshold: float = NEAR,
    progress: Progress | None = None,
) -> list[Duplicate]:
    """For each of `questions` that stands among `others`, exactly or nearly, its closest twin there, in order.

    Same text and choices come before same text, that before the most similar; a tie goes to the first of `others`.
    What is common or a template is judged over both together. `group` makes no twin.
    """
    both = [*questions, *others]
    families = _number_keys([exact_key(question) for question in both])
    first_other: dict[int, int] = {}
    for place, family in enumerate(families[len(questions) :]):
        first_other.setdefault(family, place)
    near: dict[int, list[_Link]] = {}
    for link in _find_links(both, families, threshold, progress):
        near.setdefault(link.one, []).append(link)
        near.setdefault(link.two, []).append(_Link(link.two, link.one, link.similarity, link.exact))
    found = []
    for place, family in enumerate(families[: len(questions)]):
        same = (
            [Duplicate(place, first_other[family], 1.0, exact=True, same_choices=True)] if family in first_other else []
        )
        close = [
            Duplicate(
                place,
                first_other[link.two],
                link.similarity,
                link.exact,
                _have_same_choices(both[place], others[other]),
            )
            for link in near.get(family, [])
            if (other := first_other.get(link.two)) is not None
        ]
        if same or close:
            found.append(min(same or close, key=lambda twin: (not twin.exact, -twin.similarity, twin.other)))
    return found


def _have_same_choices(one: Question, two: Question) -> bool:
    return sorted(map(fold_text, one.choices)) == sorted(map(fold_text, two.choices))


def _number_keys(keys: Sequence[Any]) -> list[int]:
    """Equal numbers for equal keys, from 0 in order of appearance."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _find_links(
    questions: Sequence[Question], families: Sequence[int], threshold: float, progress: Progress | None
) -> Iterator[_Link]:
    """The links between families: all pairs of the same specific text, then all pairs that are nearly the same."""
    firsts = [questions[place] for place in np.unique(families, return_index=True)[1]]
    same_texts: dict[str, list[int]] = {}
    for family, question in enumerate(firsts):
        same_texts.setdefault(text_key(question), []).append(family)
    linked = set()
    for same in same_texts.values():
        if len(same) <= MOST_CHOICE_SETS:
            for place, one in enumerate(same):
                for two in same[place + 1 :]:
                    linked.add((one, two))
                    yield _Link(one, two, 1.0, exact=True)
    for link in _find_near_links([exact_key(question) for question in firsts], threshold, progress):
        if (link.one, link.two) not in linked:
            yield link


def _find_near_links(texts: Sequence[str], threshold: float, progress: Progress | None) -> Iterator[_Link]:
    """All pairs of texts whose rare shingles are similar by at least `threshold`, the earlier text first."""
    from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]

    shingles = _remove_common_shingles([_compute_shingles(text) for text in texts])
    index = MinHashLSH(num_perm=_BANDS * _BAND_ROWS, params=(_BANDS, _BAND_ROWS))
    sketches = MinHash.generator(
        (each.tolist() for each in shingles), num_perm=_BANDS * _BAND_ROWS, seed=1, hashfunc=int
    )
    for two, sketch in enumerate(sketches):
        if len(shingles[two]) >= _FEW_SHINGLES:
            for one in sorted(index.query(sketch)):
                similarity = _compute_jaccard(shingles[one], shingles[two])
                if similarity >= threshold:
                    yield _Link(one, two, similarity, exact=False)
            index.insert(two, sketch, check_duplication=False)
        if progress is not None:
            progress(two + 1, len(texts))


def _compute_shingles(text: str) -> Shingles:
    """The set of the runs of five characters in a text, sorted, each as a 32-bit number (the same on every machine)."""
    letters = np.frombuffer(text.ljust(_SHINGLE).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(letters, _SHINGLE)
    return np.unique(((windows * _HASH_FACTORS).sum(axis=1, dtype=np.uint64) >> np.uint64(32)).astype(np.uint32))


def _remove_common_shingles(shingles: Sequence[Shingles]) -> list[Shingles]:
    """The same sets without common shingles: those in more than 1 % of the sets, and in more than 20 of them."""
    if not shingles:
        return []
    numbers, counts = np.unique(np.concatenate(shingles), return_counts=True)
    common = numbers[counts > max(20, len(shingles) // 100)]
    return [np.setdiff1d(each, common, assume_unique=True) for each in shingles]


def _compute_jaccard(one: Shingles, two: Shingles) -> float:
    shared = len(np.intersect1d(one, two, assume_unique=True))
    return shared / (len(one) + len(two) - shared)
