"""How sure: standard errors, intervals and shrinkage, for questions that may come in groups."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054  # the normal distribution's 97.5 % point
RESAMPLES = 1000
_CELLS_AT_ONCE = 10_000_000  # keeps the bootstrap of a million questions below 100 MB

Values = NDArray[np.float64]


def compute_standard_error(values: Values, groups: Sequence[str | None]) -> float | None:
    """The standard error of a mean, clustered by group; None where there are fewer than two groups.

    sqrt(G/(G-1) * sum over groups of (sum of deviations)^2) / n, with G groups: sd / sqrt(n) where every question is
    its own group (None), and unchanged when every question is written down twice within its group.
    """
    codes = _cluster_codes(groups)
    clusters = int(codes.max()) + 1
    if clusters < 2:
        return None
    sums = np.bincount(codes, weights=values - values.mean())
    return float(math.sqrt(clusters / (clusters - 1) * float(np.square(sums).sum())) / len(values))


def shrink_means(values: Sequence[Values]) -> list[float]:
    """Each subject's mean, drawn towards the mean of all: Morris (1983), "Parametric Empirical Bayes Inference".

    The variance within subjects (pooled) and between them (by moments, one-way random effects) say how much a subject's
    own mean is to be believed: weight between / (between + within / n_subject), never negative.
    """
    sizes = np.array([len(v) for v in values], dtype=np.float64)
    means = np.array([v.mean() for v in values])
    total, subjects = sizes.sum(), len(values)
    overall = float((sizes * means).sum() / total)
    if subjects < 2 or total <= subjects:
        return [overall] * subjects
    within = sum(float(np.square(v - v.mean()).sum()) for v in values) / (total - subjects)
    spread = float((sizes * np.square(means - overall)).sum()) - (subjects - 1) * within
    between = max(0.0, spread / (total - float(np.square(sizes).sum()) / total))
    noise = within / sizes
    weight = np.divide(between, between + noise, out=np.zeros(subjects), where=between + noise > 0)
    return [float(mean) for mean in overall + weight * (means - overall)]


def compute_wilson_interval(value: float, error: float | None, groups: Sequence[str | None]) -> tuple[float, float]:
    """Wilson's 95 % interval of an accuracy on the effective n: n over the design effect, never more than n.

    Where all are right, or all wrong, no variance tells the design effect, and the number of groups stands for it.
    """
    from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

    n = len(groups)
    plain = value * (1 - value) / (n - 1) if n > 1 else 0.0
    known = error is not None and error > 0 and plain > 0
    effective = min(float(n), n * plain / error**2) if known and error else float(_cluster_codes(groups).max() + 1)
    low, high = proportion_confint(value * effective, effective, alpha=0.05, method="wilson")
    return min(value, max(0.0, float(low))), max(value, min(1.0, float(high)))  # rounding at 0 and 1


def macro_f1_error(
    answers: Sequence[str], given: Sequence[str], names: Sequence[str], groups: Sequence[str | None], seed: int
) -> float | None:
    """The bootstrap error of macro-F1 over the labels `names`: its standard deviation over resamples of whole clusters.

    Each of 1,000 resamples draws as many clusters as there are; F1 of a label is 2 right / (true + claimed), 0 where it
    does not occur. None where there are fewer than two clusters.
    """
    from scipy.sparse import coo_array  # type: ignore[import-untyped]

    codes = _cluster_codes(groups)
    clusters = int(codes.max()) + 1
    if clusters < 2:
        return None
    number = {name: code for code, name in enumerate(names)}

    def counts(labels: Sequence[str], counted: Sequence[bool]) -> Any:  # (clusters, labels)
        kept = [at for at, yes in enumerate(counted) if yes]
        cells = codes[kept], np.array([number[labels[at]] for at in kept], dtype=np.intp)
        return coo_array((np.ones(len(kept)), cells), shape=(clusters, len(names))).tocsr()

    right = counts(answers, [one == other for one, other in zip(answers, given, strict=True)])
    either = counts(answers, [True] * len(answers)) + counts(given, [label in number for label in given])
    random, resamples = np.random.default_rng(seed), np.empty(RESAMPLES)
    step = max(1, _CELLS_AT_ONCE // clusters)
    for start in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - start)
        drawn = random.multinomial(clusters, np.full(clusters, 1 / clusters), size=size)  # (size, clusters)
        hits, total = 2 * (drawn @ right), drawn @ either
        f1 = np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)
        resamples[start : start + size] = f1.mean(axis=1)
    return float(np.std(resamples, ddof=1))


def _cluster_codes(groups: Sequence[str | None]) -> NDArray[np.intp]:
    """The number of each question's cluster; a question without a group is its own."""
    codes: dict[object, int] = {}
    keys = [number if group is None else group for number, group in enumerate(groups)]
    return np.array([codes.setdefault(key, len(codes)) for key in keys], dtype=np.intp)
