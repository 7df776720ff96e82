"""Compute a metric over ballots, with its standard error and 95 % interval."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quorum.ballot import Ballot, find_heaviest, is_unread, normalise_ballot, rank_labels
from quorum.errors import BadInput, list_some
from quorum.evaluation.certainty import (
    Z95,
    Values,
    compute_bounded_interval,
    compute_standard_error,
    compute_wilson_interval,
    estimate_macro_f1_error,
    shrink_means,
)
from quorum.files.solution import SolvedRow

PUBLIC_SHARE = 0.3  # of a simulated leaderboard
_LOG_LOSS_CLIP = float(np.finfo(np.float64).eps)  # scikit-learn's
_PLAIN_METRICS = ("accuracy", "macro-f1", "log-loss")


@dataclass(frozen=True, slots=True)
class RegisteredMetric:
    """A metric from outside the package: the mean of `score` (ballot, answer) over the questions."""

    score: Callable[[Ballot, str], float]
    lower_is_better: bool


_registered_metrics: dict[str, RegisteredMetric] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The value of a metric over `n` questions, with its standard error and 95 % interval (None: too few questions).

    `unread` of the questions have no answer; they count as wrong.
    """

    value: float
    error: float | None
    low: float | None
    high: float | None
    n: int
    unread: int


@dataclass(frozen=True, slots=True)
class SubjectScore:
    """The score of one subject; `shrunk` is its value shrunk towards the mean of all, more so for fewer questions.

    `shrunk` is None for macro-F1, which is not a mean over questions.
    """

    subject: str
    score: Score
    shrunk: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of a submission: overall, by subject, and on the public and the private part.

    `interval` names the method of the intervals. `simulated`: the parts are a seeded 30/70 split, because the solution
    has no Usage column.
    """

    metric: str
    interval: str
    overall: Score
    subjects: tuple[SubjectScore, ...]
    public: Score | None
    private: Score | None
    simulated: bool


def score_answers(
    ballots: Mapping[str, Ballot], solution: Sequence[SolvedRow], metric: str = "accuracy", seed: int = 42
) -> Scores:
    """Score ballots (by question id) against a solution, over all questions whose Usage is not Ignored.

    Metrics: "accuracy"; "map@K" (mean of 1/rank of the answer, 0 below rank K); "macro-f1" (over the labels that occur
    as answers or predictions); "log-loss" (natural logarithm, clipped as in scikit-learn); and the names that
    `register_metric` added. A tie goes to the first
    label in the alphabet. A question without a ballot, or whose ballot has no weight, is unread and wrong.

    The standard error of a mean is sd / sqrt(n), clustered if questions share a group (Miller, "Adding Error Bars to
    Evals", arXiv:2411.00640). That of macro-F1 is a seeded bootstrap over groups with 1,000 resamples.

    Raises:
        BadInput: the metric is unknown, the solution is empty or has an id twice, or a ballot's id is not in it.
    """
    check_metric(metric)
    counts = Counter(row.id for row in solution)
    repeated = [repr(id) for id, count in counts.items() if count > 1]
    if repeated:
        raise BadInput(f"the solution has id {list_some(repeated)} more than once")
    unknown = sorted(map(repr, ballots.keys() - counts.keys()))
    if unknown:
        raise BadInput(f"the solution has no id {list_some(unknown)}, but there are answers to it")
    rows = [row for row in solution if row.usage != "Ignored"]
    if not rows:
        raise BadInput("the solution has no rows to score")
    simulated = all(row.usage is None for row in rows)
    if simulated:
        rows = _simulate_usage(rows, seed)

    def score_part(part: Sequence[SolvedRow]) -> Score | None:
        return _compute_score(ballots, part, metric, seed) if part else None

    subjects: dict[str, list[SolvedRow]] = {}
    for row in rows:
        if row.subject is not None:
            subjects.setdefault(row.subject, []).append(row)
    return Scores(
        metric=metric,
        interval=_INTERVALS[metric if metric in _INTERVALS else "mean"],
        overall=_compute_score(ballots, rows, metric, seed),
        subjects=_score_subjects(ballots, subjects, metric, seed),
        public=score_part([row for row in rows if row.usage == "Public"]),
        private=score_part([row for row in rows if row.usage == "Private"]),
        simulated=simulated,
    )


def register_metric(name: str, score: Callable[[Ballot, str], float], *, lower_is_better: bool = False) -> None:
    """Add a metric from outside the package, for `score_answers` and `compare_runs`.

    The metric is the mean over the questions of `score(ballot, answer)`, so its standard error and its paired test are
    those of a mean. An unread question has the empty ballot.

    Raises:
        BadInput: the name is taken.
    """
    if _is_built_in(name) or name in _registered_metrics:
        raise BadInput(f"metric {name!r} exists already; choose another name")
    _registered_metrics[name] = RegisteredMetric(score, lower_is_better)


def check_metric(metric: str) -> None:
    """Raise BadInput unless `metric` is the name of a metric."""
    if not _is_built_in(metric) and metric not in _registered_metrics:
        names = ["accuracy", "map@K (such as map@3)", "macro-f1", "log-loss", *_registered_metrics]
        raise BadInput(f"metric {metric!r} is not among {', '.join(names)}")


def lower_is_better(metric: str) -> bool:
    """Return whether a smaller value of this metric is better."""
    registered = _registered_metrics.get(metric)
    return registered.lower_is_better if registered else metric == "log-loss"


def score_question(ballot: Ballot, answer: str, metric: str) -> float:
    """Return one question's value, of which the metric is the mean; for macro-F1, whether it is right (1 or 0)."""
    if is_unread(ballot):
        ballot = {}
    if metric in _registered_metrics:
        return _registered_metrics[metric].score(ballot, answer)
    if metric == "log-loss":
        share = normalise_ballot(ballot).get(answer, 0.0)
        return -math.log(min(max(share, _LOG_LOSS_CLIP), 1 - _LOG_LOSS_CLIP))
    order = rank_labels(ballot)[: int(metric[4:]) if metric.startswith("map@") else 1]
    return 1 / (order.index(answer) + 1) if answer in order else 0.0


_INTERVALS = {
    "accuracy": "95 % Wilson interval on the effective n",
    "macro-f1": "95 % Wilson interval on the effective n, bootstrap standard error",
    "mean": "95 % Agresti-Coull interval of a bounded mean, on the effective n",
}


def _compute_score(ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], metric: str, seed: int) -> Score:
    unread = sum(is_unread(ballots.get(row.id, {})) for row in rows)
    groups = [row.group for row in rows]
    if metric == "macro-f1":
        value, error = _compute_macro_f1(ballots, rows, groups, seed)
        interval = compute_wilson_interval(value, error, groups)
    else:
        values = _compute_values(ballots, rows, metric)
        value, error = float(values.mean()), compute_standard_error(values, groups)
        if metric == "accuracy":
            interval = compute_wilson_interval(value, error, groups)
        else:
            interval = _compute_mean_interval(ballots, rows, values, error, metric)
    if error is None and metric != "accuracy":
        return Score(value=value, error=None, low=None, high=None, n=len(rows), unread=unread)
    return Score(value=value, error=error, low=interval[0], high=interval[1], n=len(rows), unread=unread)


def _compute_mean_interval(
    ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], values: Values, error: float | None, metric: str
) -> tuple[float, float]:
    """Return the interval of MAP@k, from 0 to 1, or of the log-loss, whose range ends at the loss of a blind guess."""
    if metric in _registered_metrics:
        reach = Z95 * (error or 0.0)
        return float(values.mean()) - reach, float(values.mean()) + reach
    if metric != "log-loss":
        low, high = compute_bounded_interval(values, error, [row.group for row in rows], (0.0, 1.0))
        return max(0.0, low), min(1.0, high)
    labels = {row.answer for row in rows}.union(*(ballots.get(row.id, {}) for row in rows))
    guess = math.log(max(2, len(labels)))
    low, high = compute_bounded_interval(values, error, [row.group for row in rows], (0.0, guess))
    return max(0.0, low), high


def _is_built_in(metric: str) -> bool:
    return metric in _PLAIN_METRICS or re.fullmatch(r"map@[1-9][0-9]?", metric) is not None


def _compute_values(ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], metric: str) -> Values:
    return np.array([score_question(ballots.get(row.id, {}), row.answer, metric) for row in rows])


def _compute_macro_f1(
    ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], groups: Sequence[str | None], seed: int
) -> tuple[float, float | None]:
    """Return macro-F1 and its bootstrap error, which resamples whole clusters and keeps the labels of all rows."""
    from sklearn.metrics import f1_score  # type: ignore[import-untyped]

    answers = [row.answer for row in rows]
    given = [_find_label(ballots.get(row.id, {})) for row in rows]
    names = sorted(set(answers) | {label for label in given if label is not None})
    # an unread question misses its answer and predicts no label
    filled = ["" if label is None else label for label in given]
    value = float(f1_score(answers, filled, labels=names, average="macro", zero_division=0.0))
    return value, estimate_macro_f1_error(answers, filled, names, groups, seed)


def _find_label(ballot: Ballot) -> str | None:
    return None if is_unread(ballot) else find_heaviest(ballot)


def _score_subjects(
    ballots: Mapping[str, Ballot], subjects: Mapping[str, Sequence[SolvedRow]], metric: str, seed: int
) -> tuple[SubjectScore, ...]:
    names = sorted(subjects)
    scores = [_compute_score(ballots, subjects[name], metric, seed) for name in names]
    shrunk: Sequence[float | None] = [None] * len(names)
    if metric != "macro-f1" and names:
        shrunk = shrink_means([_compute_values(ballots, subjects[name], metric) for name in names])
    return tuple(SubjectScore(*row) for row in zip(names, scores, shrunk, strict=True))


def _simulate_usage(rows: Sequence[SolvedRow], seed: int) -> list[SolvedRow]:
    """Return the rows with a Usage: the 30 % whose ids have the smallest seeded hashes are Public, on every machine."""
    order = sorted(rows, key=lambda row: hashlib.sha256(f"{seed}:{row.id}".encode()).digest())
    public = {row.id for row in order[: round(PUBLIC_SHARE * len(rows))]}
    return [replace(row, usage="Public" if row.id in public else "Private") for row in rows]
