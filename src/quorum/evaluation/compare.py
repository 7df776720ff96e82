"""Compare runs question by question, and test whether their difference is significant."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quorum.ballot import Ballot, find_heaviest, is_unread
from quorum.errors import BadInput, list_some
from quorum.evaluation.certainty import RESAMPLES, Z95, Values, compute_bounded_interval, compute_standard_error
from quorum.evaluation.metrics import check_metric, lower_is_better, score_question
from quorum.files.solution import SolvedRow

SIGNIFICANCE_LEVEL = 0.05
Z80 = 0.8416212335729143  # the normal distribution's 80 % point, for a power of 80 %


@dataclass(frozen=True, slots=True)
class RunValue:
    """One run's value of the metric; `tied`: it does not differ significantly from the best."""

    run: str
    value: float
    tied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The value of run `first` minus that of run `second` on the same questions.

    Attributes:
        error: standard error of the difference.
        low: lower end of the difference's 95 % interval.
        high: upper end.
        only_first: questions that only `first` has right; None for metrics other than accuracy.
        only_second: questions that only `second` has right.
        test: name of the test.
        p: two-sided p-value.
        adjusted: Holm's p-value over all pairs that are compared.
        smallest: smallest true difference that a test at 5 % on these questions detects with a power of 80 %.
    """

    first: str
    second: str
    difference: float
    error: float
    low: float
    high: float
    only_first: int | None
    only_second: int | None
    test: str
    p: float
    adjusted: float
    smallest: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs, best first, and the differences that were tested."""

    metric: str
    n: int
    runs: tuple[RunValue, ...]
    pairs: tuple[PairedDifference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    value: float
    error: float
    interval: tuple[float, float]
    only: tuple[int, int] | None
    test: str
    p: float


def compare_runs(
    runs: Mapping[str, Mapping[str, Ballot]], solution: Sequence[SolvedRow], metric: str = "accuracy", seed: int = 42
) -> Comparison:
    """Compare two runs (first minus second), or more (best minus each other), on all questions of the solution.

    Accuracy is tested with the exact McNemar test. If questions come in groups, or the metric is another mean, the test
    is a normal one on the paired difference with its clustered standard error (Miller 2024, arXiv:2411.00640). The
    error of macro-F1 is that of a seeded bootstrap over whole groups with 1,000 resamples.

    Args:
        runs: the ballots of each run, by question id.

    Raises:
        BadInput: there are fewer than two runs, the metric is unknown, or a run lacks questions of the solution.
    """
    check_metric(metric)
    rows = [row for row in solution if row.usage != "Ignored"]
    _check_runs(runs, rows)
    values = {name: _compute_metric(ballots, rows, metric) for name, ballots in runs.items()}
    order = sorted(values, key=lambda name: values[name], reverse=not lower_is_better(metric))
    first, second, *more = runs
    pairs = [(order[0], other) for other in order[1:]] if more else [(first, second)]
    differences = [_compute_difference(runs[first], runs[second], rows, metric, seed) for first, second in pairs]
    adjusted = adjust_by_holm([one.p for one in differences])
    tested = tuple(
        _make_paired_difference(first, second, one, p)
        for (first, second), one, p in zip(pairs, differences, adjusted, strict=True)
    )
    significant = {
        name for pair in tested if pair.adjusted < SIGNIFICANCE_LEVEL for name in (pair.first, pair.second)
    } - {order[0]}
    return Comparison(
        metric, len(rows), tuple(RunValue(name, values[name], name not in significant) for name in order), tested
    )


def _check_runs(runs: Mapping[str, Mapping[str, Ballot]], rows: Sequence[SolvedRow]) -> None:
    if len(runs) < 2:
        raise BadInput(f"{len(runs)} run; at least two are needed for a comparison")
    if not rows:
        raise BadInput("the solution has no rows to compare on")
    for name, ballots in runs.items():
        missing = [repr(row.id) for row in rows if row.id not in ballots]
        if missing:
            raise BadInput(f"run {name!r} lacks {len(missing)} of {len(rows)} questions: {list_some(missing)}")


def _make_paired_difference(first: str, second: str, one: _Difference, adjusted: float) -> PairedDifference:
    return PairedDifference(
        first=first,
        second=second,
        difference=one.value,
        error=one.error,
        low=one.interval[0],
        high=one.interval[1],
        only_first=one.only[0] if one.only else None,
        only_second=one.only[1] if one.only else None,
        test=one.test,
        p=one.p,
        adjusted=adjusted,
        smallest=(Z95 + Z80) * one.error,
    )


def _compute_difference(
    first: Mapping[str, Ballot], second: Mapping[str, Ballot], rows: Sequence[SolvedRow], metric: str, seed: int
) -> _Difference:
    groups = [row.group for row in rows]
    scored = "accuracy" if metric == "macro-f1" else metric
    gains = _score_rows(first, rows, scored) - _score_rows(second, rows, scored)
    only: tuple[int, int] | None = None
    if metric == "macro-f1":
        value, error = _bootstrap_macro_f1_difference(first, second, rows, seed)
        test = "bootstrap over groups, normal"
    else:
        equal = gains.min() == gains.max()  # then any error is one of rounding
        value, error = float(gains.mean()), 0.0 if equal else compute_standard_error(gains, groups) or 0.0
        test = "paired, normal"
    if metric == "accuracy":
        only = int((gains > 0).sum()), int((gains < 0).sum())
        clustered = len(set(groups) - {None}) < sum(group is not None for group in groups)
        test = "paired, clustered, normal" if clustered else "exact McNemar"
    p = compute_mcnemar_p(*only) if only and test == "exact McNemar" else _compute_normal_p(value, error, groups)
    interval = (value - Z95 * error, value + Z95 * error)
    if error == 0:  # every question has the same difference, which says nothing about its spread
        span = max(1.0, math.log(max(2, len({row.answer for row in rows})))) if metric == "log-loss" else 1.0
        interval = compute_bounded_interval(gains, None, groups, (-span, span))
    return _Difference(value=value, error=error, interval=interval, only=only, test=test, p=p)


def compute_mcnemar_p(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (1947).

    Args:
        only_first: number of questions that only the first run has right.
        only_second: number of questions that only the second run has right.
    """
    from statsmodels.stats.contingency_tables import mcnemar  # type: ignore[import-untyped]

    return float(min(1.0, mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue))


def _compute_normal_p(value: float, error: float, groups: Sequence[str | None]) -> float:
    """Return the two-sided p-value of the normal test; of the sign test over groups, if all differences are equal."""
    from scipy.stats import norm  # type: ignore[import-untyped]

    if error == 0:
        clusters = len(set(groups) - {None}) + sum(group is None for group in groups)
        return 1.0 if value == 0 else min(1.0, 2 * 0.5**clusters)
    return float(2 * norm.sf(abs(value) / error))


def adjust_by_holm(values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values (1979): p times the number of p-values that are not smaller, made monotone.

    statsmodels has this too, but collects garbage at each call, which takes longer than a whole comparison.
    """
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.maximum.accumulate(np.asarray(values)[order] * np.arange(len(values), 0, -1))
    return [float(p) for p in np.minimum(adjusted, 1.0)]


def _score_rows(ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], metric: str) -> Values:
    return np.array([score_question(ballots[row.id], row.answer, metric) for row in rows])


def _compute_metric(ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], metric: str) -> float:
    if metric == "macro-f1":
        return _compute_macro_f1_samples(ballots, rows, [np.ones(len(rows))])[0]
    return float(_score_rows(ballots, rows, metric).mean())


def _bootstrap_macro_f1_difference(
    first: Mapping[str, Ballot], second: Mapping[str, Ballot], rows: Sequence[SolvedRow], seed: int
) -> tuple[float, float]:
    """Return the difference of macro-F1 and its standard error over resampled groups, the same ones for both runs."""
    keys: dict[object, int] = {}
    group = [keys.setdefault(number if row.group is None else row.group, len(keys)) for number, row in enumerate(rows)]
    random, count = np.random.default_rng(seed), len(keys)
    samples = [np.ones(len(rows))]
    for _ in range(RESAMPLES):
        samples.append(np.bincount(random.integers(count, size=count), minlength=count)[group].astype(np.float64))
    gains = np.subtract(
        _compute_macro_f1_samples(first, rows, samples), _compute_macro_f1_samples(second, rows, samples)
    )
    return float(gains[0]), float(gains[1:].std(ddof=1))


def _compute_macro_f1_samples(
    ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], samples: Sequence[Values]
) -> list[float]:
    """Return macro-F1 for each sample, which holds how often each question counts; unread ones predict no label."""
    given = ["" if is_unread(ballots[row.id]) else find_heaviest(ballots[row.id]) for row in rows]
    names = sorted({row.answer for row in rows} | set(given) - {""})
    number = {name: code for code, name in enumerate([*names, ""])}
    truth, predicted = np.array([number[row.answer] for row in rows]), np.array([number[label] for label in given])
    right, size = truth == predicted, len(number)
    values = []
    for times in samples:
        hits = np.bincount(truth[right], times[right], minlength=size)[:-1]
        total = (np.bincount(truth, times, minlength=size) + np.bincount(predicted, times, minlength=size))[:-1]
        values.append(float((2 * hits / np.maximum(total, 1.0)).mean()))
    return values
