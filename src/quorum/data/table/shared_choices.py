"""Find what replaces columns of choices: choices in the question's text, or those that all questions share."""

import re
from collections.abc import Sequence
from dataclasses import replace

from quorum.data.layout import Layout
from quorum.data.table.answer_fit import LEAST_ROWS
from quorum.data.table.answers import HIDDEN, AnswerKey, means_yes, place_answer, read_answer_texts
from quorum.data.table.column_table import ColumnTable
from quorum.data.table.names import is_other_name, name_rank, name_strength, rank_answer_name
from quorum.data.table.numbered import split_question
from quorum.data.yes_no import is_yes_or_no
from quorum.number import canonical_number

YES_NO = ("yes", "no")
_FIRST_LABELS = {"yes": 0, "no": 1, "maybe": 2}
_WITH_CHOICES = 0.8  # share of the rows that have to have choices in their texts
_MOST_LABELS = 10  # different answers of a file whose questions share their choices


def find_shared_choices(given: Layout, table: ColumnTable, columns: Sequence[str], detect_answer: bool) -> Layout:
    """Return `given` completed for a file without columns of choices.

    The choices are in the question's text, or all questions share them (yes and no, or a few classes), or the
    questions are open.
    """
    if given.answer is None and given.answer_columns is None and detect_answer:
        found = find_best_named(table, columns) or _only_yes_or_no(table, columns) or _find_solution(table, columns)
        given = replace(given, answer=found)
    raws = read_answer_texts(table.cells[given.answer]) if given.answer is not None else [None] * table.rows
    answers = [raw.strip() for raw in raws if raw is not None and raw.strip() not in HIDDEN]
    if given.labels is None and _has_choices_in_text(table, given.question, raws):
        return replace(given, choices=(given.question or "",))
    if given.labels is None and answers:
        labels = find_shared_labels(answers, name_strength("answer", given.answer or ""))
        given = replace(given, labels=labels or None)
    if given.labels is None and given.answer_kind == "boolean":
        given = replace(given, labels=YES_NO)
    if given.labels is None or given.answer_kind is not None:
        return given
    boolean = len(given.labels) == 2 and all(map(is_yes_or_no, given.labels))
    return replace(given, answer_kind="boolean" if boolean else "text")


def _has_choices_in_text(table: ColumnTable, question: str | None, raws: Sequence[str | None]) -> bool:
    """Return whether the texts of questions end with their choices, of which the answers name one."""
    rows = [(text, raw) for row, raw in enumerate(raws) if (text := table.text(question, row))]
    split = [(split_question(text), raw) for text, raw in rows]
    if not rows or sum(found is not None for found, _ in split) < _WITH_CHOICES * len(rows):
        return False
    answered = [(found, raw.strip()) for found, raw in split if raw is not None and raw.strip() not in HIDDEN]
    return sum(_names_choice(raw, found.texts if found else ()) for found, raw in answered) >= _WITH_CHOICES * len(
        answered
    )


def _names_choice(raw: str, choices: Sequence[str]) -> bool:
    key = AnswerKey(raw=raw, texts=tuple(choices))
    letter = re.fullmatch(r"\W*[A-Za-z]\W*", raw)
    return letter is not None or any(place_answer(kind, key) is not None for kind in ("letter", "text"))


def find_shared_labels(answers: Sequence[str], strength: float) -> tuple[str, ...]:
    """Return the choices that all questions of a file share, by its answers; () if they share none.

    Yes, no and maybe come in this order, other classes by the alphabet; true and false are yes and no.
    """
    folded = {answer.strip().casefold() for answer in answers}
    if folded <= {"true", "false", "yes", "no", "0", "1", "0.0", "1.0"}:
        words = folded & {"true", "false", "yes", "no"}
        return YES_NO if words or len(folded) == 2 and len(answers) >= 10 and strength == 1 else ()
    if all(map(is_yes_or_no, folded)):
        spelled = sorted({answer.strip() for answer in answers}, key=lambda text: (not means_yes(text), text))
        return tuple(spelled) if len(folded) == 2 == len(spelled) else ()
    classes = sorted({answer.strip() for answer in answers})
    texts = all(re.search(r"[^\W\d]{2}", answer) and len(answer) <= 40 for answer in classes)
    if strength < 1 or not texts or not 2 <= len(classes) <= _MOST_LABELS or len(answers) < 5 * len(classes):
        return ()
    return tuple(sorted(classes, key=lambda text: _FIRST_LABELS.get(text.casefold(), len(_FIRST_LABELS))))


def find_best_named(table: ColumnTable, columns: Sequence[str]) -> str | None:
    """Return the column with the best known name of an answer, a filled one before an empty one."""
    named = [column for column in columns if name_strength("answer", column) > 0]
    ranked = sorted(named, key=rank_answer_name)
    ranked = [column for column in ranked if name_rank("answer", column) is not None or not is_other_name(column)]
    filled = [column for column in ranked if any(table.text(column, row) for row in range(table.rows))]
    return next(iter(filled or ranked), None)


def _only_yes_or_no(table: ColumnTable, columns: Sequence[str]) -> str | None:
    """Return the only column whose cells are all yes or no, or true or false, in some language."""
    found = []
    for column in columns:
        raws = read_answer_texts(table.cells[column])
        yes_no = all(raw is not None and is_yes_or_no(raw) for raw in raws) and len(set(raws)) == 2
        if yes_no and table.rows >= LEAST_ROWS and not is_other_name(column):
            found.append(column)
    return found[0] if len(found) == 1 else None


def _find_solution(table: ColumnTable, columns: Sequence[str]) -> str | None:
    """Return the first column that is called solution or the like, if it holds numbers only and no explanations."""
    for column in columns:
        if name_rank("rationale", column) is not None:
            filled = [raw for raw in read_answer_texts(table.cells[column]) if raw is not None and raw.strip()]
            if filled and all(map(canonical_number, filled)):
                return column
    return None
