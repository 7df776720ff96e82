"""Find the columns of the choices and of the answer together: the answers have to be among the choices."""

from collections.abc import Sequence
from dataclasses import replace

from quorum.data.layout import Layout
from quorum.data.table.answer_fit import AGREEING, CERTAIN, AnswerFit, choose_answer, fit_column, fit_columns
from quorum.data.table.answers import AnswerKey, place_answer
from quorum.data.table.choice_sources import ChoiceReader, ChoiceSource, find_choice_sources
from quorum.data.table.column_table import ColumnTable
from quorum.data.table.distractors import find_distractors
from quorum.data.table.shared_choices import find_best_named
from quorum.errors import BadInput

_NAMED_STRENGTH = 0.6  # strength of choices that are known by their name or form
_ECHO = 0.5  # share of rows in which a column repeats the right answer


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
        fits = fit_columns(given, table, columns) if given.choices else []
        best = choose_answer(fits, where)
        return _set_answer(given, best) if given.choices else replace(given, answer=find_best_named(table, columns))
    found = _find_source(given, table, columns, where, detect_answer=detect_answer, guess=guess)
    if found is None or isinstance(found, Layout):
        return found or given
    given = replace(given, choices=found.columns)
    if known:
        return given
    fits = fit_columns(given, table, [column for column in columns if column not in found.columns])
    return _set_answer(given, choose_answer(fits, where))


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
    fit = None if given.distractors else fit_column(given.answer, chosen, reader, table)
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
    fits = fit_columns(layout, table, others) if detect_answer or given.answer else []
    return max(fits, key=lambda fit: fit.value, default=None)


def _set_answer(given: Layout, fit: AnswerFit | None) -> Layout:
    if fit is None:
        return given
    if len(fit.columns) > 1:
        return replace(given, answer_columns=fit.columns, answer_kind="one_hot")
    marks = fit.columns[0] in (given.choices or ())
    return replace(given, answer=fit.columns[0], answer_kind="one_hot" if marks else given.answer_kind)


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
    return sum(same) >= AGREEING * len(same)


def _is_evidence(source: ChoiceSource, fit: AnswerFit, table: ColumnTable) -> bool:
    """Return whether the answers prove that columns of unknown names hold the choices."""
    places = {place for place in fit.places[0] if place is not None} if fit.places else set()
    size = len(source.columns) if len(source.columns) > 1 else 2
    return fit.share >= CERTAIN and fit.filled >= 0.5 and len(places) >= min(size, 3, table.rows)


def _have_different_texts(source: ChoiceSource, given: Layout, table: ColumnTable) -> bool:
    reader = ChoiceReader(replace(given, choices=source.columns), table)
    texts = [reader.read(row).choices.texts for row in range(table.rows)]
    return sum(len(set(each)) == len(each) for each in texts) >= 0.9 * len(texts)


def _without_inner(sources: Sequence[ChoiceSource]) -> list[ChoiceSource]:
    """Return the sources without the entries of other sources."""
    single = {source.columns[0] for source in sources if len(source.columns) == 1}
    return [s for s in sources if not any(s.columns[0].startswith(f"{column}.") for column in single)]
