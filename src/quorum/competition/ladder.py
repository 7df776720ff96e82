"""The ladder of a member: the stages that it keeps, and the cross-fitted value of that choice."""

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from quorum.ballot import Ballot
from quorum.competition.climb import BASE, Climb, CombineAttempts, MakeAttempt, Rung, climb_stages
from quorum.competition.stages import Stage
from quorum.evaluation.certainty import Z95, compute_wilson_interval
from quorum.evaluation.compare import PairedDifference, compare_runs
from quorum.evaluation.metrics import Score, score_answers
from quorum.files.solution import SolvedRow

FOLDS = 5


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
    folds: int = FOLDS
    seed: int = 42
    test: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """The interval that holds the score on `n` hidden questions with a probability of 95 %."""

    n: int
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """The cross-fitted value of the winner: no question is scored with stages that it helped to choose.

    Attributes:
        base: the value of the member without stages.
        winner: the winner's value, with its standard error and 95 % interval.
        difference: the winner minus the base.
        kept: in how many folds each stage was kept, most frequent first.
        test: the score to expect on the hidden test.
    """

    folds: int
    base: float
    winner: Score
    difference: PairedDifference
    kept: Mapping[str, int]
    test: Forecast | None = None

    @property
    def n(self) -> int:
        """The number of questions, all of which are scored."""
        return self.winner.n


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The result of a ladder over `n` questions: its rungs, and the stages that were not tried, with the reason.

    Attributes:
        settings: the winner's overrides of the member's settings, by dotted names.
        voters: if the vote is kept, the same for each member that votes, by the name of its last stage.
        final: the cross-fitted value. Without it the winner was chosen on the questions that score it, so its value is
            optimistic.
    """

    metric: str
    n: int
    rungs: tuple[Rung, ...]
    skipped: Mapping[str, str]
    settings: Mapping[str, Any]
    voters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    final: Final | None = None


def climb_ladder(
    stages: Sequence[Stage],
    attempt: MakeAttempt,
    solution: Sequence[SolvedRow],
    metric: str,
    cross_fit: CrossFit | None = None,
    combine: CombineAttempts | None = None,
    on_rung: Callable[[Rung], None] = lambda rung: None,
) -> Ladder:
    """Climb the stages on all questions, and cross-fit the value of the winner; see `climb_stages`."""
    climb = climb_stages(stages, attempt, solution, metric, combine, on_rung)
    final = cross_fit_choice(stages, attempt, solution, metric, cross_fit, combine) if cross_fit else None
    settings = {setting: value for stage in climb.kept for setting, value in stage.settings.items()}
    return Ladder(
        metric=metric,
        n=climb.n,
        rungs=climb.rungs,
        skipped=climb.skipped,
        settings=settings | dict(climb.winner.settings),
        voters=_list_voters(climb),
        final=final,
    )


def cross_fit_choice(
    stages: Sequence[Stage],
    attempt: MakeAttempt,
    solution: Sequence[SolvedRow],
    metric: str,
    cross_fit: CrossFit,
    combine: CombineAttempts | None = None,
) -> Final | None:
    """Choose stages on all folds but one, and score that fold with them; return None for fewer than two clusters.

    The stages of a fold are chosen by a climb of its own, so it may try other combinations than the climb over all
    questions. The standard error and the intervals treat a cluster as a unit.
    """
    rows = [replace(row, group=str(cross_fit.clusters[row.id])) for row in solution]
    parts = divide_clusters(rows, cross_fit.clusters, cross_fit.folds, cross_fit.seed)
    if len(parts) < 2:
        return None
    base: dict[str, Ballot] = {}
    winner: dict[str, Ballot] = {}
    kept: Counter[str] = Counter()
    for part in parts:
        scored = {row.id for row in part}
        climb = climb_stages(stages, attempt, [row for row in solution if row.id not in scored], metric, combine)
        kept.update(stage.name for stage in climb.kept)
        base |= {id: climb.base.ballots[id] for id in scored}
        winner |= {id: climb.winner.ballots[id] for id in scored}
    score = score_answers(winner, rows, metric).overall
    return Final(
        folds=len(parts),
        base=score_answers(base, rows, metric).overall.value,
        winner=score,
        difference=compare_runs({"winner": winner, BASE: base}, rows, metric).pairs[0],
        kept=dict(kept.most_common()),
        test=forecast_score(score, metric, len({row.group for row in rows}), cross_fit.test),
    )


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
    if metric in ("accuracy", "macro-f1"):
        count = score.n if error else round(1 / (1 / clusters + 1 / test))
        return Forecast(test, *compute_wilson_interval(score.value, error, [None] * count))
    return Forecast(test, score.value - Z95 * error, score.value + Z95 * error)


def _list_voters(climb: Climb) -> dict[str, Mapping[str, Any]]:
    if not (climb.kept and climb.kept[-1].votes):
        return {}
    return {name: each.settings for name, each in climb.attempts.items() if each is not climb.winner}
