"""What a vote is worth: labelled questions voted on by elections that did not see them."""

from collections.abc import Hashable, Mapping

import numpy as np
import polars as pl

from quorum.judge.ensemble.select import FEWEST_LABELLED, apply_rule, select_rule
from quorum.judge.ensemble.weighting import collect_labelled_ballots

CROSS_FOLDS = 5
FEWEST_TO_CROSS = 4 * FEWEST_LABELLED  # labelled questions; with fewer, too little is left to fit on


def cross_fit_votes(
    answers: pl.DataFrame,
    gold: pl.DataFrame,
    cluster: Mapping[str, Hashable] | None = None,
    method: str | None = None,
    run: str = "vote",
) -> pl.DataFrame:
    """A ballot for every question of `gold` (columns id, answer), from an election held on the others: run, id, label,
    weight.

    Method and weights are chosen on four fifths and cast on the fifth that had no part in it. Questions of one
    `cluster` (by id; each its own without) stand in one fifth. Folds are drawn with a fixed seed.

    Raises:
        BadInput: fewer than 10 labelled questions are left to fit on, or no such method.
    """
    ids = gold["id"].to_list()
    clusters = [id if cluster is None else cluster[id] for id in ids]
    distinct = sorted(set(clusters), key=str)
    drawn = np.random.default_rng(0).permutation(len(distinct)) % CROSS_FOLDS
    fold_of = dict(zip(distinct, drawn.tolist(), strict=True))
    fold = pl.DataFrame({"id": ids, "fold": [fold_of[one] for one in clusters]}, schema_overrides={"id": pl.String})
    votes = []
    for one in range(CROSS_FOLDS):
        own, rest = fold.filter(pl.col("fold") == one), fold.filter(pl.col("fold") != one)
        election = select_rule(collect_labelled_ballots(answers, gold.join(rest, on="id", how="semi")), method)
        votes.append(apply_rule(answers.join(own, on="id", how="semi"), election, run=run))
    return gold.select("id").join(pl.concat(votes), on="id", maintain_order="left_right").select(votes[0].columns)
