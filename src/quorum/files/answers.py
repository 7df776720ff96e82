"""Answers on disk and between stages: one Polars frame, one schema, in Parquet.

A row is one label of one ballot: (run, id, label, weight). A question that a run could not read has a single row whose
label is null and whose weight is 0: unread is written down, never left out. n runs over m questions vote in a group-by.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from quorum.ballot import Ballot
from quorum.disk import replace_file
from quorum.errors import BadInput, list_some

ANSWERS = pl.Schema({"run": pl.String, "id": pl.String, "label": pl.String, "weight": pl.Float64})


def make_answers(run: str, ballots: Mapping[str, Ballot]) -> pl.DataFrame:
    """The answers of one run: question id -> ballot, as a frame of schema `ANSWERS`, ids in the order given.

    Raises:
        BadInput: a weight is negative, infinite or not a number.
    """
    rows: list[tuple[str, str, str | None, float]] = []
    for id, ballot in ballots.items():
        rows += [(run, id, label, weight) for label, weight in ballot.items()] or [(run, id, None, 0.0)]
    return check_answers(pl.DataFrame(rows, schema=ANSWERS, orient="row"), f"run {run}")


def check_answers(answers: pl.DataFrame, where: str) -> pl.DataFrame:
    """`answers` itself, once it is known to be well formed.

    Raises:
        BadInput: other columns, a bad weight, a label twice in one ballot, a ballot that is both read and unread.
    """
    if answers.schema != ANSWERS:
        raise BadInput(f"{where}: columns {dict(answers.schema)}, where {dict(ANSWERS)} are expected")
    bad = answers.filter(
        ~pl.col("weight").is_finite()
        | (pl.col("weight") < 0)
        | pl.any_horizontal(pl.col("run", "id", "weight").is_null())
    )
    if len(bad):
        found = [
            f"{row['run']}/{row['id']}: {row['label']} {row['weight']}" for row in bad.head(9).iter_rows(named=True)
        ]
        raise BadInput(f"{where}: a weight must be finite and at least 0, found {list_some(found)}")
    ballot = ("run", "id")
    if answers.select(ballot).n_unique() == len(answers):  # a label a ballot, as most runs are
        return answers
    twice = answers.filter(
        pl.struct("run", "id", "label").is_duplicated()
        | (pl.col("label").is_null().any().over(ballot) & (pl.len().over(ballot) > 1))
    )
    if len(twice):
        found = [
            f"{row['run']}/{row['id']}"
            for row in twice.unique(ballot, maintain_order=True).head(9).iter_rows(named=True)
        ]
        raise BadInput(f"{where}: a ballot has each label once and is read or unread, not so {list_some(found)}")
    return answers


def write_answers(answers: pl.DataFrame, path: Path) -> None:
    """Writes answers as Parquet, whole or not at all."""
    with replace_file(path) as part:
        answers.write_parquet(part)


def read_answers(path: Path) -> pl.DataFrame:
    """The answers in a Parquet file.

    Raises:
        BadInput: it is no Parquet file, or its rows are not answers.
    """
    try:
        answers = pl.read_parquet(path)
    except pl.exceptions.ComputeError as error:
        raise BadInput(f"{path}: not a Parquet file: {error}") from None
    return check_answers(answers, str(path))


def ballots_from_answers(answers: pl.DataFrame) -> dict[str, Ballot]:
    """The ballots of one run: question id -> label -> weight, in the frame's order; unread is an empty ballot."""
    ballots: dict[str, Ballot] = {}
    for id, label, weight in answers.select("id", "label", "weight").iter_rows():
        ballot = ballots.setdefault(id, {})
        if label is not None:
            ballot[label] = weight
    return ballots
