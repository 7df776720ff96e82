"""Find a right answer and its distractors, and put them into an order that does not give the answer away."""

import hashlib
import re
from collections.abc import Sequence

from quorum.data.table.answers import HIDDEN
from quorum.data.table.column_table import ColumnTable
from quorum.data.table.names import (
    CHOICE_NAME_WORDS,
    COLUMN_NAMES,
    RIGHT_WORDS,
    WRONG_WORDS,
    is_wrong_name,
    name_strength,
    name_words,
    plain_name,
    rank_answer_name,
)
from quorum.data.table.options import list_texts


def order_choices(question: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Return the texts in a random order that depends on the question and the texts alone, never on their order.

    The order is the same in every run and on every machine, and every place is equally likely for each text.
    """

    def key(text: str) -> tuple[bytes, str]:
        return hashlib.sha256(f"{question}\0{text}".encode(errors="replace")).digest(), text

    return tuple(sorted(texts, key=key))


def find_distractors(
    table: ColumnTable, columns: Sequence[str], answer: str | None
) -> tuple[str, tuple[str, ...]] | None:
    """Return the column of the right answer's text and the columns of the wrong ones, by their names and contents."""
    wrong: dict[tuple[str, ...], list[str]] = {}
    for column in columns:
        if "." not in column and is_wrong_name(column) and any(table.text(column, row) for row in range(table.rows)):
            wrong.setdefault(_other_words(column, WRONG_WORDS), []).append(column)
    if not wrong:
        return None
    rights = [answer] if answer else [column for column in columns if _is_right_name(column)]
    rights.sort(key=lambda column: (len(_other_words(column, RIGHT_WORDS)), rank_answer_name(column)))
    for words, group in sorted(wrong.items(), key=lambda item: len(item[0])):
        same = [column for column in rights if _other_words(column, RIGHT_WORDS) == words]
        for right in (*same, *rights):
            if _are_apart(table, right, group):
                return right, tuple(group)
    return None


def _other_words(column: str, words: frozenset[str]) -> tuple[str, ...]:
    """Return the words of a name that tell nothing about answers."""
    known = words | RIGHT_WORDS | CHOICE_NAME_WORDS | set(COLUMN_NAMES["answer"])
    if re.sub(r"\d+$", "", plain_name(column)) in known:
        return ()
    found = (re.sub(r"\d+$", "", word) for word in name_words(column))
    return tuple(word for word in found if word and word not in known and len(word) > 1)


def _is_right_name(column: str) -> bool:
    right = name_strength("answer", column) > 0 or bool(set(name_words(column)) & RIGHT_WORDS)
    return right and not is_wrong_name(column) and "." not in column


def _are_apart(table: ColumnTable, right: str, wrong: Sequence[str]) -> bool:
    """Return whether a column holds texts (no labels), and nearly never one of the wrong answers of its row."""
    apart = labels = filled = 0
    for row in range(table.rows):
        text = table.text(right, row)
        if text is not None and text.strip() not in HIDDEN:
            filled += 1
            labels += len(text.strip()) == 1 and text.strip().isalpha()
            apart += text not in [each for column in wrong for each in list_texts(table.cells[column][row])]
    return filled >= 0.5 * table.rows and apart >= 0.9 * filled and labels < 0.5 * filled
