"""Read the runs of any tool as answers: our Parquet, or a CSV of letters or of probabilities."""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import polars as pl

from quorum.errors import BadInput, list_some
from quorum.files.answers import ANSWERS, check_answers, read_answers
from quorum.files.cells import find_id_column, is_null, parse_cell_number, read_cells
from quorum.question import letters

# "A", "prob_a", "pA", "A_prob", "P(A)", "option_A"
_PROBABILITY_WORD = r"(?i:p|prob|probability|score|conf|confidence|option|choice)"
_PROBABILITY_COLUMN = re.compile(
    rf"(?:{_PROBABILITY_WORD}[_\s.-]?)?(\()?([A-Za-z])(?(1)\))(?:[_\s.-]{_PROBABILITY_WORD})?", re.ASCII
)
_SHARE = re.compile(r"-?\d*\.\d+(e-?\d+)?|-?\d+(\.\d+)?%|-\d+|[01]|\d(\.\d+)?e-\d+", re.ASCII | re.IGNORECASE)


def read_runs(paths: Sequence[Path]) -> pl.DataFrame:
    """Return the answers in all files, with runs and ids in the order of the files.

    A file is one of these; an empty cell is unread, and a label of one letter is read in upper case:

    * an answers file (`.parquet`), of one or more runs;
    * a CSV of ids and one column of labels: one run, named after the file (and its folder, where names repeat);
    * a CSV of ids and several columns of labels: one run per column, named after the column;
    * a CSV of ids and a column of probabilities per choice ("A", "prob_a", "P(A)"): one run, named after the file.

    One run's answers to different questions may be in several files.

    Raises:
        BadInput: a file is none of these, columns of numbers do not say which choice they are for, an id is empty or
            not unique, two files answer the same question for the same run, or runs share less than half of their
            questions.
    """
    found: list[tuple[Path, pl.DataFrame]] = []
    for path in paths:
        alone = [other.stem for other in paths].count(path.stem) == 1
        name = path.stem if alone else str(path.with_suffix(""))
        found += [
            (path, run)
            for run in (_read_parquet_runs(path) if path.suffix == ".parquet" else _read_csv_runs(path, name))
        ]
    if not found:
        raise BadInput(f"{list_some([str(path) for path in paths])}: no run")
    runs = _merge_files(found)
    _check_ids(runs)
    return pl.concat(runs)


def read_labels(path: Path, column: str) -> dict[str, str]:
    """Return the labels in a column of a CSV file by id; ids with an empty cell are left out.

    Args:
        column: the name of the column in lower case; the file may write it in any case.

    Raises:
        BadInput: there is no such column, or an id is empty or occurs twice.
    """
    ids, columns = _read_columns(path)
    cells = next((cells for name, cells in columns.items() if name.strip().casefold() == column), None)
    if cells is None:
        raise BadInput(f"{path}: no column {column!r} beside the ids; the others are {', '.join(columns) or 'none'}")
    return {id: label for id, cell in zip(ids, cells, strict=True) if (label := _parse_label_cell(cell)) is not None}


def _read_parquet_runs(path: Path) -> list[pl.DataFrame]:
    label = pl.col("label").str.strip_chars()
    upper = pl.when(label.str.len_chars() == 1).then(label.str.to_uppercase()).otherwise(label).alias("label")
    return check_answers(read_answers(path).with_columns(upper), str(path)).partition_by("run", maintain_order=True)


def _read_csv_runs(path: Path, name: str) -> list[pl.DataFrame]:
    ids, columns = _read_columns(path)
    if not columns:
        raise BadInput(f"{path}: only a column of ids; a column of labels is expected beside it, separated by a comma")
    probabilities = _find_probability_columns(path, columns)
    if probabilities:
        return [_make_probability_run(path, name, ids, probabilities)]
    if len(columns) > 1 and all(map(_holds_only_shares, columns.values())):
        raise BadInput(
            f"{path}: columns {list_some(list(columns))} hold numbers, and their names are not labels; probabilities"
            " need a column for each of A, B … (or prob_A …)"
        )
    names = list(columns) if len(columns) > 1 else [name]
    return [_make_label_run(name, ids, cells) for name, cells in zip(names, columns.values(), strict=True)]


def _read_columns(path: Path) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Return the ids and the other columns of a CSV file."""
    table = read_cells(path)
    rows = table.check_rows()
    if not rows:
        raise BadInput(f"{path}: no rows below the header")
    columns = dict(zip(table.header, zip(*rows, strict=True), strict=True))
    ids = list(columns.pop(find_id_column(table.header)))
    seen: set[str] = set()
    for number, id in enumerate(ids, 1):
        if not id.strip() or id in seen:
            fault = "repeated" if id in seen else "empty"
            raise BadInput(f"{path}, row {number}: id {id!r} is {fault}; every id must be filled and unique")
        seen.add(id)
    return ids, columns


def _parse_label_cell(cell: str) -> str | None:
    text = cell.strip()
    if is_null(text):
        return None
    return text.upper() if len(text) == 1 else text


def _find_probability_columns(path: Path, columns: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return the columns by label if they are named after A, B … and hold numbers; else none."""
    named = {
        match[2].upper(): cells
        for name, cells in columns.items()
        if (match := _PROBABILITY_COLUMN.fullmatch(name.strip()))
    }
    if not {"A", "B"} & set(named) or not any(map(_starts_with_a_number, named.values())):
        return {}
    if len(named) < max(2, len(columns)) or set(named) != set(letters(len(named))):
        raise BadInput(
            f"{path}: columns {', '.join(columns)}; probabilities need a column for each of A, B … and no other column"
        )
    return named


def _starts_with_a_number(cells: Sequence[str]) -> bool:
    return parse_cell_number(next((cell.strip() for cell in cells if not is_null(cell)), "")) is not None


def _holds_only_shares(cells: Sequence[str]) -> bool:
    """Return whether all cells are shares, percentages or logarithms, and not all 0 or 1: these are not labels."""
    filled = [cell.strip() for cell in cells if not is_null(cell)]
    return all(map(_SHARE.fullmatch, filled)) and not all(cell in "01" for cell in filled)


def _make_label_run(name: str, ids: Sequence[str], cells: Sequence[str]) -> pl.DataFrame:
    labels = [_parse_label_cell(cell) for cell in cells]
    weights = [0.0 if label is None else 1.0 for label in labels]
    columns = {"run": [name] * len(ids), "id": ids, "label": labels, "weight": weights}
    return pl.DataFrame(columns, schema=ANSWERS)


def _make_probability_run(
    path: Path, name: str, ids: Sequence[str], columns: Mapping[str, Sequence[str]]
) -> pl.DataFrame:
    """Return one ballot per row; labels of weight 0 have no row, and a ballot without weight is unread."""
    rows: list[tuple[str, str, str | None, float]] = []
    for number, (id, *cells) in enumerate(zip(ids, *columns.values(), strict=True), 1):
        count = len(rows)
        for label, cell in zip(columns, cells, strict=True):
            weight = 0.0 if is_null(cell) else parse_cell_number(cell.strip())
            if weight is None or weight < 0:
                raise BadInput(f"{path}, row {number} ({id}): {cell!r} for {label}; allowed are numbers from 0 on")
            if weight > 0:
                rows.append((name, id, label, weight))
        if len(rows) == count:
            rows.append((name, id, None, 0.0))
    return check_answers(pl.DataFrame(rows, schema=ANSWERS, orient="row"), str(path))


def _merge_files(found: Sequence[tuple[Path, pl.DataFrame]]) -> list[pl.DataFrame]:
    """Return one frame per run; refuse a run whose answers to a question are in two files, which would count twice."""
    by_name: dict[str, list[tuple[Path, pl.DataFrame]]] = {}
    for path, run in found:
        by_name.setdefault(run["run"][0], []).append((path, run))
    for name, parts in by_name.items():
        for (path, one), (other_path, other) in combinations(parts, 2):
            if len(one.join(other, on="id", how="semi")):
                raise BadInput(
                    f"{path} and {other_path}: both hold answers of run {name}, which would vote twice; "
                    "another run needs another name (its setting `run`, or its column)"
                )
    return [pl.concat([run for _, run in parts]) for parts in by_name.values()]


def _check_ids(runs: Sequence[pl.DataFrame]) -> None:
    """Refuse runs that share few questions: they answer different files. A run may lack some; they are unread."""
    first = runs[0].select("id").unique()
    for run in runs[1:]:
        own = run.select("id").unique()
        shared = len(own.join(first, on="id", how="semi"))
        if shared * 2 < max(len(own), len(first)):
            names = f"runs {runs[0]['run'][0]!r} and {run['run'][0]!r}"
            alone = pl.concat([own.join(first, on="id", how="anti"), first.join(own, on="id", how="anti")])["id"].sort()
            raise BadInput(
                f"{names} share {shared} of {shared + len(alone)} questions; only one of them has"
                f" {list_some([repr(id) for id in alone.head(5)])}"
            )
