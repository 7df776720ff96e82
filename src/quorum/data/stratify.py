"""Divide questions into parts of equal size: stratified, with clusters whole."""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from quorum.errors import BadInput
from quorum.question import Question

_DENSE_ROWS = 10_000  # clusters whose counts are in memory as a matrix at a time

Counts = NDArray[np.float64]


def stratify(questions: Sequence[Question], cluster: Sequence[int], parts: int, seed: int) -> list[int]:
    """Return the part of each question, 0 to parts - 1: stratified, clusters whole, no part empty.

    Raises:
        BadInput: there are fewer clusters than parts, or a part would be empty.
    """
    if len(set(cluster)) < parts:
        raise BadInput(
            f"only {len(set(cluster))} clusters of near-duplicates are left for {parts} folds; use fewer folds"
        )
    part_of: list[int] = divide_groups(_assign_strata(questions, parts), cluster, parts, seed).tolist()
    if len(set(part_of)) < parts:
        raise BadInput(
            f"a cluster of near-duplicates is so large that one of {parts} folds would be empty; use fewer folds"
        )
    return part_of


def divide_groups(strata: Sequence[int], groups: Sequence[int], parts: int, seed: int) -> NDArray[np.int64]:
    """Return the part of each item; groups stay whole, and each part gets about the same share of each stratum.

    This is the method of scikit-learn's `StratifiedGroupKFold` with the same result, but per group it computes only
    what the group changes. Groups with the most uneven counts come first; each goes to the part where the standard
    deviation of the strata's shares over the parts becomes least.
    """
    _, stratum, totals = np.unique(strata, return_inverse=True, return_counts=True)
    _, group = np.unique(groups, return_inverse=True)
    size = int(group.max()) + 1
    place = np.arange(size)
    np.random.RandomState(seed).shuffle(place)
    rank = np.empty_like(place)
    rank[place] = np.arange(size)
    group = rank[group]
    cells, counts = np.unique(group * len(totals) + stratum, return_counts=True)
    rows, columns = np.divmod(cells, len(totals))
    starts = np.searchsorted(rows, np.arange(size + 1))
    balance = _Balance(totals, parts)
    part_of = np.zeros(size, dtype=np.int64)
    for index in np.argsort(-_compute_deviations(rows, columns, counts, len(totals)), kind="stable").tolist():
        own = slice(starts[index], starts[index + 1])
        part_of[index] = balance.add(columns[own], counts[own])
    return part_of[group]


def _compute_deviations(rows: NDArray[np.int64], columns: NDArray[np.int64], counts: Counts, width: int) -> Counts:
    """Return the standard deviation of each row of a sparse matrix."""
    deviations = []
    size = int(rows[-1]) + 1
    for start in range(0, size, _DENSE_ROWS):
        own = slice(*np.searchsorted(rows, (start, start + _DENSE_ROWS)))
        dense = np.zeros((min(_DENSE_ROWS, size - start), width))
        dense[rows[own] - start, columns[own]] = counts[own]
        deviations.append(np.std(dense, axis=1))
    return np.concatenate(deviations)


class _Balance:
    """The counts of each stratum in each part."""

    def __init__(self, totals: NDArray[np.int64], parts: int) -> None:
        self.totals = totals.astype(np.float64)
        self.counts = np.zeros((parts, len(totals)))
        self.sizes = np.zeros(parts)
        self.deviations = np.zeros(len(totals))  # of each stratum's shares over the parts

    def add(self, columns: NDArray[np.int64], counts: Counts) -> int:
        """Add a group with these counts to the best part; return the part."""
        parts = len(self.sizes)
        trials = np.repeat(self.counts[:, None, columns], parts, axis=1)  # part, part that gets the group, stratum
        trials[np.arange(parts), np.arange(parts)] += counts
        trials /= self.totals[columns]
        trials -= np.add.reduce(trials, axis=0) / parts
        trials *= trials
        changed = np.sqrt(np.add.reduce(trials, axis=0) / parts)
        deviations = np.repeat(self.deviations[None], parts, axis=0)
        deviations[:, columns] = changed
        best = self._choose(np.mean(deviations, axis=1).tolist())
        self.counts[best, columns] += counts
        self.sizes[best] += counts.sum()
        self.deviations[columns] = changed[best]
        return best

    def _choose(self, deviations: list[float]) -> int:
        """Return the part with the least deviation; of about equal ones the smallest part, then the first."""
        best, least = 0, deviations[0]
        for part, deviation in enumerate(deviations[1:], start=1):
            close = abs(deviation - least) <= 1e-8 + 1e-5 * abs(least)
            if deviation < least or (close and self.sizes[part] < self.sizes[best]):
                best, least = part, deviation
        return best


def _assign_strata(questions: Sequence[Question], least: int) -> list[int]:
    """Return the stratum of each question: its finest description that at least `least` questions share."""
    descriptions: list[list[Hashable]] = [
        [(question.subject or len(question.choices), answer), (answer,), ()]
        for question in questions
        for answer in [question.answer if question.choices else None]
    ]
    numbers: dict[Hashable, int] = {}
    stratum: list[int | None] = [None] * len(questions)
    for level in range(3):
        counts = Counter(levels[level] for levels, known in zip(descriptions, stratum, strict=True) if known is None)
        for index, levels in enumerate(descriptions):
            if stratum[index] is None and counts[levels[level]] >= least:
                stratum[index] = numbers.setdefault((level, levels[level]), len(numbers))
    commonest = Counter(number for number in stratum if number is not None).most_common(1)[0][0]
    return [commonest if number is None else number for number in stratum]
