"""Find duplicate questions: exact ones, near ones, and those of the same group.

Questions are exact duplicates if their text (with its passage) is equal, unless that text is a template used with many
choice sets ("Which statement is true?"): then the choices have to be equal too. Two questions are near-duplicates if
their rare shingles (runs of five characters of text and sorted choices) have a Jaccard similarity of at least the
threshold. Shingles of very many questions are removed first: boilerplate does not identify a question and would chain
all questions that share it into one cluster. MinHash-LSH proposes pairs and the exact Jaccard similarity decides, so
only a missed proposal depends on chance: at similarity .5 one pair in 270, at .7 one in 40 million.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorum.progress import Progress
from quorum.question import Question, fold_text

NEAR = 0.5  # the default threshold; without common shingles it finds the pairs that TF-IDF cosine .9 finds
MOST_CHOICE_SETS = 3  # a text with more different choice sets than this is a template

_SHINGLE = 5  # characters
_FEW_SHINGLES = 8  # questions with fewer rare shingles are compared exactly only
_BANDS, _BAND_ROWS = 42, 3  # MinHash-LSH proposes a pair of similarity s with probability 1 - (1 - s^3)^42
_HASH_FACTORS = np.array(  # arbitrary odd numbers
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xFF51AFD7ED558CCD],
    dtype=np.uint64,
)

Shingles = NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A question of one file that is also in another; `question` and `other` are the indices in their files, from 0.

    `similarity` is the Jaccard similarity of rare shingles, or 1 if the texts are equal (`exact`). `same_choices` is
    true if the choices are equal too, in any order.
    """

    question: int
    other: int
    similarity: float
    exact: bool
    same_choices: bool


@dataclass(frozen=True, slots=True)
class _Link:
    """Two linked families; a family is the set of questions with the same text and choices."""

    one: int
    two: int
    similarity: float
    exact: bool


def text_key(question: Question) -> str:
    """Return a key that is equal for questions with the same passage and text (`fold_text`)."""
    return "\n".join(fold_text(part) for part in (question.context or "", question.text) if part)


def exact_key(question: Question) -> str:
    """Return a key that is equal for questions with the same passage, text and choices, in any order."""
    return "\n".join((text_key(question), "", *sorted(map(fold_text, question.choices))))


def cluster_duplicates(
    questions: Sequence[Question], threshold: float = NEAR, progress: Progress | None = None
) -> list[int]:
    """Return the cluster number of each question; a cluster must stay on one side of a split.

    Exact duplicates, near-duplicates of at least `threshold` and questions of one `group` are linked; clusters are the
    connected components, numbered from 0 in order of appearance; their members do not depend on that order.
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
    """Return the closest duplicate among `others` of each of `questions` that has one, in order.

    Equal text and choices rank first, then equal text, then the highest similarity; a tie goes to the first of
    `others`. Common shingles and templates are determined over both lists together. `group` is ignored.
    """
    both = [*questions, *others]
    families = _number_keys([exact_key(question) for question in both])
    first_other: dict[int, int] = {}
    for index, family in enumerate(families[len(questions) :]):
        first_other.setdefault(family, index)
    near: dict[int, list[_Link]] = {}
    for link in _find_links(both, families, threshold, progress):
        near.setdefault(link.one, []).append(link)
        near.setdefault(link.two, []).append(_Link(link.two, link.one, link.similarity, link.exact))
    duplicates = []
    for index, family in enumerate(families[: len(questions)]):
        if family in first_other:
            candidates = [
                Duplicate(question=index, other=first_other[family], similarity=1.0, exact=True, same_choices=True)
            ]
        else:
            candidates = [
                Duplicate(
                    question=index,
                    other=other,
                    similarity=link.similarity,
                    exact=link.exact,
                    same_choices=_have_same_choices(both[index], others[other]),
                )
                for link in near.get(family, [])
                if (other := first_other.get(link.two)) is not None
            ]
        if candidates:
            duplicates.append(min(candidates, key=lambda each: (not each.exact, -each.similarity, each.other)))
    return duplicates


def _have_same_choices(one: Question, two: Question) -> bool:
    return sorted(map(fold_text, one.choices)) == sorted(map(fold_text, two.choices))


def _number_keys(keys: Sequence[Any]) -> list[int]:
    """Number the keys from 0 in order of appearance; equal keys get equal numbers."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _find_links(
    questions: Sequence[Question], families: Sequence[int], threshold: float, progress: Progress | None
) -> Iterator[_Link]:
    """Yield the links between families: all pairs with the same text (unless a template), then near-duplicates."""
    firsts = [questions[index] for index in np.unique(families, return_index=True)[1]]
    same_texts: dict[str, list[int]] = {}
    for family, question in enumerate(firsts):
        same_texts.setdefault(text_key(question), []).append(family)
    linked = set()
    for same in same_texts.values():
        if len(same) <= MOST_CHOICE_SETS:
            for index, one in enumerate(same):
                for two in same[index + 1 :]:
                    linked.add((one, two))
                    yield _Link(one, two, 1.0, exact=True)
    for link in _find_near_links([exact_key(question) for question in firsts], threshold, progress):
        if (link.one, link.two) not in linked:
            yield link


def _find_near_links(texts: Sequence[str], threshold: float, progress: Progress | None) -> Iterator[_Link]:
    """Yield all pairs of texts whose rare shingles have at least the similarity `threshold`, the earlier text first."""
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
    """Return the sorted set of 32-bit hashes of all runs of five characters, the same on every machine."""
    letters = np.frombuffer(text.ljust(_SHINGLE).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(letters, _SHINGLE)
    return np.unique(((windows * _HASH_FACTORS).sum(axis=1, dtype=np.uint64) >> np.uint64(32)).astype(np.uint32))


def _remove_common_shingles(shingles: Sequence[Shingles]) -> list[Shingles]:
    """Remove shingles that occur in more than 1 % of the sets and in more than 20 of them."""
    if not shingles:
        return []
    numbers, counts = np.unique(np.concatenate(shingles), return_counts=True)
    common = numbers[counts > max(20, len(shingles) // 100)]
    return [np.setdiff1d(each, common, assume_unique=True) for each in shingles]


def _compute_jaccard(one: Shingles, two: Shingles) -> float:
    shared = len(np.intersect1d(one, two, assume_unique=True))
    return shared / (len(one) + len(two) - shared)
