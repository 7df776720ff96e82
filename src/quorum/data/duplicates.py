"""Find duplicate questions: exact ones, near ones, and those of the same group.

Questions are exact duplicates if their text (with its passage) is equal, unless that text is a template used with many
choice sets ("Which statement is true?"): then the choices have to be equal too. `WordTable.compare` defines
near-duplicates; MinHash proposes the pairs that it compares (`propose_pairs`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from quorum.console import Progress
from quorum.data.propose import BANDS, propose_pairs
from quorum.data.translations import align_translations
from quorum.data.word_table import Integers, WordTable, make_word_table
from quorum.question import Question, fold_text

MOST_CHOICE_SETS = 3  # a text with more different choice sets than this is a template

PairFilter = Callable[[Integers, Integers], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A question of one file that is also in another; `question` and `other` are the indices in their files, from 0.

    `similarity` is that of near-duplicates (`WordTable.compare`), or 1 if the texts are equal (`exact`). `same_choices`
    is true if the choices are equal too, in any order.
    """

    question: int
    other: int
    similarity: float
    exact: bool
    same_choices: bool


@dataclass(frozen=True, slots=True)
class _Families:
    """Families of questions with equal text and choices, numbered in an order that depends on these only.

    `of` is the family of each question, `firsts` the first question of each family.
    """

    of: list[int]
    firsts: list[Question]


def text_key(question: Question) -> str:
    """Return a key that is equal for questions with the same passage and text (`fold_text`)."""
    return "\n".join(fold_text(part) for part in (question.context or "", question.text) if part)


def exact_key(question: Question) -> str:
    """Return a key that is equal for questions with the same passage, text and choices, in any order."""
    return "\n".join((text_key(question), "", *sorted(map(fold_text, question.choices))))


def cluster_duplicates(questions: Sequence[Question], progress: Progress | None = None) -> list[int]:
    """Return the cluster number of each question; a cluster must stay on one side of a split.

    Exact duplicates, near-duplicates, translations with aligned numbers and questions of one `group` are linked.
    Clusters are the connected components: no linked pair is ever divided, even if this joins the ends of a chain that
    are not similar. They are numbered from 0 in order of appearance; their members do not depend on that order.
    """
    questions = align_translations(questions)
    families = _find_families(questions)
    clusters = _Clusters(len(families.firsts))
    clusters.join(*_link_equal_texts(families.firsts))
    clusters.join(*_link_groups(questions, families.of))
    table = make_word_table(families.firsts)
    for ones, twos, _ in _find_near_pairs(table, clusters.differ, _scale(progress, len(questions))):
        clusters.join(ones, twos)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(cluster, len(numbers)) for cluster in clusters.number[families.of].tolist()]


def find_duplicates(
    questions: Sequence[Question], others: Sequence[Question], progress: Progress | None = None
) -> list[Duplicate]:
    """Return the closest duplicate among `others` of each of `questions` that has one, in order.

    Equal text and choices rank first, then equal text, then the highest similarity; a tie goes to the first of
    `others`. Templates are determined over both lists together. `group` is ignored.
    """
    families = _find_families([*questions, *others])
    asked, known = families.of[: len(questions)], families.of[len(questions) :]
    first_other: dict[int, int] = {}
    for index, family in enumerate(known):
        first_other.setdefault(family, index)
    closest = _find_closest(families.firsts, set(asked) - set(known), first_other, _scale(progress, len(families.of)))
    duplicates = []
    for index, family in enumerate(asked):
        if family in first_other:
            closest[family] = (False, -1.0, first_other[family])
        if family in closest:
            other_text, distance, other = closest[family]
            duplicates.append(
                Duplicate(
                    question=index,
                    other=other,
                    similarity=-distance,
                    exact=not other_text,
                    same_choices=_have_same_choices(questions[index], others[other]),
                )
            )
    return duplicates


def _find_closest(
    firsts: Sequence[Question], new: set[int], first_other: dict[int, int], progress: Progress | None
) -> dict[int, tuple[bool, float, int]]:
    """Return the rank of the closest link of each `new` family to one in `first_other`.

    A rank is whether the texts differ, minus the similarity, and the index of the other question.
    """
    is_new, is_known = (np.zeros(len(firsts), dtype=np.bool_) for _ in range(2))
    is_new[list(new)], is_known[list(first_other)] = True, True

    def may_link(ones: Integers, twos: Integers) -> NDArray[np.bool_]:
        return (is_new[ones] & is_known[twos]) | (is_new[twos] & is_known[ones])

    ones, twos = _link_equal_texts(firsts)
    linked = may_link(ones, twos)
    equal = [(False, ones[linked], twos[linked], np.ones(np.count_nonzero(linked)))]
    near = ((True, *links) for links in _find_near_pairs(make_word_table(firsts), may_link, progress))
    closest: dict[int, tuple[bool, float, int]] = {}
    for differ, ones, twos, similarity in (*equal, *near):
        for one, two, each in zip(ones.tolist(), twos.tolist(), similarity.tolist(), strict=True):
            family, other = (one, two) if one in new else (two, one)
            rank = (differ, -each, first_other[other])
            closest[family] = min(rank, closest.get(family, rank))
    return closest


def _have_same_choices(one: Question, two: Question) -> bool:
    return sorted(map(fold_text, one.choices)) == sorted(map(fold_text, two.choices))


def _find_families(questions: Sequence[Question]) -> _Families:
    digests = [blake2b(exact_key(each).encode("utf-8", "surrogatepass"), digest_size=16).digest() for each in questions]
    first: dict[bytes, int] = {}
    for index, digest in enumerate(digests):
        first.setdefault(digest, index)
    number = {digest: family for family, digest in enumerate(sorted(first))}
    return _Families([number[digest] for digest in digests], [questions[first[digest]] for digest in number])


def _link_equal_texts(firsts: Sequence[Question]) -> tuple[Integers, Integers]:
    """Return all pairs of families with the same text, unless it is a template."""
    same_text: dict[str, list[int]] = {}
    for family, question in enumerate(firsts):
        same_text.setdefault(text_key(question), []).append(family)
    pairs = [pair for same in same_text.values() if len(same) <= MOST_CHOICE_SETS for pair in combinations(same, 2)]
    ones, twos = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return ones, twos


def _link_groups(questions: Sequence[Question], families: Sequence[int]) -> tuple[Integers, Integers]:
    """Return pairs that link the families of each `group`."""
    first_of_group: dict[str, int] = {}
    pairs = [
        (first_of_group.setdefault(question.group, family), family)
        for question, family in zip(questions, families, strict=True)
        if question.group is not None
    ]
    ones, twos = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return ones, twos


def _find_near_pairs(
    table: WordTable, may_link: PairFilter, progress: Progress | None
) -> Iterator[tuple[Integers, Integers, NDArray[np.float64]]]:
    """Yield near-duplicates and their similarity. Pairs for which `may_link` is false are not compared."""
    compared = np.zeros(0, dtype=np.int64)  # codes of pairs
    for band, blocks in enumerate(propose_pairs(table)):
        for ones, twos in blocks:
            linked = may_link(ones, twos)
            codes = np.unique(ones[linked] * len(table) + twos[linked])
            codes = codes[~_is_in(codes, compared)]
            if len(codes):
                compared = np.sort(np.concatenate((compared, codes)), kind="stable")
                ones, twos = np.divmod(codes, len(table))
                similarity = table.compare(ones, twos)
                near = similarity > 0
                yield ones[near], twos[near], similarity[near]
        if progress is not None:
            progress(band + 1, BANDS)
    if progress is not None:
        progress(BANDS, BANDS)


def _is_in(codes: Integers, known: Integers) -> NDArray[np.bool_]:
    """Return whether each code is in the sorted `known`."""
    if not len(known):
        return np.zeros(len(codes), dtype=np.bool_)
    return np.asarray(known[np.minimum(np.searchsorted(known, codes), len(known) - 1)] == codes)


def _scale(progress: Progress | None, total: int) -> Progress | None:
    """Report the progress in questions."""
    return None if progress is None else lambda done, count: progress(total * done // count, total)


class _Clusters:
    """Connected components of linked families: `number` is the component of each."""

    def __init__(self, size: int) -> None:
        self.number = np.arange(size)

    def differ(self, ones: Integers, twos: Integers) -> NDArray[np.bool_]:
        """Return whether the families of each pair are in different components."""
        return np.asarray(self.number[ones] != self.number[twos])

    def join(self, ones: Integers, twos: Integers) -> None:
        """Join the components of each pair."""
        from scipy.sparse import coo_array  # type: ignore[import-untyped]
        from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

        if not len(ones):
            return
        joined, ends = np.unique(self.number[np.concatenate((ones, twos))], return_inverse=True)
        graph = coo_array((np.ones(len(ones)), (ends[: len(ones)], ends[len(ones) :])), shape=(len(joined),) * 2)
        _, component = connected_components(graph, directed=False)
        renamed = np.arange(len(self.number))
        renamed[joined] = joined[np.unique(component, return_index=True)[1]][component]
        self.number = renamed[self.number]
