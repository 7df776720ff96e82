"""Votes on labelled questions, each by a rule that was selected without it: what a vote is worth."""

from collections.abc import Callable, Hashable, Mapping

import numpy as np
import polars as pl

from quorum.judge.ensemble.rule import VotingRule

CROSS_FOLDS = 5


def cross_fit_votes(
    answers: pl.DataFrame,
    gold: pl.DataFrame,
    clusters: Mapping[str, Hashable],
    select: Callable[[pl.DataFrame], VotingRule],
    count: Callable[[pl.DataFrame, VotingRule], pl.DataFrame],
) -> pl.DataFrame:
    """Return a ballot for each question of `gold` in `answers`, by a rule selected on the other folds.

    Args:
        gold: columns id, answer.
        clusters: questions of one cluster stay in one fold; a question that is not named is its own cluster.
        select: returns the rule for part of `gold`.
        count: returns the ballots that a rule makes of some answers: run, id, label, weight.
    """
    ids = gold["id"].to_list()
    own_clusters = [clusters.get(id, id) for id in ids]
    distinct = sorted(set(own_clusters), key=str)
    drawn = np.random.default_rng(0).permutation(len(distinct)) % CROSS_FOLDS
    fold_of = dict(zip(distinct, drawn.tolist(), strict=True))
    fold = pl.DataFrame({"id": ids, "fold": [fold_of[one] for one in own_clusters]}, schema_overrides={"id": pl.String})
    votes = []
    for one in fold["fold"].unique().sort():
        held, rest = fold.filter(pl.col("fold") == one), fold.filter(pl.col("fold") != one)
        rule = select(gold.join(rest, on="id", how="semi", maintain_order="left"))
        votes.append(count(answers.join(held, on="id", how="semi", maintain_order="left"), rule))
    return gold.select("id").join(pl.concat(votes), on="id", maintain_order="left_right").select(votes[0].columns)
