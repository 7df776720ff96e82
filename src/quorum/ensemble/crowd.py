"""Votes where no answer is known: members are judged by how they agree with each other."""

import numpy as np
import polars as pl

from quorum.ensemble.elect import Election
from quorum.ensemble.weigh import PRIOR_ASKED, PRIOR_RIGHT, Floats, ballot_array, with_few_labels
from quorum.errors import BadInput
from quorum.question import MOST_CHOICES

STEPS = 50
QUESTIONS_JUDGED = 20_000
CONFUSION_PRIOR = 0.01  # of one vote, for each pair of labels


def agreement(answers: pl.DataFrame) -> Election:
    """A weighted majority whose weights come from agreement alone: squared log-odds of estimated accuracies.

    The accuracies are those of a Dawid-Skene model with one number a member, by expectation maximisation from the
    majority. Squaring is ours: members that err together are over-trusted by that model, strong ones under-trusted.

    Raises:
        BadInput: no label at all.
    """
    members, labels, ballots = _all_ballots(with_few_labels(answers), QUESTIONS_JUDGED)
    read = ballots.any(axis=2).sum(axis=0)
    weights = np.ones(len(members))
    for _ in range(STEPS):
        truth = _softmax(np.einsum("qmk,m->qk", ballots, weights))
        accuracy = (np.einsum("qmk,qk->m", ballots, truth) + PRIOR_RIGHT) / (read + PRIOR_ASKED)
        weights = np.maximum(0.0, np.log(max(len(labels) - 1, 1) * accuracy / (1 - accuracy)))
    if not weights.any():
        weights = np.ones(len(members))
    order = np.argsort(-weights, kind="stable")
    return Election(
        "agreement", "votes", {members[place]: float(weights[place] ** 2) for place in order if weights[place] > 0}
    )


def dawid_skene(answers: pl.DataFrame, run: str = "dawid-skene") -> pl.DataFrame:
    """Each question's label probabilities under a confusion matrix a member (Dawid and Skene 1979), found by EM.

    Starts from the majority; one hundredth of a vote for each pair of labels keeps rare ones finite. Out comes a frame
    of run, id, label, weight, one ballot a question; one that no run read is unread. Needs questions x members x labels
    numbers in memory.

    Raises:
        BadInput: no label at all, or more than 26, as open questions have them.
    """
    if answers["label"].n_unique() > MOST_CHOICES:
        raise BadInput(f"{answers['label'].n_unique()} labels, where Dawid-Skene takes at most {MOST_CHOICES}")
    members, labels, ballots = _all_ballots(answers, None)
    truth = ballots.sum(axis=1) + 1e-9
    truth /= truth.sum(axis=1, keepdims=True)
    for _ in range(STEPS):
        confusion = np.einsum("qt,qmk->mtk", truth, ballots) + CONFUSION_PRIOR
        confusion /= confusion.sum(axis=2, keepdims=True)
        prior = truth.mean(axis=0) + 1e-12
        truth = _softmax(np.einsum("qmk,mtk->qt", ballots, np.log(confusion)) + np.log(prior))
    truth[~ballots.any(axis=(1, 2))] = 0.0
    ids = answers["id"].unique(maintain_order=True)
    return _as_answers(run, ids, labels, truth)


def _all_ballots(answers: pl.DataFrame, most: int | None) -> tuple[list[str], list[str], Floats]:
    members = list(answers["run"].unique(maintain_order=True))
    ids = answers["id"].unique(maintain_order=True)
    if most is not None and len(ids) > most:
        ids = ids.sample(most, seed=0)
    labels = list(answers["label"].drop_nulls().unique().sort())
    if not labels:
        raise BadInput("no run has an answer to any question")
    return members, labels, ballot_array(answers, ids, members, labels)


def _as_answers(run: str, ids: pl.Series, labels: list[str], truth: Floats) -> pl.DataFrame:
    wide = pl.DataFrame(truth, schema=labels).with_columns(id=ids, place=pl.int_range(len(ids)))
    long = wide.unpivot(labels, index=["place", "id"], variable_name="label", value_name="weight")
    nobody = pl.col("weight").max().over("id") == 0
    kept = long.filter(pl.when(nobody).then(pl.col("label") == labels[0]).otherwise(pl.col("weight") > 0))
    kept = kept.with_columns(label=pl.when(pl.col("weight") > 0).then("label"))
    ordered = kept.sort(["place", "weight", "label"], descending=[False, True, False])
    return ordered.select(pl.lit(run).alias("run"), "id", "label", "weight")


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
