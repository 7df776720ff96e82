"""Several runs' ballots into one: the majority, the mean of probabilities, the sum of log-probabilities.

Frames have the columns of an answers file: run, id, label, weight. What comes out is one ballot a question, its weights
summing to 1 and its labels heaviest first; a question that no run could read stays one row with a null label. Unread
ballots count as none. One run is a vote of one.

A tie goes to the label that the earliest run chose, runs standing in the order of `weights` or, without them, in which
the frame first names them: that label weighs a billionth more, so whoever ranks a ballot later breaks the tie alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import polars as pl

TIE_BREAK = 1e-9  # of one vote
SMALLEST_PROBABILITY = 0.01  # no run can rule a label out alone: logarithms take this for all that is less
LOG_DEPTH = -log(SMALLEST_PROBABILITY)

# two places in one number, on which Polars groups with far less time and memory than on two columns
_BALLOT = pl.col("id").cast(pl.UInt64) * 2**32 + pl.col("run")
_CHOICE = pl.col("id").cast(pl.UInt64) * 2**32 + pl.col("label")


@dataclass(frozen=True, slots=True)
class _Voices:
    """Ballots whose id, label and run are places in lists; `votes` of `rows` is what the run's voice counts."""

    ids: pl.Series
    labels: pl.Series
    rows: pl.DataFrame


def vote_majority(
    answers: pl.DataFrame, weights: Mapping[str, float] | None = None, run: str = "majority"
) -> pl.DataFrame:
    """A run votes for its heaviest label (of equal ones the first in the alphabet); `weights` are votes a run, else 1.

    A run that `weights` does not name has no vote.
    """
    voices = _voices(answers, weights)
    rows = voices.rows
    if _some_ballot_has_two_labels(rows):
        heaviest = rows.filter(pl.col("weight") == pl.col("weight").max().over(_BALLOT))
        rows = heaviest.filter(pl.col("label") == pl.col("label").min().over(_BALLOT))
    return _one_ballot(voices, _summed(rows, pl.col("votes")), run)


def average_probabilities(
    answers: pl.DataFrame, weights: Mapping[str, float] | None = None, run: str = "mean", geometric: bool = False
) -> pl.DataFrame:
    """Each ballot, its weights made to sum to 1, is a forecast; what comes out is their mean, arithmetic or geometric.

    A run that `weights` does not name has no part in it. The geometric mean (the logarithmic opinion pool, Genest and
    Zidek 1986) takes `SMALLEST_PROBABILITY` where a run gives a label less.
    """
    voices = _voices(answers, weights)
    rows = voices.rows
    if not geometric:
        return _one_ballot(voices, _summed(rows, pl.col("votes") * _probability(rows)), run)
    total = (
        rows.group_by(ballot=_BALLOT).agg(pl.col("id", "votes").first()).group_by("id").agg(total=pl.col("votes").sum())
    )
    rows = rows.join(total, on="id").with_columns(votes=pl.col("votes") / pl.col("total") * LOG_DEPTH)
    return _one_ballot(voices, _exponentials(rows), run)


def pool_logprobs(answers: pl.DataFrame, weights: Mapping[str, float], run: str = "log pool") -> pl.DataFrame:
    """Softmax of the summed log-probabilities; a weight is how many nats a run lifts a label of which it is sure.

    A label that a run gives `SMALLEST_PROBABILITY` or less is not lifted, one in between as its log-probability says.
    A run that `weights` does not name has no part in it.
    """
    voices = _voices(answers, weights)
    return _one_ballot(voices, _exponentials(voices.rows), run)


def temper_answers(answers: pl.DataFrame, temperatures: Mapping[str, float]) -> pl.DataFrame:
    """The answers, each ballot's probabilities to the power of 1 / its run's temperature; other runs stay as they are.

    A probability below `SMALLEST_PROBABILITY` counts as that, and a label without weight stays without.
    """
    known = {run: temperature for run, temperature in temperatures.items() if temperature != 1}
    if not known:
        return answers
    ballot = pl.col("weight").sum().over("run", "id")
    cooled = (pl.col("weight") / ballot).clip(SMALLEST_PROBABILITY) ** (1 / pl.col("temperature"))
    changed = pl.col("temperature").is_not_null() & (pl.col("weight") > 0)
    names = pl.DataFrame({"run": list(known), "temperature": list(known.values())})
    joined = answers.join(names, on="run", how="left", maintain_order="left")
    return joined.select("run", "id", "label", pl.when(changed).then(cooled).otherwise("weight").alias("weight"))


def _voices(answers: pl.DataFrame, weights: Mapping[str, float] | None) -> _Voices:
    """The rows that carry weight, of the runs that have votes."""
    runs = answers["run"].unique(maintain_order=True)
    if weights is None:
        weights = dict.fromkeys(runs, 1.0)
    order = [*weights, *(name for name in runs if name not in weights)]
    votes = pl.Series([*weights.values(), *[0.0] * (len(order) - len(weights))], dtype=pl.Float64)
    ids, labels = answers["id"].unique(maintain_order=True), answers["label"].drop_nulls().unique().sort()
    # whole numbers in place of texts: 20 million rows then take a fifth of the memory, and group four times as fast
    rows = answers.select(
        pl.col("id").cast(pl.Enum(ids)).to_physical().cast(pl.UInt32),
        pl.col("label").cast(pl.Enum(labels)).to_physical().cast(pl.UInt32),
        pl.col("run").cast(pl.Enum(order)).to_physical().cast(pl.UInt32),
        "weight",
    ).with_columns(votes=pl.lit(votes).gather(pl.col("run")))
    return _Voices(ids, labels, rows.filter(pl.col("weight") > 0, pl.col("label").is_not_null(), pl.col("votes") > 0))


def _some_ballot_has_two_labels(rows: pl.DataFrame) -> bool:
    return int(rows.select(_BALLOT.n_unique()).item()) < len(rows)


def _probability(rows: pl.DataFrame) -> pl.Expr:
    if _some_ballot_has_two_labels(rows):
        return pl.col("weight") / pl.col("weight").sum().over(_BALLOT)
    return pl.lit(1.0)


def _summed(rows: pl.DataFrame, share: pl.Expr) -> pl.DataFrame:
    """Each label's shares added up, and the first run that gave any: id, label, share, run."""
    shares = rows.select(_CHOICE.alias("choice"), share.alias("share"), "run")
    summed = shares.group_by("choice").agg(pl.col("share").sum(), pl.col("run").min())
    return summed.select(
        (pl.col("choice") // 2**32).cast(pl.UInt32).alias("id"),
        (pl.col("choice") % 2**32).cast(pl.UInt32).alias("label"),
        "share",
        "run",
    )


def _exponentials(rows: pl.DataFrame) -> pl.DataFrame:
    """Each label's summed lift as a share: its exponential, the highest of a question being 1."""
    # 1 for a label of which a run is sure, 0 for one that it gives the smallest probability, or no row at all
    height = (_probability(rows).clip(SMALLEST_PROBABILITY) / SMALLEST_PROBABILITY).log() / LOG_DEPTH
    summed = _summed(rows, pl.col("votes") * height)
    return summed.with_columns(share=(pl.col("share") - pl.col("share").max().over("id")).exp())


def _one_ballot(voices: _Voices, shares: pl.DataFrame, run: str) -> pl.DataFrame:
    """The ballots that `shares` (id, label, share, run) are, for every id and in their order."""
    total = shares.group_by("id").agg(total=pl.col("share").sum(), extra=(TIE_BREAK / (1 + pl.col("run"))).sum())
    every = pl.DataFrame({"id": range(len(voices.ids))}, schema={"id": pl.UInt32})
    share = pl.col("share") / pl.col("total") + TIE_BREAK / (1 + pl.col("run"))
    ballots = (
        every.join(shares.join(total, on="id"), on="id", how="left")
        .select("id", "label", (share / (1 + pl.col("extra"))).alias("weight"))
        .sort(["id", "weight", "label"], descending=[False, True, False])
    )
    return ballots.select(
        pl.lit(run).alias("run"),
        pl.lit(voices.ids).gather(pl.col("id")).alias("id"),
        pl.lit(voices.labels).gather(pl.col("label")).alias("label"),
        pl.col("weight").fill_null(0.0),
    )
