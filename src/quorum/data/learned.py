"""Record in a model's folder which questions it was trained on, so that its answers to them are not taken for honest.

The record is a frame of every question of the split, and whether the model knows it. A question is known if it, or a
question of its cluster, was trained on or shown with its answer.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from quorum.data.split import Split
from quorum.errors import BadInput
from quorum.tables.parquet import read_parquet_file, write_parquet_file

LEARNED = pl.Schema({"id": pl.String, "learned": pl.Boolean})
_RECORD = "learned.parquet"


def write_learned(folder: Path, split: Split, ids: Iterable[str]) -> None:
    """Write the record of a model that learns from the questions with these ids."""
    cluster = dict(split.frame.select("id", "cluster").iter_rows())
    clusters = {cluster[id] for id in ids}
    _write_record({id: own in clusters for id, own in cluster.items()}, folder)


def copy_learned(folder: Path, out: Path, base: str | None = None) -> None:
    """Copy the record in one folder to another, if there is one.

    Args:
        base: the model that the training started from; what it has learned by its record, the new model knows too.
    """
    learned = dict(read_learned(folder) or {})
    for id, known in ((read_learned(Path(base)) or {}) if base else {}).items():
        learned[id] = known or learned.get(id, False)
    if learned:
        _write_record(learned, out)


def read_learned(folder: Path) -> Mapping[str, bool] | None:
    """Return whether a model knows each question of its split, by id; None if its folder has no record.

    Raises:
        BadInput: the record cannot be read.
    """
    path = folder / _RECORD
    if not path.is_file():
        return None
    frame = read_parquet_file(path)
    if frame.schema != LEARNED:
        raise BadInput(f"{path}: columns are {dict(frame.schema)}; expected are {dict(LEARNED)}")
    return dict(frame.iter_rows())


def _write_record(learned: Mapping[str, bool], folder: Path) -> None:
    write_parquet_file(pl.DataFrame(list(learned.items()), schema=LEARNED, orient="row"), folder / _RECORD)
