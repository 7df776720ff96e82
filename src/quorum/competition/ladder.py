"""The ladder of a member: the stages that it keeps, and the value of that choice, cross-fitted."""

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from quorum.competition.climb import (
    BASE,
    Attempt,
    Climb,
    Combination,
    CombineAttempts,
    MakeAttempt,
    Rung,
    climb_stages,
    orient_gain,
)
from quorum.competition.stages import Stage
from quorum.evaluation.certainty import Z95, compute_wilson_interval
from quorum.evaluation.compare import compare_runs
from quorum.evaluation.metrics import Score, score_answers
from quorum.files.solution import SolvedRow

CLIMB_FOLDS = 5
_SHARES = ("accuracy", "macro-f1")  # metrics from 0 to 1, whose intervals are Wilson's


@dataclass(frozen=True, kw_only=True)
class CrossFit:
    """How the choice of stages is cross-fitted.

    Attributes:
        clusters: the cluster of each question; a cluster is not divided.
        folds: number of parts; each is scored with the stages that are chosen on the others.
        seed: of the parts.
        test: number of hidden test questions to forecast the score on; 0: no forecast.
    """

    clusters: Mapping[str, int]
    folds: int = CLIMB_FOLDS
    seed: int = 42
    test: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """The interval that holds the score on `n` hidden questions with a probability of 95 %."""

    n: int
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalGain:
    """The winner minus the base, above 0 if it is better, without the optimism of the choice; `p` is two-sided."""

    value: float
    error: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """The value of the winner without the optimism of having been chosen on the questions that score it.

    Attributes:
        base: the value of the member without stages.
        winner: the winner's value less `optimism`, with its standard error and 95 % interval.
        optimism: by how much the choice flatters the winner.
        gain: the winner minus the base; None if no stage is kept.
        kept: in how many folds each stage was kept, most frequent first.
        test: the score to expect on the hidden test.
    """

    folds: int
    base: float
    winner: Score
    optimism: float
    gain: TotalGain | None
    kept: Mapping[str, int]
    test: Forecast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The result of a ladder over `n` questions: its rungs, and the stages that were not tried, with the reason.

    Attributes:
        settings: the winner's overrides of the member's settings, by dotted names.
        voters: if the vote or the cascade is kept, the same for each member in it, by the name of its last stage.
        folds: the folds of the stage of folds, if it is kept.
        final: the winner's value without optimism; None: it was not cross-fitted.
    """

    metric: str
    n: int
    rungs: tuple[Rung, ...]
    skipped: Mapping[str, str]
    settings: Mapping[str, Any]
    voters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folds: int = 0
    final: Final | None = None


def climb_ladder(
    stages: Sequence[Stage],
    attempt: MakeAttempt,
    solution: Sequence[SolvedRow],
    metric: str,
    *,
    cross_fit: CrossFit | None = None,
    combine: CombineAttempts | None = None,
    on_rung: Callable[[Rung], None] = lambda rung: None,
) -> Ladder:
    """Climb the stages on all questions, and cross-fit the value of the winner; see `climb_stages`."""
    climb = climb_stages(stages, attempt, solution, metric, combine=combine, on_rung=on_rung)
    final = None
    if cross_fit:
        folds = climb_folds(stages, attempt, solution, metric, cross_fit=cross_fit, combine=combine)
        final = correct_value(climb, folds, solution, metric, cross_fit) if len(folds) > 1 else None
    settings = {setting: value for stage in climb.kept for setting, value in stage.settings.items()}
    return Ladder(
        metric=metric,
        n=climb.n,
        rungs=climb.rungs,
        skipped=climb.skipped,
        settings=settings | dict(climb.winner.settings),
        voters=_list_voters(climb),
        folds=max((stage.folds for stage in climb.kept), default=0),
        final=final,
    )


def climb_folds(
    stages: Sequence[Stage],
    attempt: MakeAttempt,
    solution: Sequence[SolvedRow],
    metric: str,
    *,
    cross_fit: CrossFit,
    combine: CombineAttempts | None = None,
) -> list[tuple[list[SolvedRow], Climb]]:
    """Return each fold, and the climb over the questions of all other folds.

    A climb of its own may try other combinations of stages than the climb over all questions.
    """
    folds = []
    for part in divide_clusters(solution, cross_fit.clusters, cross_fit.folds, cross_fit.seed):
        scored = {row.id for row in part}
        if rest := [row for row in solution if row.id not in scored]:
            folds.append((part, climb_stages(stages, attempt, rest, metric, combine=combine)))
    return folds


def correct_value(
    climb: Climb,
    folds: Sequence[tuple[list[SolvedRow], Climb]],
    solution: Sequence[SolvedRow],
    metric: str,
    cross_fit: CrossFit,
) -> Final:
    """Return the winner's value less the optimism of its choice, with intervals that treat a cluster as a unit.

    The optimism is the mean over folds, by their size, of the value of the winner that the other folds choose on those
    folds, minus its value on the fold itself (Tibshirani and Tibshirani 2009, "A bias correction for the minimum error
    rate in cross-validation"). It is 0 if every fold chooses the same stages. Its own size is added to the standard
    error, in squares: benchmarks/ladder_coverage.py shows that the intervals then hold the truth as often as promised.
    """
    rows = [replace(row, group=str(cross_fit.clusters[row.id])) for row in solution]
    winner = _score_rows_of(climb.winner, rows, metric)
    rests = [[row for row in solution if row.id not in {one.id for one in part}] for part, _ in folds]

    def estimate_optimism(attempt_of: Callable[[Climb], Attempt]) -> float:
        """Return how much better the chosen attempts are where they were chosen."""
        total = 0.0
        for (part, one), rest in zip(folds, rests, strict=True):
            chosen = attempt_of(one)
            gap = _score_rows_of(chosen, rest, metric).value - _score_rows_of(chosen, part, metric).value
            total += len(part) * gap
        return total / len(solution)

    optimism = estimate_optimism(lambda one: one.winner)
    of_gain = optimism - estimate_optimism(lambda one: one.base)
    clusters = len({row.group for row in rows})
    score = _shift_score(winner, optimism, metric, clusters)
    kept = Counter(stage.name for _, one in folds for stage in one.kept)
    return Final(
        folds=len(folds),
        base=_score_rows_of(climb.base, rows, metric).value,
        winner=score,
        optimism=optimism,
        gain=_estimate_gain(climb, of_gain, rows, metric) if climb.kept else None,
        kept=dict(kept.most_common()),
        test=forecast_score(score, metric, clusters, cross_fit.test),
    )


def _score_rows_of(attempt: Attempt, rows: Sequence[SolvedRow], metric: str) -> Score:
    return score_answers({row.id: attempt.ballots[row.id] for row in rows}, rows, metric).overall


def _shift_score(score: Score, optimism: float, metric: str, clusters: int) -> Score:
    """Return the score less the optimism, whose size is added to the standard error."""
    if score.error is None:
        return score
    value, error = score.value - optimism, math.hypot(score.error, optimism)
    if metric in _SHARES:
        value = min(1.0, max(0.0, value))
    low, high = _compute_interval(value, error, metric, score.n if error else clusters)
    return replace(score, value=value, error=error, low=low, high=high)


def _estimate_gain(climb: Climb, optimism: float, rows: Sequence[SolvedRow], metric: str) -> TotalGain:
    from scipy.stats import norm  # type: ignore[import-untyped]

    pair = compare_runs({"winner": climb.winner.ballots, BASE: climb.base.ballots}, rows, metric).pairs[0]
    value, error = orient_gain(pair.difference - optimism, metric), math.hypot(pair.error, optimism)
    p = float(2 * norm.sf(abs(value) / error)) if error else pair.p
    return TotalGain(value=value, error=error, low=value - Z95 * error, high=value + Z95 * error, p=p)


def _compute_interval(value: float, error: float, metric: str, n: int) -> tuple[float, float]:
    """Return the 95 % interval: Wilson's for shares."""
    if metric in _SHARES:
        return compute_wilson_interval(value, error, [None] * n)
    return value - Z95 * error, value + Z95 * error


def divide_clusters(
    rows: Sequence[SolvedRow], clusters: Mapping[str, int], folds: int, seed: int
) -> list[list[SolvedRow]]:
    """Divide the questions at random into parts with equal numbers of clusters; a cluster is not divided."""
    numbers = sorted({clusters[row.id] for row in rows})
    random.Random(seed).shuffle(numbers)
    part_of = {number: index % folds for index, number in enumerate(numbers)}
    parts: list[list[SolvedRow]] = [[] for _ in range(folds)]
    for row in rows:
        parts[part_of[clusters[row.id]]].append(row)
    return [part for part in parts if part]


def forecast_score(score: Score, metric: str, clusters: int, test: int) -> Forecast | None:
    """Return the 95 % interval of the score on `test` other questions; None if the standard error is not known.

    The score on m questions and the true value, known from n, have independent errors: the standard deviation is
    s sqrt(1/n + 1/m), where s is the standard error times sqrt(n). The interval is Wilson's for shares.

    Args:
        clusters: the number of clusters, which is used if all questions have the same value.
    """
    if score.error is None or not test:
        return None
    error = score.error * math.sqrt(1 + score.n / test)
    count = score.n if error else round(1 / (1 / clusters + 1 / test))
    return Forecast(test, *_compute_interval(score.value, error, metric, count))


def _list_voters(climb: Climb) -> dict[str, Mapping[str, Any]]:
    winner = climb.winner
    if not isinstance(winner, Combination):
        return {}
    voters = {name: climb.attempts[name].settings for name in winner.members}
    return voters | {climb.kept[-1].name: winner.settings} if winner.settings else voters
