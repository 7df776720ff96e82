"""Find the columns of the question, its passage, id, subject and solution, by contents and names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from quorum.data.table.column_table import ColumnTable, passage_text
from quorum.data.table.names import (
    COLUMN_NAMES,
    has_other_role,
    is_other_name,
    list_words,
    name_rank,
    name_strength,
    name_words,
    plain_name,
)
from quorum.errors import BadInput, list_some

_FIRST_CELLS = 1000  # among which one of the sample submission's ids has to be
_MOST_REPEATED = 0.4  # least share of different cells in a column of ids, some of which are duplicated by mistake
_UNNAMED = ("", "unnamed:0", "unnamed0")
_NUMERIC_TEXT = re.compile(r"\s*[-+]?[\d.,\s]*\d[%\s]*", re.ASCII)
_WORDS = re.compile(r"\S\s+\S|[\u0e00-\u0e7f\u2e80-\uffef]")
_QUESTION_ENDS = list_words("? ？ ؟ ; : ： 까 か 呢 _ … ... । 是 () （） ( ) （ ）")
# names that only sometimes mean a passage: they yield to the others
_WEAK_CONTEXT = list_words(
    """code codesnippet snippet hint text evidence support background body document sent1 texto texte tekst testo
    текст 글 material premise"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """What the cells of a column look like; the shares are among its filled cells, but `filled` is among all rows."""

    filled: float
    distinct: float
    length: float  # mean, in characters
    numeric: float
    asking: float  # share that ends like a question
    several: float  # share of lists and dicts
    wordy: float  # share of texts with a space, or in a script that writes none


def profile_column(table: ColumnTable, column: str) -> ColumnProfile:
    """Return the profile of a column."""
    cells = table.cells[column]
    texts = [text for text in map(passage_text, cells) if text.strip()]
    several = sum(isinstance(cell, list | dict) for cell in cells)
    if not texts:
        share = several / len(cells) if cells else 0
        return ColumnProfile(filled=0, distinct=0, length=0, numeric=0, asking=0, several=share, wordy=0)
    count = len(texts)
    return ColumnProfile(
        filled=count / len(cells),
        distinct=len(set(texts)) / count,
        length=sum(map(len, texts)) / count,
        numeric=sum(_NUMERIC_TEXT.fullmatch(text) is not None for text in texts) / count,
        asking=sum(text.rstrip("\"'”’」』。 ").endswith(_QUESTION_ENDS) for text in texts) / count,
        several=several / len(cells),
        wordy=sum(_WORDS.search(text) is not None for text in texts) / count,
    )


def find_question(table: ColumnTable, columns: Sequence[str], where: str) -> str:
    """Return the column of the question: by its name, else the only column that reads like questions.

    Raises:
        BadInput: there is no such column, or there are several.
    """
    profiles = {column: profile_column(table, column) for column in columns}
    texts = [column for column in columns if profiles[column].several < 0.5]
    named = _by_rank("question", texts)
    usable = [column for column in named if profiles[column].filled >= 0.5]
    others = [c for c in usable[1:] if profiles[c].distinct > 0.5 and name_rank("context", c) is None]
    if others and _is_constant(profiles[usable[0]], table.rows):  # an instruction, such as "Answer the question."
        return others[0]
    if usable or named:
        return (usable or named)[0]
    prose = [c for c in texts if _is_prose(profiles[c]) and not has_other_role(c, "question")]
    found = [column for column in prose if name_strength("question", column) > 0] or prose
    asking = [column for column in found if profiles[column].asking >= 0.5]
    distinct = [column for column in found if profiles[column].distinct > 0.5]
    for candidates in (found, asking, distinct):
        if len(candidates) == 1:
            return candidates[0]
    if len(found) > 1:
        raise BadInput(f'{where}: the question could be {_list(found)}; name it in the layout: question = "{found[0]}"')
    raise BadInput(
        f"{where}: no question column among {_list(table.names)}; expected one of "
        f'{", ".join(COLUMN_NAMES["question"][:12])}, or a column of texts; name it in the layout: question = "…"'
    )


def find_context(table: ColumnTable, columns: Sequence[str], question: str, where: str) -> str | None:
    """Return the column of the passage: by its name, or a column of long texts that several questions share.

    Raises:
        BadInput: two columns of different passages have such a name.
    """
    profiles = {column: profile_column(table, column) for column in columns}
    named = [column for column in _by_rank("context", columns) if _is_usable_context(profiles[column])]
    strong = [column for column in named if plain_name(column) not in _WEAK_CONTEXT]
    long = [c for c in strong if profiles[c].length >= 40 and not _is_same(table, strong[0], c)]
    if long and long != strong[:1]:
        both = _list([strong[0], *(column for column in long if column != strong[0])])
        raise BadInput(f'{where}: the passage could be {both}; name it in the layout: context = "{strong[0]}"')
    if strong or named:
        return (strong or named)[0]
    prose = [c for c in columns if profiles[c].length >= 20 and profiles[c].numeric < 0.5 and profiles[c].filled >= 0.5]
    partly = [c for c in prose if name_strength("context", c) > 0 and not is_other_name(c)]
    if partly:
        return partly[0]
    generic = profile_column(table, question).distinct < 0.5
    shared = [
        column
        for column in prose
        if not has_other_role(column, "context")
        and not is_other_name(column)
        and profiles[column].length >= 80
        and (generic or profiles[column].distinct <= 0.7)
    ]
    return shared[0] if len(shared) == 1 and table.rows >= 4 else None


def find_id(table: ColumnTable, columns: Sequence[str]) -> str | None:
    """Return the column of the ids: by its name, a unique one before others, or the first if its name ends in id.

    A column in which most cells repeat, such as a passage's id or the number of a question within it, is none.
    """
    repeated = _MOST_REPEATED if table.rows >= 4 else 0.0
    profiles = {column: profile_column(table, column) for column in _by_rank("id", columns)}
    named = [c for c, profile in profiles.items() if profile.length <= 100 and profile.distinct >= repeated]
    unique = [column for column in named if profile_column(table, column).distinct >= 0.98]
    if unique or named:
        return (unique or named)[0]
    for column in columns[:1]:
        is_id = re.fullmatch(r".*[_\s-]id", column, re.IGNORECASE) or re.fullmatch(r".*[a-z]I[dD]", column)
        if plain_name(column) in _UNNAMED or is_id and profile_column(table, column).distinct >= 0.9:
            return column
    first = columns[0] if columns else None
    if first in table.names and _are_keys(table, first or ""):
        return first
    ends = [c for c in columns if name_words(c)[-1:] == ("id",) and profile_column(table, c).distinct == 1.0]
    return ends[0] if ends else None


def find_column_of(ids: frozenset[str], table: ColumnTable) -> str | None:
    """Return the first column that holds all the ids of a sample submission; None if there is none."""
    for column in table.names:
        first = {passage_text(cell) for cell in table.cells[column][:_FIRST_CELLS]}
        if first & ids and ids <= {passage_text(cell) for cell in table.cells[column]}:
            return column
    return None


def find_subject(table: ColumnTable, columns: Sequence[str]) -> str | None:
    """Return the column of the subject: by its name, if its values are short and repeat."""
    named = _by_rank("subject", columns)
    partly = [column for column in columns if column not in named and name_strength("subject", column) > 0]
    for column in (*named, *partly):
        profile = profile_column(table, column)
        repeats = profile.distinct <= 0.5 or table.rows < 20 and column in named
        if profile.filled and profile.length <= 80 and repeats and profile.several == 0 and not is_other_name(column):
            return column
    return named[0] if named and profile_column(table, named[0]).filled == 0 else None


def find_named(table: ColumnTable, columns: Sequence[str], role: str) -> str | None:
    """Return the column with one of a role's known names, a filled one before an empty one."""
    named = _by_rank(role, columns)
    filled = [column for column in named if profile_column(table, column).filled]
    return next(iter(filled or (column for column in named if column in table.names)), None)


def is_long_text(profile: ColumnProfile) -> bool:
    """Return whether a column holds texts that could be passages."""
    return profile.filled >= 0.5 and profile.length >= 80 and profile.numeric < 0.5


def _by_rank(role: str, columns: Sequence[str]) -> list[str]:
    """Return the columns with a known name of a role; entries of dicts, such as `inputs.text`, come last."""
    ranks = {column: (False, rank) for column in columns if (rank := name_rank(role, column)) is not None}
    for column in columns:
        rank = name_rank(role, column.rpartition(".")[2]) if "." in column else None
        if column not in ranks and rank is not None:
            ranks[column] = (True, rank)
    return sorted(ranks, key=ranks.__getitem__)


def _are_keys(table: ColumnTable, column: str) -> bool:
    """Return whether a file's first column holds one short and different word for each row."""
    texts = [passage_text(cell) for cell in table.cells[column]]
    words = all(text.strip() and len(text) <= 24 and len(text.split()) == 1 for text in texts)
    return words and len(texts) >= 5 and len(set(texts)) == len(texts) and column == table.names[0]


def _is_prose(profile: ColumnProfile) -> bool:
    return profile.filled >= 0.5 and profile.numeric < 0.5 and profile.length >= 8 and profile.wordy >= 0.5


def _is_constant(profile: ColumnProfile, rows: int) -> bool:
    return rows >= 5 and profile.distinct * profile.filled * rows <= 1


def _is_usable_context(profile: ColumnProfile) -> bool:
    return profile.filled > 0 and profile.numeric < 0.5


def _is_same(table: ColumnTable, first: str, second: str) -> bool:
    return first == second or list(map(passage_text, table.cells[first])) == list(
        map(passage_text, table.cells[second])
    )


def _list(columns: Sequence[str]) -> str:
    return list_some(list(map(repr, columns)), 20)
