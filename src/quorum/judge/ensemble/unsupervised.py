"""Votes without labelled questions: runs are weighted by how they agree with each other."""

from math import log

import numpy as np
import numpy.typing as npt
import polars as pl

from quorum.errors import BadInput
from quorum.judge.ensemble.labelled import Floats, limit_labels, make_ballot_array, softmax_rows
from quorum.judge.ensemble.rule import VotingRule
from quorum.judge.ensemble.weighting import PRIOR_ASKED, PRIOR_RIGHT
from quorum.question import MOST_CHOICES

STEPS = 50  # of expectation maximisation
SETTLED = 1e-8  # largest change of a probability after which Dawid-Skene stops
QUESTIONS_JUDGED = 20_000
CONFUSION_PRIOR = 0.01  # of one vote, for each pair of labels


def weigh_by_agreement(answers: pl.DataFrame) -> VotingRule:
    """Return a weighted majority whose weights come from agreement alone: squared log-odds of estimated accuracies.

    The accuracies are those of a Dawid-Skene model with one number per member, found by expectation maximisation from
    the majority on. We square the log-odds because that model trusts members too much that err together, and strong
    members too little.

    Raises:
        BadInput: there is no label at all.
    """
    members, labels, ballots = _make_all_ballots(limit_labels(answers), QUESTIONS_JUDGED)
    read = ballots.any(axis=2).sum(axis=0)
    weights = np.ones(len(members))
    for _ in range(STEPS):
        truth = softmax_rows(np.einsum("qmk,m->qk", ballots, weights))
        accuracy = (np.einsum("qmk,qk->m", ballots, truth) + PRIOR_RIGHT) / (read + PRIOR_ASKED)
        weights = np.maximum(0.0, np.log(max(len(labels) - 1, 1) * accuracy / (1 - accuracy)))
    if not weights.any():
        weights = np.ones(len(members))
    order = np.argsort(-weights, kind="stable")
    squared = {members[index]: float(weights[index] ** 2) for index in order if weights[index] > 0}
    return VotingRule(method="agreement", pool="votes", weights=squared)


def vote_dawid_skene(answers: pl.DataFrame, run: str = "dawid-skene") -> pl.DataFrame:
    """Return each question's label probabilities under one confusion matrix per member, found by EM.

    Dawid and Skene (1979). Starts from the majority; one hundredth of a vote for each pair of labels keeps rare ones
    finite. Needs an array of questions x members x labels in memory.

    Returns:
        A frame of run, id, label, weight with one ballot per question; a question that no run read is unread.

    Raises:
        BadInput: there is no label at all, or there are more than 26, as in open questions.
    """
    _, labels, ballots = _make_all_ballots(answers, None)
    truth = ballots.sum(axis=1) + 1e-9
    truth /= truth.sum(axis=1, keepdims=True)
    count, runs, width = ballots.shape
    flat = ballots.reshape(count, runs * width)
    for _ in range(STEPS):
        confusion = (truth.T @ flat).reshape(width, runs, width) + CONFUSION_PRIOR  # [truth, member, label]
        confusion /= confusion.sum(axis=2, keepdims=True)
        prior = truth.mean(axis=0) + 1e-12
        before = truth
        truth = softmax_rows(flat @ np.log(confusion).reshape(width, runs * width).T + np.log(prior))
        if np.abs(truth - before).max() < SETTLED:
            break
    truth[~ballots.any(axis=(1, 2))] = 0.0
    return _to_answers(run, answers["id"].unique(maintain_order=True), labels, truth)


def vote_glad(answers: pl.DataFrame, run: str = "glad") -> pl.DataFrame:
    """Return each question's label probabilities, with a skill per member and a difficulty per question, found by EM.

    GLAD: Whitehill et al. (2009), "Whose Vote Should Count More". A member of skill a is right on a question of ease
    e^b with probability 1 / (1 + exp(-a e^b)), and wrong equally often on each other label; a and b have the paper's
    prior, normal around 1 with variance 1. A ballot counts as one vote for its heaviest label.

    Returns:
        A frame of run, id, label, weight with one ballot per question; a question that no run read is unread.

    Raises:
        BadInput: there is no label at all, or there are more than 26, as in open questions.
    """
    members, labels, ballots = _make_all_ballots(answers, None)
    read = np.asarray(ballots.any(axis=2))
    chosen = np.where(read, ballots.argmax(axis=2), 0)
    spread = log(max(len(labels) - 1, 1))  # how much less likely one wrong label is than all of them
    skill_and_ease = np.ones(len(members) + len(ballots))
    for _ in range(STEPS):
        skill, ease = np.split(skill_and_ease, [len(members)])
        evidence = (np.exp(ease)[:, None] * skill + spread) * read
        scores = np.zeros((len(ballots), len(labels)))
        for member in range(len(members)):
            scores[np.arange(len(ballots)), chosen[:, member]] += evidence[:, member]
        truth = softmax_rows(scores)
        right = np.take_along_axis(truth, chosen, axis=1)
        skill_and_ease = _fit_skills(skill_and_ease, right, read)
    truth[~ballots.any(axis=(1, 2))] = 0.0
    return _to_answers(run, answers["id"].unique(maintain_order=True), labels, truth)


def _fit_skills(start: Floats, right: Floats, read: npt.NDArray[np.bool_]) -> Floats:
    """Improve skills, then eases, by a few steps towards the likeliest, given P(right), [question, member]."""
    from scipy.optimize import minimize  # type: ignore[import-untyped]
    from scipy.special import expit, log_expit  # type: ignore[import-untyped]

    def loss(both: Floats) -> tuple[float, Floats]:
        skill, ease = np.split(both, [right.shape[1]])
        power = np.exp(ease)[:, None]
        heights = power * skill
        likely = (right * log_expit(heights) + (1 - right) * log_expit(-heights))[read].sum()
        gap = (expit(heights) - right) * read
        slopes = np.concatenate([(gap * power).sum(axis=0), (gap * heights).sum(axis=1)])
        return float(np.square(both - 1).sum() / 2 - likely), slopes + both - 1

    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 10}).x)


def _make_all_ballots(answers: pl.DataFrame, most: int | None) -> tuple[list[str], list[str], Floats]:
    """Return members, labels and ballots, [question, member, label], of at most `most` questions drawn by chance."""
    members = list(answers["run"].unique(maintain_order=True))
    ids = answers["id"].unique(maintain_order=True)
    if most is not None and len(ids) > most:
        ids = ids.sample(most, seed=0)
    labels = list(answers["label"].drop_nulls().unique().sort())
    if not labels:
        raise BadInput("no run has an answer to any question")
    if len(labels) > MOST_CHOICES:
        raise BadInput(f"{len(labels)} different labels, where this method allows at most {MOST_CHOICES}")
    return members, labels, make_ballot_array(answers, ids, members, labels)


def _to_answers(run: str, ids: pl.Series, labels: list[str], truth: Floats) -> pl.DataFrame:
    wide = pl.DataFrame(truth, schema=labels).with_columns(id=ids, place=pl.int_range(len(ids)))
    long = wide.unpivot(labels, index=["place", "id"], variable_name="label", value_name="weight")
    unread = pl.col("weight").max().over("id") == 0
    kept = long.filter(pl.when(unread).then(pl.col("label") == labels[0]).otherwise(pl.col("weight") > 0))
    kept = kept.with_columns(label=pl.when(pl.col("weight") > 0).then("label"))
    ordered = kept.sort(["place", "weight", "label"], descending=[False, True, False])
    return ordered.select(pl.lit(run).alias("run"), "id", "label", "weight")
