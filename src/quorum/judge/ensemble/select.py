"""Which way of voting stands: chosen and measured on labelled questions that it was not fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from quorum.errors import BadInput
from quorum.judge.ensemble.pool import average_probabilities, pool_logprobs, temper_answers, vote_majority
from quorum.judge.ensemble.weighting import (
    BEST,
    BLEND,
    BY_SUBJECT,
    PROBABILITY_METHODS,
    VOTE_METHODS,
    Floats,
    LabelledBallots,
    Pool,
    VotingMethod,
    Whole,
    fit_temperatures,
    rank_members,
)

FOLDS = 10
NESTED_FOLDS = 5
FEWEST_LABELLED = 10
MOST_LABELLED = 6000  # weights do not get better from more, only slower
CLEARLY_BETTER = 2.0  # standard errors of the paired difference

Hits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MethodScore:
    """The accuracy of one way of voting (or of one member) on labelled questions, and its standard error."""

    name: str
    accuracy: float
    error: float


@dataclass(frozen=True, slots=True)
class VotingRule:
    """How a vote is counted, and what is known about it.

    `weights` are what members' ballots weigh, above 0, the best member first (which also wins a tie); `subject_weights`
    stand in their place for questions of those subjects. Members in `temperatures` are brought to those first.
    `out_of_fold` is the accuracy of choosing and fitting on
    questions that neither has seen, `best_member` that of picking the member with most right answers (named as the one
    picked on all labelled questions), both on the same folds; `standings` are each method's alone.
    """

    method: str
    pool: Pool
    weights: Mapping[str, float]
    subject_weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    labelled: int = 0
    out_of_fold: MethodScore | None = None
    best_member: MethodScore | None = None
    standings: Sequence[MethodScore] = field(default=())


def select_rule(ballots: LabelledBallots, method: str | None = None) -> VotingRule:
    """The best way to vote, by nested cross-fitting; or the named one, measured out of fold.

    The blend stands unless another method beats it clearly (by two standard errors) out of fold. Folds inside folds
    measure that choice, and beside it the member that the other folds show to be the best; where the choice comes out
    below, the best member stands alone. Folds are drawn with a fixed seed.

    Raises:
        BadInput: fewer than 10 labelled questions, or no such method.
    """
    if len(ballots.gold) < FEWEST_LABELLED:
        raise BadInput(f"{len(ballots.gold)} labelled questions among the runs; at least {FEWEST_LABELLED} are needed")
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn brings it

    ballots = ballots.only(np.random.default_rng(0).permutation(len(ballots.gold))[:MOST_LABELLED])
    with threadpool_limits(1):  # the matrices are small: more threads only wait for each other
        return _select_rule(ballots, _candidates(ballots, method), automatic=method is None)


def _select_rule(ballots: LabelledBallots, methods: Sequence[VotingMethod], automatic: bool) -> VotingRule:
    hits = _cross_fitted(ballots, methods, FOLDS)
    chosen, measured, picked = methods[0], hits[:, 0], _cross_fitted(ballots, [BEST], FOLDS)[:, 0]
    if automatic:
        chosen, measured, picked = choose_method(hits, methods), *_nested(ballots, methods)
        if measured.mean() < picked.mean():
            chosen, measured = BEST, picked
    fitted = chosen.fit(_tempered(ballots, chosen, ballots)[0])
    overall = fitted if fitted.ndim == 1 else BLEND.fit(ballots)
    by_subject = zip(ballots.subjects, fitted, strict=True) if fitted.ndim == 2 else ()
    return VotingRule(
        chosen.name,
        chosen.pool,
        _named_weights(ballots, overall),
        {subject: _named_weights(ballots, own) for subject, own in by_subject},
        dict(zip(ballots.members, fit_temperatures(ballots).tolist(), strict=True)) if chosen.calibrated else {},
        len(ballots.gold),
        _standing(chosen.name, measured),
        _standing(ballots.members[rank_members(ballots)[0]], picked),
        [_standing(one.name, hits[:, number]) for number, one in enumerate(methods)],
    )


def apply_rule(
    answers: pl.DataFrame, election: VotingRule, subjects: pl.DataFrame | None = None, run: str = "vote"
) -> pl.DataFrame:
    """The election's ballot for every question of `answers`, as a frame of run, id, label, weight.

    `subjects` (columns id, subject) says whose weights count, where subjects have their own. Where no member that has a
    weight read the question, the majority of the others stands.
    """
    answers = temper_answers(answers, election.temperatures)
    parts, rest = [], answers
    if subjects is not None:
        for subject, weights in election.subject_weights.items():
            own = subjects.filter(pl.col("subject") == subject).select("id")
            parts.append(_pooled(answers.join(own, on="id", how="semi"), election.pool, weights, run))
            rest = rest.join(own, on="id", how="anti")
    votes = pl.concat([*parts, _pooled(rest, election.pool, election.weights, run)])
    unread = votes.filter(pl.col("label").is_null()).select("id")
    others = vote_majority(answers.join(unread, on="id", how="semi"), run=run)
    both = pl.concat([votes.filter(pl.col("label").is_not_null()), others])
    order = answers.select(pl.col("id").unique(maintain_order=True))
    return order.join(both, on="id", maintain_order="left_right").select("run", "id", "label", "weight")


def _pooled(answers: pl.DataFrame, pool: Pool, weights: Mapping[str, float], run: str) -> pl.DataFrame:
    match pool:
        case "votes":
            return vote_majority(answers, weights, run)
        case "mean":
            return average_probabilities(answers, weights, run)
        case "log":
            return pool_logprobs(answers, weights, run)


def explain_vote(answers: pl.DataFrame, election: VotingRule, id: str) -> pl.DataFrame:
    """Who made the answer to one question: run, label, the ballot's weight for it and what the run's voice is worth."""
    voices = pl.DataFrame(
        {"run": list(election.weights), "voice": list(election.weights.values())},
        schema={"run": pl.String, "voice": pl.Float64},
    )
    own = answers.filter(pl.col("id") == id).join(voices, on="run", how="left", maintain_order="left")
    return own.select("run", "label", "weight", pl.col("voice").fill_null(0.0)).sort(
        "voice", "weight", descending=True, maintain_order=True
    )


def choose_method(hits: Hits, methods: Sequence[VotingMethod]) -> VotingMethod:
    """The method that stands, by its hits out of fold, [question, method]: see `select_rule`."""
    blend = [method.name for method in methods].index(BLEND.name)
    gain = hits.astype(np.float64) - hits[:, [blend]]
    clear = gain.mean(axis=0) > CLEARLY_BETTER * gain.std(axis=0) / np.sqrt(len(hits))
    return methods[int(np.where(clear, gain.mean(axis=0), -1.0).argmax()) if clear.any() else blend]


def predict_labels(ballots: LabelledBallots, pool: Pool, weights: Floats, order: Whole) -> Whole:
    """Return the index in `labels` that `apply_rule` gives each question, or -1; ties go by `order`."""
    first = np.zeros(len(order))
    first[order] = 1e-7 / 2.0 ** np.arange(len(order))
    voices = weights + np.where(weights > 0, first, 0.0)
    if voices.ndim == 2:
        scores = np.einsum("qmk,qm->qk", ballots.evidence(pool), voices[ballots.subject])
    else:
        scores = np.einsum("qmk,m->qk", ballots.evidence(pool), voices)
    silent = scores.max(axis=1) == 0
    plain = 1 + 1e-7 / 2.0 ** np.arange(len(order))
    scores[silent] = np.einsum("qmk,m->qk", ballots.evidence("votes")[silent], plain)
    return np.where(scores.max(axis=1) > 0, scores.argmax(axis=1), -1)


def _candidates(ballots: LabelledBallots, method: str | None) -> Sequence[VotingMethod]:
    letters_only = bool(((ballots.probability > 0).sum(axis=2) <= 1).all())
    methods = [*VOTE_METHODS, *(() if letters_only and method is None else PROBABILITY_METHODS)]
    if len(ballots.subjects) > 1:
        methods.append(BY_SUBJECT)
    if method is None:
        return methods
    named = [one for one in methods if one.name == method]
    if not named:
        raise BadInput(f"method {method!r} is not among auto, {', '.join(one.name for one in methods)}")
    return named


def _cross_fitted(ballots: LabelledBallots, methods: Sequence[VotingMethod], folds: int) -> Hits:
    """Whether each method answers each question right when fitted on the other folds, [question, method]."""
    hits = np.zeros((len(ballots.gold), len(methods)), dtype=np.bool_)
    for one in range(folds):
        rest, held = _split(ballots, one, folds)
        for number, method in enumerate(methods):
            hits[one::folds, number] = _fitted_hits(rest, held, method)
    return hits


def _nested(ballots: LabelledBallots, methods: Sequence[VotingMethod]) -> tuple[Hits, Hits]:
    """Whether each question is answered right by the method, and by the member, that the other folds choose and fit."""
    hits, picked = np.zeros((2, len(ballots.gold)), dtype=np.bool_)
    for one in range(NESTED_FOLDS):
        rest, held = _split(ballots, one, NESTED_FOLDS)
        stands = choose_method(_cross_fitted(rest, methods, NESTED_FOLDS), methods)
        hits[one::NESTED_FOLDS] = _fitted_hits(rest, held, stands)
        picked[one::NESTED_FOLDS] = _fitted_hits(rest, held, BEST)
    return hits, picked


def _split(ballots: LabelledBallots, one: int, folds: int) -> tuple[LabelledBallots, LabelledBallots]:
    """All questions but every `folds`-th from `one` on, and those."""
    held = np.arange(len(ballots.gold)) % folds == one
    return ballots.only(np.flatnonzero(~held)), ballots.only(np.flatnonzero(held))


def _fitted_hits(rest: LabelledBallots, held: LabelledBallots, method: VotingMethod) -> Hits:
    rest, held = _tempered(rest, method, rest, held)
    return np.asarray(predict_labels(held, method.pool, method.fit(rest), rank_members(rest)) == held.gold)


def _tempered(fitted_on: LabelledBallots, method: VotingMethod, *ballots: LabelledBallots) -> list[LabelledBallots]:
    """The ballots as the method takes them: at temperatures fitted on some of them, where it calibrates."""
    if not method.calibrated:
        return list(ballots)
    temperatures = fit_temperatures(fitted_on)
    return [one.tempered(temperatures) for one in ballots]


def _named_weights(ballots: LabelledBallots, weights: Floats) -> dict[str, float]:
    """Member -> weight, the best member first; members without weight are left out."""
    return {ballots.members[place]: float(weights[place]) for place in rank_members(ballots) if weights[place] > 0}


def _standing(name: str, hits: Hits) -> MethodScore:
    share = float(hits.mean())
    return MethodScore(name, share, float(np.sqrt(share * (1 - share) / len(hits))))
