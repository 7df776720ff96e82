"""Store answers as one Polars frame with one schema, in memory and as Parquet.

A row is one label of one ballot: (run, id, label, weight). An unread question has a single row with a null label and
weight 0: it is never left out. So runs vote in a group-by.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from quorum.ballot import Ballot
from quorum.errors import BadInput, list_some
from quorum.tables.parquet import read_parquet_file, write_parquet_file

ANSWERS = pl.Schema({"run": pl.String, "id": pl.String, "label": pl.String, "weight": pl.Float64})


def make_answers(run: str, ballots: Mapping[str, Ballot]) -> pl.DataFrame:
    """Return one run's ballots (by question id) as a frame with schema `ANSWERS`, ids in the given order.

    Raises:
        BadInput: a weight is negative, infinite or NaN.
    """
    rows: list[tuple[str, str, str | None, float]] = []
    for id, ballot in ballots.items():
        rows += [(run, id, label, weight) for label, weight in ballot.items()] or [(run, id, None, 0.0)]
    return check_answers(pl.DataFrame(rows, schema=ANSWERS, orient="row"), f"run {run}")


def check_answers(answers: pl.DataFrame, where: str) -> pl.DataFrame:
    """Return `answers` unchanged after checking that they are well formed; `where` starts the error message.

    Raises:
        BadInput: columns differ from `ANSWERS`, a weight is invalid, a ballot has a label twice, or it has labels and
            also an unread row.
    """
    if answers.schema != ANSWERS:
        raise BadInput(f"{where}: columns are {dict(answers.schema)}; expected are {dict(ANSWERS)}")
    bad = answers.filter(
        ~pl.col("weight").is_finite()
        | (pl.col("weight") < 0)
        | pl.any_horizontal(pl.col("run", "id", "weight").is_null())
    )
    if len(bad):
        found = [
            f"{row['run']}/{row['id']}: {row['label']} {row['weight']}" for row in bad.head(9).iter_rows(named=True)
        ]
        raise BadInput(f"{where}: weights must be finite and at least 0; found {list_some(found)}")
    ballot = ("run", "id")
    if answers.select(ballot).n_unique() == len(answers):  # one label per ballot, as in most runs
        return answers
    invalid = answers.filter(
        pl.struct("run", "id", "label").is_duplicated()
        | (pl.col("label").is_null().any().over(ballot) & (pl.len().over(ballot) > 1))
    )
    if len(invalid):
        found = [
            f"{row['run']}/{row['id']}"
            for row in invalid.unique(ballot, maintain_order=True).head(9).iter_rows(named=True)
        ]
        raise BadInput(f"{where}: a ballot has a label twice, or labels and an unread row: {list_some(found)}")
    return answers


def write_answers(answers: pl.DataFrame, path: Path) -> None:
    """Write answers as Parquet, atomically."""
    write_parquet_file(answers, path)


def read_answers(path: Path) -> pl.DataFrame:
    """Return the answers in a Parquet file.

    Raises:
        BadInput: it is not a Parquet file, or its rows are not answers.
    """
    return check_answers(read_parquet_file(path), str(path))


def ballots_from_answers(answers: pl.DataFrame) -> dict[str, Ballot]:
    """Return the ballots of one run by question id, in the frame's order; an unread question has an empty ballot."""
    ballots: dict[str, Ballot] = {}
    for id, label, weight in answers.select("id", "label", "weight").iter_rows():
        ballot = ballots.setdefault(id, {})
        if label is not None:
            ballot[label] = weight
    return ballots
