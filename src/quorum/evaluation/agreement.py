"""Measure how well raters agree with human labels: Cohen's kappa with a bootstrap error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quorum.errors import BadInput, list_some
from quorum.evaluation.certainty import RESAMPLES, Values
from quorum.tables.open import read_raw_table
from quorum.tables.raw_table import cell_text


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelAgreement:
    """The agreement of a rater with the human labels of `n` rows.

    Attributes:
        part: the value of the column that the rows were grouped by; "" for all rows.
        agreed: share of rows with the same label.
        kappa: Cohen's kappa (1960): the agreement above chance; None if both use one label only.
        error: its bootstrap standard error over groups.
        low: lower end of the 95 % percentile interval.
        high: upper end.
    """

    rater: str
    part: str
    n: int
    agreed: float
    kappa: float | None
    error: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class LabelColumns:
    """Which columns hold the labels, and how to read them."""

    human: str
    raters: tuple[str, ...]
    by: str | None = None  # rows with the same value are also compared alone
    group: str | None = None  # rows that belong together, such as the responses to one prompt
    merge: Mapping[str, str]  # a label, and the one that it counts as


def measure_agreement(path: Path, columns: LabelColumns, seed: int = 42) -> list[LabelAgreement]:
    """Return the agreement of each rater with the human labels, over all rows and for each part.

    Raises:
        BadInput: a column does not exist, or a row has no label.
    """
    table = read_raw_table(path)
    named = [columns.human, *columns.raters, *filter(None, (columns.by, columns.group))]
    if missing := [name for name in named if name not in table.columns]:
        raise BadInput(f"{path}: no column {', '.join(missing)}; the columns are {list_some(list(table.columns), 20)}")
    if not table.rows:
        raise BadInput(f"{path}: the file has no rows")
    rows = [{name: cell_text(row.get(name)).strip() for name in named} for row in table.rows]
    for number, row in enumerate(rows, 1):
        if empty := [name for name in (columns.human, *columns.raters) if not row[name]]:
            raise BadInput(f"{path}, row {number}: no label in column {empty[0]}")
    groups = [row[columns.group] if columns.group else str(number) for number, row in enumerate(rows)]

    def read(name: str) -> list[str]:
        return [columns.merge.get(row[name], row[name]) for row in rows]

    human, found = read(columns.human), []
    parts = sorted({row[columns.by] for row in rows}) if columns.by else []
    for rater in columns.raters:
        labels = read(rater)
        for part in ("", *parts):
            chosen = [at for at, row in enumerate(rows) if not part or row[columns.by or ""] == part]
            own, other, clusters = ([values[at] for at in chosen] for values in (human, labels, groups))
            found.append(compute_agreement(own, other, clusters, rater=rater, part=part, seed=seed))
    return found


def compute_agreement(
    human: Sequence[str],
    other: Sequence[str],
    groups: Sequence[str],
    *,
    rater: str = "",
    part: str = "",
    seed: int = 42,
) -> LabelAgreement:
    """Return the agreement of two raters' labels of the same rows, with a seeded bootstrap over whole groups."""
    names = {name: code for code, name in enumerate(sorted({*human, *other}))}
    size = len(names)
    cells = [names[one] * size + names[two] for one, two in zip(human, other, strict=True)]
    codes: dict[str, int] = {}
    rows = [codes.setdefault(group, len(codes)) for group in groups]
    counts = np.zeros((len(codes), size * size))
    np.add.at(counts, (rows, cells), 1)
    times = np.random.default_rng(seed).multinomial(len(codes), np.full(len(codes), 1 / len(codes)), size=RESAMPLES)
    kappa = float(_compute_kappas(counts.sum(0)[None], size)[0])
    sampled = _compute_kappas(times @ counts, size)
    known = sampled[~np.isnan(sampled)]
    certain = not np.isnan(kappa) and len(codes) > 1
    low, high = (float(end) for end in np.percentile(known, (2.5, 97.5))) if certain else (None, None)
    return LabelAgreement(
        rater=rater,
        part=part,
        n=len(human),
        agreed=sum(one == two for one, two in zip(human, other, strict=True)) / len(human),
        kappa=None if np.isnan(kappa) else kappa,
        error=float(known.std(ddof=1)) if certain else None,
        low=low,
        high=high,
    )


def _compute_kappas(tables: Values, size: int) -> Values:
    """Return kappa of each flattened table of counts, shape (tables, size * size); NaN if one label is certain."""
    shares = tables.reshape(len(tables), size, size) / tables.sum(1)[:, None, None]
    agreed = np.trace(shares, axis1=1, axis2=2)
    chance = (shares.sum(2) * shares.sum(1)).sum(1)
    room = 1 - chance
    kappas: Values = np.divide(agreed - chance, room, out=np.full(len(tables), np.nan), where=room > 1e-12)
    return kappas
