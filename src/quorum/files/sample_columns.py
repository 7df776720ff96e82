"""Find the columns of a sample submission that hold the answer, and the label that each of several is for."""

import re
from collections.abc import Iterable, Mapping, Sequence

from quorum.data.yes_no import parse_yes_no
from quorum.files.cells import is_null, parse_cell_number
from quorum.files.form_setting import Form, split_ranked_cells
from quorum.files.label_style import find_symbols
from quorum.files.train_answers import AnswerEvidence
from quorum.question import MOST_CHOICES, fold_text, letters

_AROUND_WORD = re.compile(r"^(p|prob|probability|pred|is|class|label|answer|option|score)[\s_.(:-]+|\)$")
_NUMBERED = re.compile(r"(.*?)[\s_.-]*(\d{1,2})", re.DOTALL)
_ANSWER_NAMES = frozenset(
    {
        *("answer", "answers", "answerkey", "correct", "correctanswer", "label", "labels", "target", "class", "choice"),
        *("prediction", "predictions", "predicted", "pred", "preds", "response", "output", "result", "submission"),
        "expected",
    }
)
_RANK_STEMS = frozenset({"pred", "prediction", "predictions", "answer", "top", "rank", "choice", "guess", "label"})

CellColumns = Mapping[str, Sequence[str]]  # the cells of each column but the ids, by its name


def find_answer_columns(columns: CellColumns, evidence: AnswerEvidence, form: Form | None = None) -> tuple[str, ...]:
    """Return the columns that hold the answer; the others are copied from the sample.

    A column with the name of train's answer column, or the only one named like an answer, is the answer. Several
    columns of numbers, or columns numbered from 0 or 1, hold one answer together.
    """
    names = tuple(columns)
    if len(names) == 1:
        return names
    family = _find_family(columns)
    several = form in ("probabilities", "onehot")
    own = [name for name in names if evidence.column and _plain_column(name) == _plain_column(evidence.column)]
    named = own or [name for name in names if is_answer_name(name)]
    if len(named) == 1 and not several and named[0] not in family:
        return tuple(named)
    if len(family) > 1:
        return family
    filled = [name for name in names if _is_answer_like(columns[name])]
    if len(named) == 1:
        return tuple(named)
    return tuple(filled) if len(filled) == 1 else names


def find_column_labels(names: Sequence[str], evidence: AnswerEvidence) -> tuple[str, ...]:
    """Return the labels of columns: by the letters or numbers that end their names, or by their answers' words.

    "A" and "prob_a" are A; "0", "1", "2" and "ending0" count from the smallest of them; "yes" or "p_yes" is the label
    that train writes so, or whose option has this text in every question. Other columns are A, B … by position.

    Raises:
        BadInput: there are more than 26 columns.
    """
    return read_column_labels(names, evidence) or letters(len(names))


def read_column_labels(names: Sequence[str], evidence: AnswerEvidence | None = None) -> tuple[str, ...] | None:
    """Return the labels that columns' names say; None if they do not say them."""
    evidence = evidence or AnswerEvidence()
    words = _list_words(evidence)
    for strip in (False, True):
        plain = [fold_text(name) for name in names]
        if strip:
            plain = [_AROUND_WORD.sub("", name) for name in plain]
        if words and all(name in words for name in plain) and len({words[name] for name in plain}) == len(names):
            return tuple(words[name] for name in plain)
    ends = [re.fullmatch(r"(?:.*[^A-Za-z])?([A-Za-z])[)\]]?", name.strip()) for name in names]
    starts = [re.fullmatch(r"([A-Za-z])_(?i:p|prob|probability|score|conf|confidence)", name.strip()) for name in names]
    for found in (ends, starts):
        labels = tuple(match[1].upper() for match in found if match)
        if len(labels) == len(names) and set(labels) == set(letters(len(names))):
            return labels
    numbers = [match[2] for match in map(_NUMBERED.fullmatch, names) if match]
    if len(set(numbers)) == len(names):
        first = min(map(int, numbers))
        indices = [int(number) - first for number in numbers]
        known = letters(MOST_CHOICES)
        if first in (0, 1) and sorted(indices) == list(range(len(names))) and len(names) <= MOST_CHOICES:
            return tuple(known[index] for index in indices)
    return None


def _find_family(columns: CellColumns) -> tuple[str, ...]:
    """Return the columns that hold one answer together: numbers in all of them, or names numbered in order."""
    numeric = [name for name, cells in columns.items() if _holds_numbers(cells)]
    labels = read_column_labels(numeric) if len(numeric) > 1 else None
    if len(numeric) > 1 and (labels or len(numeric) == len(columns)):
        return tuple(numeric)
    lettered = [name for name in columns if re.fullmatch(r"[A-Z]", name)]
    stems: dict[str, list[str]] = {}
    for name in columns:
        match = _NUMBERED.fullmatch(name)
        if match:
            stems.setdefault(match[1], []).append(name)
    families = [*stems.values(), lettered, numeric]
    largest = max(families, key=lambda names: len(names))
    return tuple(largest) if len(largest) > 1 else ()


def find_numbered_stem(names: Sequence[str]) -> str | None:
    """Return what names share before their numbers, which are 0, 1 … or 1, 2 …; None for other names."""
    matches = [_NUMBERED.fullmatch(name) for name in names]
    found = [match for match in matches if match]
    stems, numbers = {match[1] for match in found}, [int(match[2]) for match in found]
    ordered = numbers in (list(range(len(names))), list(range(1, len(names) + 1)))
    return stems.pop() if len(found) == len(names) and len(stems) == 1 and ordered else None


def is_answer_name(name: str) -> bool:
    """Return whether a column is called answer, prediction, label or the like."""
    return _plain_column(name) in _ANSWER_NAMES


def is_ranking(names: Sequence[str]) -> bool:
    """Return whether columns are called pred_1, pred_2 … and so rank labels."""
    return _plain_column(find_numbered_stem(names) or "") in _RANK_STEMS


def _is_answer_like(cells: Sequence[str]) -> bool:
    filled = [cell.strip() for cell in cells if not is_null(cell)]
    return not filled or find_symbols(filled) is not None or split_ranked_cells(filled) is not None


def _list_words(evidence: AnswerEvidence) -> dict[str, str]:
    """Return the label of each word of train, or of each option text that is the same in every question."""
    words: dict[str, str] = {}
    sets = {tuple(map(fold_text, own)) for own in evidence.choices.values()}
    if len(sets) == 1:
        words |= dict(zip(shared := sets.pop(), letters(len(shared)), strict=True))
    if evidence.style and evidence.kind == "words":
        own_words = [fold_text(word) for word in evidence.style.words]
        words |= dict(zip(own_words, letters(len(own_words)), strict=True))
        meanings = {parse_yes_no(word): label for word, label in zip(own_words, letters(len(own_words)), strict=True)}
        if set(meanings) == {True, False}:
            words |= {"1": meanings[True], "0": meanings[False], "true": meanings[True], "false": meanings[False]}
            words |= {"yes": meanings[True], "no": meanings[False]}
    return words


def _plain_column(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.casefold())


def _holds_numbers(cells: Iterable[str]) -> bool:
    filled = [cell for cell in cells if not is_null(cell)]
    return bool(filled) and all(parse_share(cell) is not None for cell in filled)


def parse_share(cell: str) -> float | None:
    """Return the finite number in a cell, which may have a decimal comma; None if it holds none."""
    return parse_cell_number(cell.strip().replace(",", "."))
