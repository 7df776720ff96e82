"""Several runs' ballots into one: the majority, and the mean of probabilities.

Frames have the columns of an answers file: run, id, label, weight. What comes out is one ballot a question, its weights
summing to 1 and its labels heaviest first; a question that no run could read stays one row with a null label. Unread
ballots count as none. One run is a vote of one.

A tie goes to the label that the earliest run chose, runs standing in the order of `weights` or, without them, in which
the frame first names them: that label weighs a billionth more, so whoever ranks a ballot later breaks the tie alike.
"""

from collections.abc import Mapping
from math import log

import polars as pl

TIE_BREAK = 1e-9  # of one vote
SMALLEST_PROBABILITY = 0.01  # no run can rule a label out alone: logarithms take this for all that is less
LOG_DEPTH = -log(SMALLEST_PROBABILITY)

_PROBABILITY = pl.col("weight") / pl.col("weight").sum().over("run", "id")
# 1 for a label of which a run is sure, 0 for one that it gives the smallest probability, or no row at all
_HEIGHT = (_PROBABILITY.clip(SMALLEST_PROBABILITY) / SMALLEST_PROBABILITY).log() / LOG_DEPTH


def majority(answers: pl.DataFrame, weights: Mapping[str, float] | None = None, run: str = "majority") -> pl.DataFrame:
    """A run votes for its heaviest label (of equal ones the first in the alphabet); `weights` are votes a run, else 1.

    A run that `weights` does not name has no vote.
    """
    read = _read_rows(answers, weights)
    heaviest = read.filter(pl.col("weight") == pl.col("weight").max().over("run", "id"))
    votes = heaviest.group_by("run", "id", maintain_order=True).agg(
        pl.col("label").min(), pl.col("votes", "order").first()
    )
    return _one_ballot(answers, votes.rename({"votes": "share"}), run)


def mean_probability(
    answers: pl.DataFrame, weights: Mapping[str, float] | None = None, run: str = "mean", geometric: bool = False
) -> pl.DataFrame:
    """Each ballot, its weights made to sum to 1, is a forecast; what comes out is their mean, arithmetic or geometric.

    A run that `weights` does not name has no part in it. The geometric mean (the logarithmic opinion pool, Genest and
    Zidek 1986) takes `SMALLEST_PROBABILITY` where a run gives a label less.
    """
    read = _read_rows(answers, weights)
    if not geometric:
        return _one_ballot(answers, read.with_columns(share=pl.col("votes") * _PROBABILITY), run)
    total = read.group_by("id", "run").agg(pl.col("votes").first()).group_by("id").agg(total=pl.col("votes").sum())
    heights = read.join(total, on="id").with_columns(share=pl.col("votes") / pl.col("total") * _HEIGHT)
    return _one_ballot(answers, _exponentials(heights.with_columns(pl.col("share") * LOG_DEPTH)), run)


def log_pool(answers: pl.DataFrame, weights: Mapping[str, float], run: str = "log pool") -> pl.DataFrame:
    """Softmax of the summed log-probabilities; a weight is how many nats a run lifts a label of which it is sure.

    A label that a run gives `SMALLEST_PROBABILITY` or less is not lifted, one in between as its log-probability says.
    A run that `weights` does not name has no part in it.
    """
    read = _read_rows(answers, weights)
    return _one_ballot(answers, _exponentials(read.with_columns(share=pl.col("votes") * _HEIGHT)), run)


def _read_rows(answers: pl.DataFrame, weights: Mapping[str, float] | None) -> pl.DataFrame:
    """The rows that carry weight, with each run's `votes` (above 0) and its `order`, from 0."""
    if weights is None:
        weights = dict.fromkeys(answers["run"].unique(maintain_order=True), 1.0)
    members = pl.DataFrame(
        {"run": list(weights), "votes": list(weights.values()), "order": range(len(weights))},
        schema={"run": pl.String, "votes": pl.Float64, "order": pl.UInt32},
    ).filter(pl.col("votes") > 0)
    return answers.filter(pl.col("weight") > 0, pl.col("label").is_not_null()).join(
        members, on="run", maintain_order="left"
    )


def _exponentials(lifts: pl.DataFrame) -> pl.DataFrame:
    """Each label's summed lift as a share: its exponential, the highest of a question being 1."""
    summed = lifts.group_by("id", "label").agg(pl.col("share").sum(), pl.col("order").min())
    return summed.with_columns(share=(pl.col("share") - pl.col("share").max().over("id")).exp())


def _one_ballot(answers: pl.DataFrame, shares: pl.DataFrame, run: str) -> pl.DataFrame:
    """The ballots that `shares` (id, label, share, order) add up to, for every id of `answers` and in their order."""
    summed = shares.group_by("id", "label").agg(pl.col("share").sum(), pl.col("order").min())
    share = pl.col("share") / pl.col("share").sum().over("id")
    weighed = summed.with_columns(weight=share + TIE_BREAK / (1 + pl.col("order")))
    normal = weighed.with_columns(weight=pl.col("weight") / pl.col("weight").sum().over("id"))
    ids = answers.select(pl.col("id").unique(maintain_order=True)).with_row_index("place")
    ballots = ids.join(normal, on="id", how="left").sort(["place", "weight", "label"], descending=[False, True, False])
    return ballots.select(pl.lit(run).alias("run"), "id", "label", pl.col("weight").fill_null(0.0))
