"""Find the columns of the choices and of the answer together: the answers have to be among the choices."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from quorum.data.layout import Layout
from quorum.data.table.answers import (
    AnswerKey,
    answer_text,
    fit_answers,
    is_yes_or_no,
    means_yes,
    place_answer,
    place_answers,
    read_one_hot,
)
from quorum.data.table.choice_sources import (
    ChoiceReader,
    ChoiceSource,
    RowChoices,
    find_choice_sources,
    find_flag_columns,
    is_wrong_name,
    list_texts,
)
from quorum.data.table.column_table import ColumnTable
from quorum.data.table.names import (
    CHOICE_NAME_WORDS,
    COLUMN_NAMES,
    RIGHT_WORDS,
    WRONG_WORDS,
    has_other_role,
    is_other_name,
    name_rank,
    name_strength,
    name_words,
    plain_name,
)
from quorum.data.table.numbered import split_question
from quorum.data.table.options import find_mark
from quorum.errors import BadInput
from quorum.number import canonical_number

HIDDEN = frozenset({"-1", "?"})  # test files hide their answers like this
YES_NO = ("yes", "no")
_GLUE = "\0"  # between the names of columns that answer together
_NAMED_STRENGTH = 0.6  # strength of choices that are known by their name or form
_CERTAIN = 0.95  # share of answers that must be readable if a column's name is not known
_LEAST_ROWS = 4  # that prove the role of a column whose name is not known
_ECHO = 0.5  # share of rows in which a column repeats the right answer
_AGREE = 0.98  # share of rows in which two answer columns have to mean the same
_FIRST_LABELS = {"yes": 0, "no": 1, "maybe": 2}
_LONGEST_LABEL = 12  # characters
_MOST_LABELS = 10  # different answers of a file whose questions share their choices


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFit:
    """How well a column's answers fit the choices; `places` are the choices that they mean, for each reading."""

    column: str
    strength: float
    share: float
    filled: float
    places: tuple[tuple[int | None, ...], ...]

    @property
    def value(self) -> float:
        """What candidates are compared by: the name, and the share of rows with a readable answer."""
        certain = 0.02 if len(self.places) == 1 else 0.0
        return self.strength + 2 * self.share * self.filled + certain


def find_choices_and_answer(
    given: Layout, table: ColumnTable, columns: Sequence[str], where: str, detect_answer: bool, guess: bool = True
) -> Layout:
    """Return `given` with the columns of choices and answer; choices stay None if no column holds any.

    Args:
        given: the roles that are known; an answer of "" means that there is none.
        table: a sample of the rows.
        columns: the columns that have no role yet.
        where: the file's name for messages.
        detect_answer: whether an answer column is looked for.
        guess: whether the only column of lists holds the choices even if its name is not known.

    Raises:
        BadInput: two sets of choices, or two columns of answers, fit equally well and differ.
    """
    known = given.answer is not None or given.answer_columns is not None or not detect_answer
    if given.choices is not None or given.distractors:
        if known:
            return given
        fits = _fit_columns(given, table, columns) if given.choices else []
        best = _choose_answer(fits, where)
        return _set_answer(given, best) if given.choices else replace(given, answer=_best_named(table, columns))
    found = _find_source(given, table, columns, where, detect_answer=detect_answer, guess=guess)
    if found is None or isinstance(found, Layout):
        return found or given
    given = replace(given, choices=found.columns)
    if known:
        return given
    fits = _fit_columns(given, table, [column for column in columns if column not in found.columns])
    return _set_answer(given, _choose_answer(fits, where))


def find_shared_choices(given: Layout, table: ColumnTable, columns: Sequence[str], detect_answer: bool) -> Layout:
    """Return `given` completed for a file without columns of choices.

    The choices are in the question's text, or all questions share them (yes and no, or a few classes), or the
    questions are open.
    """
    if given.answer is None and given.answer_columns is None and detect_answer:
        found = _best_named(table, columns) or _only_yes_or_no(table, columns) or _find_solution(table, columns)
        given = replace(given, answer=found)
    raws = _raws(table, given.answer) if given.answer is not None else []
    answers = [raw.strip() for raw in raws if raw is not None and raw.strip() not in HIDDEN]
    lettered = [raw for raw in answers if re.fullmatch(r"\W*[A-Za-z]\W*", raw)]
    if given.labels is None and len(lettered) >= 0.8 * len(answers):
        texts = [text for row in range(table.rows) if (text := table.text(given.question, row))]
        if texts and sum(split_question(text) is not None for text in texts) >= 0.8 * len(texts):
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


def find_echoes(given: Layout, table: ColumnTable, columns: Sequence[str]) -> set[str]:
    """Return the columns that repeat the right answer's text, or are entries of the answer's own dict.

    They would give the answer away if they were shown as a passage.
    """
    if given.answer is None:
        return set()
    inside = given.answer.rpartition(".")[0]
    found = {column for column in columns if inside and column.startswith(f"{inside}.")}
    if not given.choices and not given.distractors:
        return found
    reader = ChoiceReader(given, table)
    chosen = [reader.read(row) for row in range(table.rows)]
    fit = None if given.distractors else _fit_column(given.answer, chosen, reader, table)
    right = fit.places[0] if fit is not None and fit.places else [row.choices.marked for row in chosen]
    for column in columns:
        texts = [table.text(column, row) for row in range(table.rows)]
        meant = [
            (place_answer("text", AnswerKey(raw=text, texts=row.choices.texts)), place)
            for text, row, place in zip(texts, chosen, right, strict=True)
            if text is not None and place is not None
        ]
        if meant and sum(own == place for own, place in meant) >= _ECHO * len(meant):
            found.add(column)
    return found


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
    rights.sort(key=lambda column: (len(_other_words(column, RIGHT_WORDS)), _rank(column)))
    for words, group in sorted(wrong.items(), key=lambda item: len(item[0])):
        same = [column for column in rights if _other_words(column, RIGHT_WORDS) == words]
        for right in (*same, *rights):
            if _are_apart(table, right, group):
                return right, tuple(group)
    return None


def _find_source(
    given: Layout, table: ColumnTable, columns: Sequence[str], where: str, detect_answer: bool, guess: bool
) -> ChoiceSource | Layout | None:
    """Return the columns that hold the choices, or the layout with a right answer and distractors; None if neither."""
    sources = _without_inner(find_choice_sources(table, columns))
    tried = [(source, _try_source(source, given, table, columns, detect_answer)) for source in sources]
    named = [(source, fit) for source, fit in tried if source.strength >= _NAMED_STRENGTH]
    if not any(fit and fit.share >= 0.9 for _, fit in named) and (detect_answer or given.answer):
        wrong = find_distractors(table, columns, given.answer)
        if wrong is not None:
            return replace(given, choices=(), answer=wrong[0], distractors=wrong[1], answer_kind="one_hot")
    if not named:
        named = [
            (source, fit)
            for source, fit in tried
            if fit is not None and _is_evidence(source, fit, table) and _have_different_texts(source, given, table)
        ]
    if not named and guess and all(fit is None for _, fit in tried):
        named = [pair for pair in tried if len(pair[0].columns) == 1]
    return _choose_source(named, given, table, where) if named else None


def _try_source(
    source: ChoiceSource, given: Layout, table: ColumnTable, columns: Sequence[str], detect_answer: bool
) -> AnswerFit | None:
    """Return the best answer column for a set of choices; None if no column fits."""
    others = [given.answer] if given.answer else [column for column in columns if column not in source.columns]
    layout = replace(given, choices=source.columns, answer=None, answer_columns=None)
    fits = _fit_columns(layout, table, others) if detect_answer or given.answer else []
    return max(fits, key=lambda fit: fit.value, default=None)


def _fit_columns(layout: Layout, table: ColumnTable, columns: Sequence[str]) -> list[AnswerFit]:
    reader = ChoiceReader(layout, table)
    chosen = [reader.read(row) for row in range(table.rows)]
    fits = [fit for column in columns if (fit := _fit_column(column, chosen, reader, table)) is not None]
    marks = tuple(row.choices.marked for row in chosen)
    if any(mark is not None for mark in marks):
        share = sum(mark is not None for mark in marks) / len(marks)
        fits.append(
            AnswerFit(column=(layout.choices or ("",))[0], strength=1.0, share=1.0, filled=share, places=(marks,))
        )
    for flags in find_flag_columns(table, columns):
        fits.append(_make_flag_fit(flags, table))
    return fits


def _make_flag_fit(flags: Sequence[str], table: ColumnTable) -> AnswerFit:
    rows = zip(*(table.cells[column] for column in flags), strict=True)
    places = tuple(map(find_mark, rows))
    return AnswerFit(column=_GLUE.join(flags), strength=0.5, share=1.0, filled=1.0, places=(places,))


def _fit_column(
    column: str, chosen: Sequence[RowChoices], reader: ChoiceReader, table: ColumnTable
) -> AnswerFit | None:
    strength = name_strength("answer", column)
    other = strength < 1 and (is_other_name(column) or has_other_role(column, "answer"))
    if other and name_rank("rationale", column) is not None:  # a column called "solution" may hold bare labels
        other = not _are_short(_raws(table, column))
    if is_wrong_name(column) or other:
        return None
    if strength == 0 and table.rows < _LEAST_ROWS:
        return None
    raws, keys, places = _raws(table, column), [], []
    for row, (raw, choices) in enumerate(zip(raws, chosen, strict=True)):
        if raw is not None and raw.strip() not in HIDDEN:
            marked = read_one_hot(table.cells[column][row])
            own = choices.choices
            keys.append(AnswerKey(raw=raw, texts=own.texts, labels=own.labels, names=reader.names, marked=marked))
            places.append(row)
    if not keys:
        empty = AnswerFit(column=column, strength=strength, share=0.0, filled=0.0, places=())
        return empty if strength == 1 else None
    _, share = fit_answers(keys)
    readings = []
    for reading in place_answers(keys):
        by_row: list[int | None] = [None] * table.rows
        for row, place in zip(places, reading, strict=True):
            by_row[row] = place
        readings.append(tuple(by_row))
    filled = len(keys) / table.rows
    fit = AnswerFit(column=column, strength=strength, share=share, filled=filled, places=tuple(readings))
    return fit if strength >= 0.5 or share >= _CERTAIN and _covers(fit, keys) else None


def _find_solution(table: ColumnTable, columns: Sequence[str]) -> str | None:
    """Return the first column that is called solution or the like, if it holds numbers only and no explanations."""
    for column in columns:
        if name_rank("rationale", column) is not None:
            filled = [raw for raw in _raws(table, column) if raw is not None and raw.strip()]
            if filled and all(map(canonical_number, filled)):
                return column
    return None


def _are_short(raws: Sequence[str | None]) -> bool:
    """Return whether no answer is longer than a label, such as "(A)" or "Option A"."""
    return all(raw is None or len(raw.strip()) <= _LONGEST_LABEL for raw in raws)


def _covers(fit: AnswerFit, keys: Sequence[AnswerKey]) -> bool:
    """Return whether answers in a column of unknown name use most of the labels, as right answers do."""
    used = {place for place in fit.places[0] if place is not None}
    return len(used) >= min(len(keys), max(2, 0.6 * max(len(key.texts) for key in keys)))


def _choose_answer(fits: Sequence[AnswerFit], where: str) -> AnswerFit | None:
    """Return the answer column that fits best.

    Raises:
        BadInput: another column fits as well but means other choices.
    """
    if not fits:
        return None
    best = max(fits, key=lambda fit: (round(fit.value, 1), -_rank(fit.column)))
    for other in fits:
        if other is not best and other.share > 0 and other.value >= best.value - 0.15 and not _agree(best, other):
            raise BadInput(
                f"{where}: the answers could be {best.column!r} or {other.column!r}, and they differ; name the column "
                f'in the layout: answer = "{best.column}"'
            )
    return best


def _agree(one: AnswerFit, other: AnswerFit) -> bool:
    """Return whether two columns mean the same choices in (nearly) all rows, in one of their readings."""
    for first in one.places:
        for second in other.places:
            pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
            if pairs and sum(a == b for a, b in pairs) >= _AGREE * len(pairs):
                return True
    return not any(place is not None for places in (*one.places, *other.places) for place in places)


def _set_answer(given: Layout, fit: AnswerFit | None) -> Layout:
    if fit is None:
        return given
    if _GLUE in fit.column:
        return replace(given, answer_columns=tuple(fit.column.split(_GLUE)), answer_kind="one_hot")
    marks = fit.column in (given.choices or ())
    return replace(given, answer=fit.column, answer_kind="one_hot" if marks else given.answer_kind)


def _choose_source(
    named: Sequence[tuple[ChoiceSource, AnswerFit | None]], given: Layout, table: ColumnTable, where: str
) -> ChoiceSource:
    """Return the set of choices that fits best.

    Raises:
        BadInput: two sets fit equally well and have different texts.
    """

    def value(pair: tuple[ChoiceSource, AnswerFit | None]) -> float:
        return pair[0].strength + (pair[1].share if pair[1] else 0.0)

    best, *others = sorted(named, key=value, reverse=True)
    for other in others:
        if value(other) >= value(best) - 0.06 and not _have_same_texts(best[0], other[0], given, table):
            sets = " or ".join(f"({', '.join(map(repr, source.columns))})" for source in (best[0], other[0]))
            raise BadInput(f'{where}: the choices could be {sets}; name them in the layout: choices = ["…"]')
    return best[0]


def _have_same_texts(one: ChoiceSource, other: ChoiceSource, given: Layout, table: ColumnTable) -> bool:
    readers = [ChoiceReader(replace(given, choices=source.columns), table) for source in (one, other)]
    same = [len({reader.read(row).choices.texts for reader in readers}) == 1 for row in range(table.rows)]
    return sum(same) >= _AGREE * len(same)


def _is_evidence(source: ChoiceSource, fit: AnswerFit, table: ColumnTable) -> bool:
    """Return whether the answers prove that columns of unknown names hold the choices."""
    places = {place for place in fit.places[0] if place is not None} if fit.places else set()
    size = len(source.columns) if len(source.columns) > 1 else 2
    return fit.share >= _CERTAIN and fit.filled >= 0.5 and len(places) >= min(size, 3, table.rows)


def _have_different_texts(source: ChoiceSource, given: Layout, table: ColumnTable) -> bool:
    reader = ChoiceReader(replace(given, choices=source.columns), table)
    texts = [reader.read(row).choices.texts for row in range(table.rows)]
    return sum(len(set(each)) == len(each) for each in texts) >= 0.9 * len(texts)


def _without_inner(sources: Sequence[ChoiceSource]) -> list[ChoiceSource]:
    """Return the sources without the entries of other sources."""
    single = {source.columns[0] for source in sources if len(source.columns) == 1}
    return [s for s in sources if not any(s.columns[0].startswith(f"{column}.") for column in single)]


def _best_named(table: ColumnTable, columns: Sequence[str]) -> str | None:
    """Return the column with the best known name of an answer, a filled one before an empty one."""
    named = [column for column in columns if name_strength("answer", column) > 0]
    ranked = sorted(named, key=_rank)
    ranked = [column for column in ranked if name_rank("answer", column) is not None or not is_other_name(column)]
    filled = [column for column in ranked if any(table.text(column, row) for row in range(table.rows))]
    return next(iter(filled or ranked), None)


def _only_yes_or_no(table: ColumnTable, columns: Sequence[str]) -> str | None:
    """Return the only column whose cells are all yes or no, or true or false, in some language."""
    found = []
    for column in columns:
        raws = _raws(table, column)
        yes_no = all(raw is not None and is_yes_or_no(raw) for raw in raws) and len(set(raws)) == 2
        if yes_no and table.rows >= _LEAST_ROWS and not is_other_name(column):
            found.append(column)
    return found[0] if len(found) == 1 else None


def _rank(column: str) -> int:
    rank = name_rank("answer", column)
    return len(COLUMN_NAMES["answer"]) if rank is None else rank


def _raws(table: ColumnTable, column: str) -> list[str | None]:
    return [text if (text := answer_text(cell)).strip() else None for cell in table.cells[column]]


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
