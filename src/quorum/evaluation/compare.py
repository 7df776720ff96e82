"""Which run is better, and how sure that is: runs are compared question by question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quorum.ballot import Ballot, heaviest, is_unread
from quorum.errors import BadInput, list_some
from quorum.evaluation.certainty import RESAMPLES, Z95, Values, compute_standard_error
from quorum.evaluation.metrics import check_metric, lower_is_better, question_value
from quorum.files.solution import SolvedRow

LEVEL = 0.05
Z80 = 0.8416212335729143  # the normal distribution's 80 % point: the power that "can be seen" stands for


@dataclass(frozen=True, slots=True)
class RunValue:
    """One run's value of the metric; `tied` says that it cannot be told from the best."""

    run: str
    value: float
    tied: bool


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """`first` minus `second` on the same questions, with its standard error and 95 % interval.

    `only_first` and `only_second` count the questions that just one of them has right (None where the metric knows no
    right and wrong). `p` is two-sided, `adjusted` is Holm's over all pairs compared, `smallest` is the true difference
    that a test at 5 % on these questions would find four times in five.
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
    """Runs from the best to the worst, and the differences that were tested."""

    metric: str
    n: int
    runs: tuple[RunValue, ...]
    pairs: tuple[PairedDifference, ...]


@dataclass(frozen=True, slots=True)
class _Difference:
    value: float
    error: float
    only: tuple[int, int] | None
    test: str
    p: float


def compare_runs(
    runs: Mapping[str, Mapping[str, Ballot]], solution: Sequence[SolvedRow], metric: str = "accuracy", seed: int = 42
) -> Comparison:
    """Two runs, the first minus the second; or more, the best minus each other, on all questions of the solution.

    Accuracy is tested by the exact McNemar test. Where questions come in groups, or the metric is another mean, the
    test is a normal one on the paired difference with its clustered standard error (Miller 2024, arXiv 2411.00640);
    macro-F1's error is that of a bootstrap over whole groups, 1,000 resamples, seeded.

    Raises:
        BadInput: fewer than two runs, an unknown metric, a run that lacks questions of the solution.
    """
    check_metric(metric)
    rows = [row for row in solution if row.usage != "Ignored"]
    _check_runs(runs, rows)
    values = {name: _overall(ballots, rows, metric) for name, ballots in runs.items()}
    order = sorted(values, key=lambda name: values[name], reverse=not lower_is_better(metric))
    first, second, *more = runs
    pairs = [(order[0], other) for other in order[1:]] if more else [(first, second)]
    found = [_difference(runs[first], runs[second], rows, metric, seed) for first, second in pairs]
    adjusted = _holm([one.p for one in found])
    tested = tuple(
        _paired(first, second, one, level) for (first, second), one, level in zip(pairs, found, adjusted, strict=True)
    )
    clear = {name for pair in tested if pair.adjusted < LEVEL for name in (pair.first, pair.second)} - {order[0]}
    return Comparison(
        metric, len(rows), tuple(RunValue(name, values[name], name not in clear) for name in order), tested
    )


def _check_runs(runs: Mapping[str, Mapping[str, Ballot]], rows: Sequence[SolvedRow]) -> None:
    if len(runs) < 2:
        raise BadInput(f"{len(runs)} run, where two or more are compared")
    if not rows:
        raise BadInput("the solution has no rows to compare on")
    for name, ballots in runs.items():
        lost = [repr(row.id) for row in rows if row.id not in ballots]
        if lost:
            raise BadInput(
                f"run {name!r} lacks {len(lost)} of the {len(rows)} questions compared on: {list_some(lost)}"
            )


def _paired(first: str, second: str, one: _Difference, adjusted: float) -> PairedDifference:
    reach = Z95 * one.error
    return PairedDifference(
        first,
        second,
        one.value,
        one.error,
        one.value - reach,
        one.value + reach,
        one.only[0] if one.only else None,
        one.only[1] if one.only else None,
        one.test,
        one.p,
        adjusted,
        (Z95 + Z80) * one.error,
    )


def _difference(
    first: Mapping[str, Ballot], second: Mapping[str, Ballot], rows: Sequence[SolvedRow], metric: str, seed: int
) -> _Difference:
    groups = [row.group for row in rows]
    if metric == "macro-f1":
        value, error = _macro_f1_difference(first, second, rows, seed)
        return _Difference(value, error, None, "bootstrap over groups, normal", _normal_p(value, error))
    gains = _question_values(first, rows, metric) - _question_values(second, rows, metric)
    value, error = float(gains.mean()), compute_standard_error(gains, groups) or 0.0
    if metric != "accuracy":
        return _Difference(value, error, None, "paired, normal", _normal_p(value, error))
    only = int((gains > 0).sum()), int((gains < 0).sum())
    if len(set(groups) - {None}) < sum(group is not None for group in groups):
        return _Difference(value, error, only, "paired, clustered, normal", _normal_p(value, error))
    return _Difference(value, error, only, "exact McNemar", exact_mcnemar(*only))


def exact_mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p of McNemar's exact test (1947), from the questions that one run alone has right."""
    from statsmodels.stats.contingency_tables import mcnemar  # type: ignore[import-untyped]

    return float(min(1.0, mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue))


def _normal_p(value: float, error: float) -> float:
    from scipy.stats import norm  # type: ignore[import-untyped]

    if error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * norm.sf(abs(value) / error))


def _holm(levels: Sequence[float]) -> list[float]:
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    return [float(level) for level in multipletests(levels, method="holm")[1]]


def _question_values(ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], metric: str) -> Values:
    return np.array([question_value(ballots[row.id], row.answer, metric) for row in rows])


def _overall(ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], metric: str) -> float:
    if metric == "macro-f1":
        return _macro_f1_of(ballots, rows, [np.ones(len(rows))])[0]
    return float(_question_values(ballots, rows, metric).mean())


def _macro_f1_difference(
    first: Mapping[str, Ballot], second: Mapping[str, Ballot], rows: Sequence[SolvedRow], seed: int
) -> tuple[float, float]:
    """The difference of macro-F1 and its bootstrap standard error: both runs see the same resampled groups."""
    keys: dict[object, int] = {}
    group = [keys.setdefault(number if row.group is None else row.group, len(keys)) for number, row in enumerate(rows)]
    random, count = np.random.default_rng(seed), len(keys)
    samples = [np.ones(len(rows))]
    for _ in range(RESAMPLES):
        samples.append(np.bincount(random.integers(count, size=count), minlength=count)[group].astype(np.float64))
    gains = np.subtract(_macro_f1_of(first, rows, samples), _macro_f1_of(second, rows, samples))
    return float(gains[0]), float(gains[1:].std(ddof=1))


def _macro_f1_of(ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], samples: Sequence[Values]) -> list[float]:
    """Macro-F1 under each sample, which says how often each question counts; an unread question claims no label."""
    given = ["" if is_unread(ballots[row.id]) else heaviest(ballots[row.id]) for row in rows]
    names = sorted({row.answer for row in rows} | set(given) - {""})
    number = {name: code for code, name in enumerate([*names, ""])}
    truth, claim = np.array([number[row.answer] for row in rows]), np.array([number[label] for label in given])
    right, size = truth == claim, len(number)
    found = []
    for times in samples:
        hits = np.bincount(truth[right], times[right], minlength=size)[:-1]
        total = (np.bincount(truth, times, minlength=size) + np.bincount(claim, times, minlength=size))[:-1]
        found.append(float((2 * hits / np.maximum(total, 1.0)).mean()))
    return found
