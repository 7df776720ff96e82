"""Read the runs in a file of any tool, with labels as the file writes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from quorum.errors import BadInput
from quorum.files.answer_columns import AnswerColumns, find_answer_cells, find_kind, find_ranked_style, read_columns
from quorum.files.answers import ANSWERS, check_answers, read_answers
from quorum.files.cells import is_null
from quorum.files.form_setting import RankedStyle
from quorum.files.sample_columns import parse_share
from quorum.tables.parquet import read_parquet_columns

REPEAT = "(repeat {})"  # takes the place of a label that a ranked cell lists again, as on Kaggle
_REPEATS = r"^\(repeat \d+\)$"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRun:
    """One run's answers (schema `ANSWERS`), whose labels are not in canonical form yet.

    `canonical` labels are already A, B …: those of probability columns. `numbers` is another reading of a column of
    numbers from 0 to 1, which `frame` takes for the probability of "yes": the answers to open questions.
    """

    path: Path
    frame: pl.DataFrame
    canonical: bool = False
    numbers: pl.DataFrame | None = None

    @property
    def labels(self) -> set[str]:
        """The labels that are given, without the places of repeated ones."""
        given = self.frame["label"].drop_nulls().unique()
        return {label for label in given.to_list() if not label.startswith("(repeat ")}


def read_raw_runs(
    paths: Sequence[Path], column: str | None = None, report: Callable[[str], None] | None = None
) -> list[RawRun]:
    """Return the runs in all files, in the order of the files and of their columns.

    A file is one of these; an empty cell is unread:

    * an answers file (`.parquet`), of one or more runs;
    * a table of ids and one column of labels, or of ranked labels ("B A C"): one run, named after the file (and its
      folder, where names repeat);
    * a table of ids and several columns of labels: one run per column, named after the column;
    * a table of ids and a column of probabilities, or of 0 and 1, per choice: one run, named after the file.

    Args:
        column: the only column of answers in tables, in any case.
        report: takes a line on columns that hold no answers.

    Raises:
        BadInput: a file is none of these, or an id is empty or not unique.
    """
    runs: list[RawRun] = []
    for path in paths:
        alone = [other.stem for other in paths].count(path.stem) == 1
        name = path.stem if alone else str(path.with_suffix(""))
        runs += _read_file(path, name, column, report)
    return runs


def drop_repeats(answers: pl.DataFrame) -> pl.DataFrame:
    """Return answers without the places of labels that a ranked cell lists again."""
    labels = answers["label"].drop_nulls().unique()
    if not labels.str.contains(_REPEATS).any():
        return answers
    return answers.filter(~pl.col("label").str.contains(_REPEATS).fill_null(False))


def _read_file(path: Path, name: str, column: str | None, report: Callable[[str], None] | None) -> list[RawRun]:
    if path.suffix == ".parquet" and (answers := _read_answers_file(path)) is not None:
        return [RawRun(path=path, frame=run) for run in answers.partition_by("run", maintain_order=True)]
    ids, columns = read_columns(path)
    found = find_answer_cells(path, ids, columns, column)
    if report and found.aside:
        used = ", ".join(found.labels or found.ranking) or "probabilities"
        report(f"{path}: {used} read as answers; not used: {', '.join(found.aside)}")
    return _make_runs(path, name, found)


def _read_answers_file(path: Path) -> pl.DataFrame | None:
    """Return the answers in a Parquet file; None if it is another table."""
    names = read_parquet_columns(path)
    return read_answers(path) if {"run", "label", "weight"} <= names.keys() else None


def _make_runs(path: Path, name: str, found: AnswerColumns) -> list[RawRun]:
    if found.shares:
        return [RawRun(path=path, frame=_make_share_frame(path, name, found), canonical=True)]
    if found.ranking:
        rows = [
            [cell.strip() for cell in row if not is_null(cell)] for row in zip(*found.ranking.values(), strict=True)
        ]
        return [RawRun(path=path, frame=_make_ranked_frame(name, found.ids, rows))]
    runs = []
    for column, cells in found.labels.items():
        own = column if len(found.labels) > 1 else name
        kind = find_kind(cells)
        filled = [cell.strip() for cell in cells if not is_null(cell)]
        if kind == "share" and all(map(_is_probability, filled)):
            numbers = _make_ranked_frame(own, found.ids, _split_cells(cells, None))
            frame = _make_probability_frame(own, found.ids, cells)
            runs.append(RawRun(path=path, frame=frame, numbers=numbers))
            continue
        style = find_ranked_style(filled) if kind == "ranked" else None
        runs.append(RawRun(path=path, frame=_make_ranked_frame(own, found.ids, _split_cells(cells, style))))
    return runs


def _is_probability(cell: str) -> bool:
    share = parse_share(cell)
    return share is not None and 0 <= share <= 1


def _split_cells(cells: Sequence[str], style: RankedStyle | None) -> list[list[str]]:
    """Return the labels of each row; a null cell has none."""
    if style is None:
        return [[] if is_null(cell) else [cell.strip()] for cell in cells]
    return [[] if is_null(cell) else style.split(cell.strip()) for cell in cells]


def _make_ranked_frame(name: str, ids: Sequence[str], rows: Sequence[Sequence[str]]) -> pl.DataFrame:
    """Return a ballot for each row: the weight of a label is 1 / its rank."""
    found: list[tuple[str, str, str | None, float]] = []
    for id, labels in zip(ids, rows, strict=True):
        seen: set[str] = set()
        for rank, label in enumerate(labels, 1):
            found.append((name, id, REPEAT.format(rank) if label in seen else label, 1 / rank))
            seen.add(label)
        if not labels:
            found.append((name, id, None, 0.0))
    return pl.DataFrame(found, schema=ANSWERS, orient="row")


def _make_share_frame(path: Path, name: str, found: AnswerColumns) -> pl.DataFrame:
    """Return one ballot per row; labels of weight 0 have no row, and a ballot without weight is unread."""
    rows: list[tuple[str, str, str | None, float]] = []
    for number, (id, *cells) in enumerate(zip(found.ids, *found.shares.values(), strict=True), 1):
        count = len(rows)
        for label, cell in zip(found.shares, cells, strict=True):
            weight = 0.0 if is_null(cell) else parse_share(cell)
            if weight is None or weight < 0:
                raise BadInput(f"{path}, row {number} ({id}): {cell!r} for {label}; allowed are numbers from 0 on")
            if weight > 0:
                rows.append((name, id, label, weight))
        if len(rows) == count:
            rows.append((name, id, None, 0.0))
    return check_answers(pl.DataFrame(rows, schema=ANSWERS, orient="row"), str(path))


def _make_probability_frame(name: str, ids: Sequence[str], cells: Sequence[str]) -> pl.DataFrame:
    """Return the probability of one label as a ballot of "yes" and "no"."""
    rows: list[tuple[str, str, str | None, float]] = []
    for id, cell in zip(ids, cells, strict=True):
        share = None if is_null(cell) else parse_share(cell)
        if share is None:
            rows.append((name, id, None, 0.0))
        else:
            rows += [(name, id, "yes", share), (name, id, "no", 1 - share)]
    return pl.DataFrame(rows, schema=ANSWERS, orient="row")
