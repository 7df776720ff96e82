"""Find the columns of a table that hold answers: a run's labels, ranked labels, or probabilities."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quorum.data.yes_no import find_yes_no_pair
from quorum.errors import BadInput, list_some
from quorum.files.cells import find_id_column, is_null, refuse_missing_header
from quorum.files.form_setting import RankedStyle, split_ranked_cells
from quorum.files.label_style import are_indices, are_letters, find_symbols
from quorum.files.sample_columns import CellColumns, is_answer_name, is_ranking, parse_share, read_column_labels
from quorum.question import letters
from quorum.tables.text_table import read_text_table

_INDEX_NAMES = ("", "unnamed: 0", "index", "column_1")
_SHARE = re.compile(r"-?\d*[.,]\d+(e-?\d+)?|-?\d+([.,]\d+)?%|-\d+|[01]|\d(\.\d+)?e-\d+", re.ASCII | re.IGNORECASE)
_CONFIDENCE = re.compile(r".*(conf|prob|score|weight|margin|entropy|time|second|cost|certainty).*", re.IGNORECASE)
_SUM_TOLERANCE = 0.02
# "A", "prob_a", "pA", "A_prob", "P(A)", "option_A"
_PROBABILITY_WORD = r"(?i:p|prob|probability|score|conf|confidence|option|choice)"
_PROBABILITY_COLUMN = re.compile(
    rf"(?:{_PROBABILITY_WORD}[_\s.-]?)?(\()?([A-Za-z])(?(1)\))(?:[_\s.-]{_PROBABILITY_WORD})?", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerColumns:
    """The columns of a table of answers, by their part in them.

    Attributes:
        ids: the id of each row.
        labels: columns of labels, or of several labels in a cell: a run each.
        ranking: columns that rank labels, the best first: one run together.
        shares: columns of probabilities by label: one run together.
        aside: the names of the columns that hold no answers.
    """

    ids: Sequence[str]
    labels: CellColumns
    ranking: CellColumns
    shares: CellColumns
    aside: tuple[str, ...]


def read_columns(path: Path) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Return the ids and the other columns of a table, as text.

    Raises:
        BadInput: the file cannot be read, has no header or no rows, or an id is empty or not unique.
    """
    table = read_text_table(path)
    header, rows = table.header, table.rows
    if not rows:
        raise BadInput(f"{path}: no rows below the header")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    own = find_id_column(header)
    named = [own, *(name for name in header if re.fullmatch(r"(.*[_\s-])?(?i:id)|.*[a-z]I[dD]", name.strip()))]
    id_column = next((name for name in named if _are_unique(columns[name])), own)
    ids = list(columns.pop(id_column))
    refuse_missing_header(path, id_column, ids)
    seen: set[str] = set()
    for number, id in enumerate(ids, 1):
        if not id.strip() or id in seen:
            fault = "repeated" if id in seen else "empty"
            raise BadInput(f"{path}, row {number}: id {id!r} is {fault}; every id must be filled and unique")
        seen.add(id)
    return ids, columns


def find_answer_cells(path: Path, ids: Sequence[str], columns: CellColumns, column: str | None = None) -> AnswerColumns:
    """Decide which columns hold answers, by their contents; names like "answer" are hints.

    Args:
        column: the name of the only column to use, in any case.

    Raises:
        BadInput: there is none, or two columns could each be the answer.
    """
    names = {name.strip().casefold(): name for name in columns}
    if column is not None:
        if column.strip().casefold() not in names:
            raise BadInput(
                f"{path}: no column {column!r} beside the ids; the others are {', '.join(columns) or 'none'}"
            )
        name = names[column.strip().casefold()]
        return _answer_columns(ids, columns, labels={name: columns[name]})
    free = {name: cells for name, cells in columns.items() if not _is_index(name, cells) and not _is_usage(cells)}
    if not free:
        raise BadInput(f"{path}: only a column of ids; a column of labels is expected beside it, separated by a comma")
    shares = _find_shares(path, free)
    chosen = _choose_label_columns(path, {name: free[name] for name in free if name not in shares.values()})
    by_label = {label: columns[name] for label, name in shares.items()}
    options = any(map(is_answer_name, chosen)) and not _sum_to_one(list(by_label.values()))  # that are numbers
    if shares and not options:
        _refuse_contradiction(path, by_label, chosen)
        return _answer_columns(ids, columns, shares=by_label, share_names=tuple(shares.values()))
    if len(chosen) > 1 and is_ranking(tuple(chosen)) and _are_distinct(chosen):
        return _answer_columns(ids, columns, ranking=chosen)
    if not chosen:
        raise BadInput(f"{path}: none of the columns {', '.join(columns)} holds answers; name one with --column")
    return _answer_columns(ids, columns, labels=chosen)


def _answer_columns(
    ids: Sequence[str],
    columns: CellColumns,
    labels: CellColumns | None = None,
    ranking: CellColumns | None = None,
    shares: CellColumns | None = None,
    share_names: tuple[str, ...] = (),
) -> AnswerColumns:
    used = {*(labels or {}), *(ranking or {}), *share_names}
    return AnswerColumns(
        ids=ids,
        labels=labels or {},
        ranking=ranking or {},
        shares=shares or {},
        aside=tuple(name or "unnamed" for name in columns if name not in used),
    )


def _choose_label_columns(path: Path, columns: CellColumns) -> CellColumns:
    """Return the columns of labels: the one called answer, else all whose cells are labels, else the only text."""
    kinds = {name: find_kind(cells) for name, cells in columns.items()}
    named = [name for name in columns if is_answer_name(name) and kinds[name] != "share"]
    if len(named) == 1:
        own = {cell.strip() for cell in columns[named[0]] if not is_null(cell)}
        rivals = [name for name in columns if name != named[0] and kinds[name] != "share"]
        rivals = [name for name in rivals if _is_rival({c.strip() for c in columns[name] if not is_null(c)}, own)]
        if not rivals:
            return {named[0]: columns[named[0]]}
        raise BadInput(f"{path}: columns {', '.join([named[0], *rivals])} could each be the answer; name one: --column")
    if len(named) > 1:
        raise BadInput(f"{path}: columns {', '.join(named)} could each be the answer; name one: --column")
    unnamed = [name for name in columns if kinds[name] == "share" and not _CONFIDENCE.fullmatch(name.strip())]
    numbers = ("whole", "share") if unnamed and len(columns) > 1 else ("whole",)
    for kind in (("label", "ranked"), numbers, ("blank",), ("text",), ("share",)):
        found = {name: columns[name] for name in columns if kinds[name] in kind}
        if len(found) > 1 and kind == ("text",):
            raise BadInput(f"{path}: columns {', '.join(found)} could each be the answer; name one: --column")
        if len(found) > 1 and "share" in kind:
            raise BadInput(
                f"{path}: columns {list_some(list(found))} hold numbers, and their names are not labels; probabilities"
                " need a column for each of A, B … (or prob_A …)"
            )
        if found:
            return found
    return {}


def find_ranked_style(cells: Sequence[str]) -> RankedStyle | None:
    """Return how cells list labels; None if they do not. Numbers, which answer open questions, may be among them."""
    lists = [cell for cell in cells if not re.fullmatch(r"[+-]?\d+(\.\d+)?", cell)]
    split = split_ranked_cells(lists) if lists else None
    return split[0] if split else None


def find_kind(cells: Sequence[str]) -> str:
    """Return what the cells of a column are: label, ranked, whole (numbers), share, text or blank."""
    filled = list(dict.fromkeys(cell.strip() for cell in cells if not is_null(cell)))
    if not filled:
        return "blank"
    if are_letters(filled) or find_yes_no_pair(filled):
        return "label"
    if find_ranked_style(filled):
        return "ranked"
    if all(map(_SHARE.fullmatch, filled)) and not all(re.fullmatch(r"\d+(\.0+)?", cell) for cell in filled):
        return "share"
    if are_indices(filled) or all(re.fullmatch(r"[+-]?\d[\d,]*(\.0+)?", cell) for cell in filled):
        return "whole"
    return "text"


def _find_shares(path: Path, columns: CellColumns) -> dict[str, str]:
    """Return the names of the probability columns by label; empty if there are none.

    Columns of numbers that are called A, B … or prob_a, prob_b …, or whose rows sum to 1, are probabilities.
    """
    named = {match[2].upper(): name for name in columns if (match := _PROBABILITY_COLUMN.fullmatch(name.strip()))}
    if {"A", "B"} & set(named) and any(_starts_with_a_number(columns[name]) for name in named.values()):
        if len(named) < 2 or set(named) != set(letters(len(named))):
            raise BadInput(
                f"{path}: columns {', '.join(columns)}; probabilities need a column for each of A, B … and no other"
            )
        return named
    numeric = [name for name, cells in columns.items() if _holds_shares(cells)]
    fractions = any(find_kind(columns[name]) == "share" for name in numeric)
    labels = read_column_labels(numeric) if len(numeric) > 1 else None
    if len(numeric) > 1 and _sum_to_one([columns[name] for name in numeric]) and (labels or fractions):
        return dict(zip(labels or letters(len(numeric)), numeric, strict=True))
    return {}


def _refuse_contradiction(path: Path, shares: CellColumns, chosen: CellColumns) -> None:
    """Raise BadInput if a column of labels does not say what the probabilities say."""
    for name, cells in chosen.items():
        if find_kind(cells) != "label":
            continue
        for row, cell in enumerate(cells):
            weights = {label: parse_share(own[row]) or 0.0 for label, own in shares.items()}
            symbols = find_symbols([cell.strip()]) if not is_null(cell) else None
            if symbols and weights.get(symbols.values[0], 0.0) < max(weights.values()):
                raise BadInput(
                    f"{path}: column {name} and the probabilities of {', '.join(shares)} are different answers;"
                    f" --column {name} reads the column, and probabilities need no other"
                )


def _is_rival(values: set[str], own: set[str]) -> bool:
    return len(values) > 1 and values <= own


def _are_unique(cells: Sequence[str]) -> bool:
    return "" not in cells and len(set(cells)) == len(cells)


def _are_distinct(columns: CellColumns) -> bool:
    rows = [[cell for cell in row if not is_null(cell)] for row in zip(*columns.values(), strict=True)]
    return all(len(set(row)) == len(row) for row in rows)


def _is_index(name: str, cells: Sequence[str]) -> bool:
    """Return whether a column is a data frame's index: 0, 1, 2 … under no name."""
    return name.strip().casefold() in _INDEX_NAMES and list(cells) in (
        [str(number) for number in range(len(cells))],
        [str(number) for number in range(1, len(cells) + 1)],
    )


def _is_usage(cells: Sequence[str]) -> bool:
    return {cell.strip().casefold() for cell in cells} <= {"public", "private", "ignored"}


def _starts_with_a_number(cells: Sequence[str]) -> bool:
    return parse_share(next((cell.strip() for cell in cells if not is_null(cell)), "")) is not None


def _holds_shares(cells: Sequence[str]) -> bool:
    filled = [cell.strip() for cell in cells if not is_null(cell)]
    return bool(filled) and all(map(_SHARE.fullmatch, filled))


def _sum_to_one(columns: Sequence[Sequence[str]]) -> bool:
    rows = [[parse_share(cell) for cell in row] for row in zip(*columns, strict=True) if not all(map(is_null, row))]
    sums = [sum(share for share in row if share is not None) for row in rows if None not in row]
    return len(sums) == len(rows) > 0 and all(abs(total - 1) <= _SUM_TOLERANCE for total in sums)
