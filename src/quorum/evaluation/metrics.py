"""How good, how sure: a metric over ballots, with its standard error and 95 % interval."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quorum.ballot import Ballot, heaviest, is_unread, normalised, ranked
from quorum.errors import BadInput, list_some
from quorum.evaluation.certainty import (
    Z95,
    Values,
    compute_standard_error,
    compute_wilson_interval,
    macro_f1_error,
    shrink_means,
)
from quorum.files.solution import SolvedRow

PUBLIC_SHARE = 0.3  # of a simulated leaderboard
_LOG_LOSS_CLIP = float(np.finfo(np.float64).eps)  # scikit-learn's


@dataclass(frozen=True, slots=True)
class Score:
    """A metric's value over n questions, its standard error and 95 % interval (None: too few questions to know).

    `unread` of the n have no answer; they count, as wrong.
    """

    value: float
    error: float | None
    low: float | None
    high: float | None
    n: int
    unread: int


@dataclass(frozen=True, slots=True)
class SubjectScore:
    """The score of one subject; `shrunk` is its value drawn towards the mean of all, the more so the fewer questions.

    It is None for macro-F1, which is no mean over questions.
    """

    subject: str
    score: Score
    shrunk: float | None


@dataclass(frozen=True, slots=True)
class Scores:
    """A submission's score: in all, a subject, and on the public and private part.

    `simulated` says that the parts are a seeded 30/70 draw, not the solution's own Usage column.
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
    """The score of ballots (question id -> ballot) against a solution, over every question that is not Ignored.

    Metrics: "accuracy"; "map@K" (mean of 1/rank of the answer, 0 below rank K); "macro-f1" (over the labels that occur
    as answers or predictions); "log-loss" (natural log, clipped like scikit-learn's). A tie goes to the first label in
    the alphabet. A question without a ballot, or with one that has no weight, is unread and wrong.

    The standard error of a mean is the sample's, sd / sqrt(n), or clustered where questions share a group (Miller,
    "Adding Error Bars to Evals", arXiv 2411.00640); macro-F1's is a bootstrap over groups, 1,000 resamples, seeded.

    Raises:
        BadInput: an unknown metric, an empty solution, an id twice in it, a ballot for an id that it lacks.
    """
    check_metric(metric)
    counts = Counter(row.id for row in solution)
    twice = [repr(id) for id, count in counts.items() if count > 1]
    if twice:
        raise BadInput(f"the solution has {list_some(twice)} more than once")
    strange = sorted(map(repr, ballots.keys() - counts.keys()))
    if strange:
        raise BadInput(f"answers to {list_some(strange)}, which the solution does not have")
    rows = [row for row in solution if row.usage != "Ignored"]
    if not rows:
        raise BadInput("the solution has no rows to score")
    simulated = all(row.usage is None for row in rows)
    if simulated:
        rows = _simulated_usage(rows, seed)

    def score_of(part: Sequence[SolvedRow]) -> Score | None:
        return _score(ballots, part, metric, seed) if part else None

    subjects: dict[str, list[SolvedRow]] = {}
    for row in rows:
        if row.subject is not None:
            subjects.setdefault(row.subject, []).append(row)
    return Scores(
        metric,
        _INTERVALS[metric if metric in _INTERVALS else "mean"],
        _score(ballots, rows, metric, seed),
        _by_subject(ballots, subjects, metric, seed),
        score_of([row for row in rows if row.usage == "Public"]),
        score_of([row for row in rows if row.usage == "Private"]),
        simulated,
    )


def check_metric(metric: str) -> None:
    """Raises BadInput unless `metric` is one that Quorum computes."""
    if metric not in ("accuracy", "macro-f1", "log-loss") and not re.fullmatch(r"map@[1-9][0-9]?", metric):
        raise BadInput(f"metric {metric!r} is not among accuracy, map@K (such as map@3), macro-f1, log-loss")


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of this metric is the better one."""
    return metric == "log-loss"


def question_value(ballot: Ballot, answer: str, metric: str) -> float:
    """What one question adds to the mean; for macro-F1, whether it is right."""
    if is_unread(ballot):
        ballot = {}
    if metric == "log-loss":
        share = normalised(ballot).get(answer, 0.0)
        return -math.log(min(max(share, _LOG_LOSS_CLIP), 1 - _LOG_LOSS_CLIP))
    order = ranked(ballot)[: int(metric[4:]) if metric.startswith("map@") else 1]
    return 1 / (order.index(answer) + 1) if answer in order else 0.0


_INTERVALS = {
    "accuracy": "95 % Wilson interval on the effective n",
    "macro-f1": "95 % normal interval, bootstrap standard error",
    "mean": "95 % normal interval",
}


def _score(ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], metric: str, seed: int) -> Score:
    unread = sum(is_unread(ballots.get(row.id, {})) for row in rows)
    groups = [row.group for row in rows]
    if metric == "macro-f1":
        value, error = _macro_f1(ballots, rows, groups, seed)
    else:
        values = _values(ballots, rows, metric)
        value, error = float(values.mean()), compute_standard_error(values, groups)
    if metric == "accuracy":
        low, high = compute_wilson_interval(value, error, groups)
        return Score(value, error, low, high, len(rows), unread)
    if error is None:
        return Score(value, None, None, None, len(rows), unread)
    most = math.inf if metric == "log-loss" else 1.0
    return Score(value, error, max(0.0, value - Z95 * error), min(most, value + Z95 * error), len(rows), unread)


def _values(ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], metric: str) -> Values:
    return np.array([question_value(ballots.get(row.id, {}), row.answer, metric) for row in rows])


def _macro_f1(
    ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow], groups: Sequence[str | None], seed: int
) -> tuple[float, float | None]:
    """Macro-F1 and its bootstrap error: whole clusters are drawn, the labels stay those of all rows."""
    from sklearn.metrics import f1_score  # type: ignore[import-untyped]

    answers = [row.answer for row in rows]
    given = [_first_label(ballots.get(row.id, {})) for row in rows]
    names = sorted(set(answers) | {label for label in given if label is not None})
    # an unread question misses its answer and claims no label
    filled = ["" if label is None else label for label in given]
    value = float(f1_score(answers, filled, labels=names, average="macro", zero_division=0.0))
    return value, macro_f1_error(answers, filled, names, groups, seed)


def _first_label(ballot: Ballot) -> str | None:
    return None if is_unread(ballot) else heaviest(ballot)


def _by_subject(
    ballots: Mapping[str, Ballot], subjects: Mapping[str, Sequence[SolvedRow]], metric: str, seed: int
) -> tuple[SubjectScore, ...]:
    names = sorted(subjects)
    scores = [_score(ballots, subjects[name], metric, seed) for name in names]
    shrunk: Sequence[float | None] = [None] * len(names)
    if metric != "macro-f1" and names:
        shrunk = shrink_means([_values(ballots, subjects[name], metric) for name in names])
    return tuple(SubjectScore(*row) for row in zip(names, scores, shrunk, strict=True))


def _simulated_usage(rows: Sequence[SolvedRow], seed: int) -> list[SolvedRow]:
    """The rows with a Usage: the 30 % whose id has the smallest seeded hash are Public, the same on every machine."""
    order = sorted(rows, key=lambda row: hashlib.sha256(f"{seed}:{row.id}".encode()).digest())
    public = {row.id for row in order[: round(PUBLIC_SHARE * len(rows))]}
    return [replace(row, usage="Public" if row.id in public else "Private") for row in rows]
