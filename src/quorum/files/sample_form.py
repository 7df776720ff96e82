"""Decide how a submission writes its answers, from the sample submission's cells and from train's own answers.

The kind of the sample's cells is evidence; the value of a constant sample is a placeholder and is not.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from quorum.data.yes_no import find_yes_no_pair, parse_yes_no
from quorum.errors import list_some
from quorum.files.cells import is_null, parse_cell_number
from quorum.files.form_setting import Form, FormSetting, RankedStyle, split_ranked_cells
from quorum.files.label_style import LabelStyle, Symbols, find_index_base, find_symbols, match_words
from quorum.files.sample_columns import (
    CellColumns,
    find_answer_columns,
    find_column_labels,
    find_numbered_stem,
    is_ranking,
    parse_share,
    read_column_labels,
)
from quorum.files.train_answers import AnswerEvidence
from quorum.question import fold_text, letters

_WHOLE_CELL = re.compile(r"[+-]?\d+|[+-]?\d{1,3}(,\d{3})+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundForm:
    """A form that was decided, with the reason for the report; or `conflict`, why none was.

    `columns` are the answer columns. `hints` are values of the setting `form` that would settle the conflict.
    """

    columns: tuple[str, ...] = ()
    form: Form = "letter"
    style: LabelStyle = LabelStyle()
    ranked: RankedStyle | None = None
    k: int = 1
    labels: tuple[str, ...] = ()
    reason: str = ""
    conflict: str = ""
    hints: tuple[str, ...] = ()


def decide_form(columns: CellColumns, ids: Sequence[str], evidence: AnswerEvidence) -> FoundForm:
    """Decide the form of a sample submission with these columns."""
    names = find_answer_columns(columns, evidence)
    if len(names) > 1:
        return _decide_several({name: columns[name] for name in names}, evidence)
    cells = [cell.strip() for cell in columns[names[0]]]
    found = _decide_single(dict(zip(ids, cells, strict=True)), evidence)
    return replace(found, columns=names)


def apply_setting(columns: CellColumns, setting: FormSetting, evidence: AnswerEvidence) -> FoundForm:
    """Return the form that a setting names, with the details that it leaves to the sample submission."""
    names = find_answer_columns(columns, evidence, setting.form)
    cells = [cell.strip() for name in names for cell in columns[name] if not is_null(cell)]
    style, ranked, k, labels = setting.style, setting.ranked, setting.k, setting.labels or ()
    match setting.form:
        case "letter" | "index0" | "index1":
            symbols = find_symbols(cells)
            if symbols and symbols.numeric == setting.form.startswith("index"):
                style = style if _is_decorated(style) else symbols.style("1" if setting.form == "index1" else "0")
        case "ranked" if len(names) > 1:
            symbols = find_symbols(cells)
            style, k = style or (symbols.style() if symbols else LabelStyle()), len(names)
        case "ranked" if style is None:
            split = split_ranked_cells(cells) if cells else None
            ranked = split[0] if split else RankedStyle()
            symbols = find_symbols(word for row in split[1] for word in row) if split else find_symbols(cells)
            if symbols:
                base = _choose_base(symbols, evidence)
                style = symbols.style(base or "0")
            k = max(map(len, split[1])) if split else 1
        case "probabilities" | "onehot" if not labels:
            labels = find_column_labels(names, evidence)
        case _:
            pass
    return FoundForm(
        columns=names, form=setting.form, style=style or LabelStyle(), ranked=ranked, k=k or 1, labels=labels
    )


def _decide_single(by_id: Mapping[str, str], evidence: AnswerEvidence) -> FoundForm:
    """Decide the form of one answer column."""
    cells = [cell for cell in by_id.values() if not is_null(cell)]
    train = evidence.style
    like_train = f"as {evidence.source} writes its answers"
    if not cells or (len(set(cells)) == 1 and not re.search(r"[^\W_]", cells[0])):  # such as "-" in every row
        return _follow_train(evidence, "the sample is blank") or _conflict(cells, "the sample is blank", evidence)
    words = _decide_words(cells, evidence)
    if words:
        return words
    split = split_ranked_cells(cells)
    if split:
        return _decide_ranked(*split, evidence)
    symbols = find_symbols(cells)
    if symbols and not symbols.numeric:
        return FoundForm(style=symbols.style(), reason="as the sample writes them")
    if evidence.kind == "open":
        return FoundForm(form="text", style=LabelStyle("text"), reason="the questions are open")
    if _are_option_texts(by_id, evidence):
        return FoundForm(form="text", style=LabelStyle("text"), reason="the sample holds option texts")
    numbers = [parse_share(cell) for cell in cells]
    if all(number is not None for number in numbers):
        fractions = [n for n in numbers if n is not None and not n.is_integer()]
        if fractions:
            return _decide_probability(cells, numbers, evidence)
        if evidence.kind == "text" and all(_is_number(text) for own in evidence.choices.values() for text in own):
            return FoundForm(form="text", style=LabelStyle("text"), reason=like_train)
    if symbols is None and len(set(cells)) == 1 and _WHOLE_CELL.fullmatch(cells[0]):
        symbols = Symbols("", "", False, ("0",))  # a placeholder such as -1 or 999
    if symbols:
        return _decide_index(cells, symbols, evidence)
    if train and train.alphabet == "text":
        return FoundForm(form="text", style=train, reason=like_train)
    return _conflict(cells, "the sample's cells are no labels", evidence)


def _follow_train(evidence: AnswerEvidence, why: str) -> FoundForm | None:
    """Return the form in which train writes its answers; None if that is not known."""
    reason = f"as {evidence.source} writes its answers; {why}"
    if evidence.kind == "open":
        return FoundForm(form="text", style=LabelStyle("text"), reason=f"the questions are open; {why}")
    style = evidence.style
    return FoundForm(form=_form_of(style), style=style, reason=reason) if style else None


def _decide_words(cells: Sequence[str], evidence: AnswerEvidence) -> FoundForm | None:
    """Return the form of cells that are train's words, or words for yes and no."""
    train = evidence.style
    if train and evidence.kind == "words" and match_words(cells, train.words):
        pair = find_yes_no_pair(cells) if len(train.words) == 2 else None
        by_meaning = {True: pair[0], False: pair[1]} if pair else {}
        meanings = [parse_yes_no(word) for word in train.words]
        if pair and set(meanings) == {True, False} and {fold_text(w) for w in pair} == set(map(fold_text, train.words)):
            words = tuple(by_meaning[bool(meaning)] for meaning in meanings)
            return FoundForm(form="words", style=LabelStyle("words", words=words), reason="as the sample writes them")
        return FoundForm(form="words", style=train, reason=f"as {evidence.source} writes its answers")
    pair = find_yes_no_pair(cells)
    letters_alone = all(len(cell) == 1 and cell.isascii() for cell in cells)
    if pair is None or (letters_alone and not (evidence.boolean or len(set(map(fold_text, cells))) == 2)):
        return None
    if letters_alone and evidence.kind == "letter":
        return None
    yes = evidence.yes_label
    if yes is None:
        return None
    words = pair if yes == "A" else (pair[1], pair[0])
    return FoundForm(form="words", style=LabelStyle("words", words=words), reason="as the sample writes yes and no")


def _decide_ranked(ranked: RankedStyle, rows: Sequence[Sequence[str]], evidence: AnswerEvidence) -> FoundForm:
    """Return the form of cells that list several labels."""
    k = max(map(len, rows))
    symbols = find_symbols(word for row in rows for word in row)
    base = _choose_base(symbols, evidence) if symbols and symbols.numeric else "0"
    if symbols is None or base is None:
        hints = tuple(f"ranked: {ranked.join([str(first + n) for n in range(k)])}" for first in (0, 1))
        return FoundForm(conflict="the sample lists numbers, from 0 or from 1", hints=hints)
    reason = f"the sample lists {k} labels"
    return FoundForm(form="ranked", style=symbols.style(base), ranked=ranked, k=k, reason=reason)


def _decide_probability(cells: Sequence[str], numbers: Sequence[float | None], evidence: AnswerEvidence) -> FoundForm:
    """Return the form of one column of fractions: the probability of one of two labels."""
    known = [number for number in numbers if number is not None]
    if not all(0 <= number <= 1 for number in known):
        return _conflict(cells, "the sample holds numbers that are no probabilities", evidence)
    binary = evidence.boolean or evidence.options in (0, 2)
    if not binary:
        return _conflict(
            cells, f"the sample holds one probability, but questions have up to {evidence.options} options", evidence
        )
    positive = evidence.yes_label
    if positive is None and evidence.style and evidence.style.alphabet == "0":
        positive = "B"  # train answers 0 and 1
    if positive is None:
        hints = ("probability: A", "probability: B")
        return FoundForm(
            conflict="the sample holds one probability, and train does not say of which label", hints=hints
        )
    meaning = evidence.style.write(positive) if evidence.style else positive
    reason = f"the sample holds one probability; it is that of {meaning!r}"
    return FoundForm(form="probability", labels=(positive,), reason=reason)


def _decide_index(cells: Sequence[str], symbols: Symbols, evidence: AnswerEvidence) -> FoundForm:
    """Return the form of a column of whole numbers."""
    train, shown = evidence.style, find_index_base(symbols.values, evidence.options)
    if train and evidence.kind == "index":
        base = train.alphabet
        if shown is not None and shown != base:
            hints = ("index0", "index1")
            conflict = f"{evidence.source} counts answers from {base}, the sample from {shown}"
            return FoundForm(conflict=conflict, hints=hints)
        reason = f"{evidence.source} counts from {base}"
        if len(symbols.values) == 1 and symbols.values[0] != base:
            reason += f"; the sample's {cells[0]} is a placeholder"
        return FoundForm(form=f"index{base}", style=symbols.style("1" if base == "1" else "0"), reason=reason)  # type: ignore[arg-type]
    if evidence.boolean and evidence.yes_label and set(symbols.values) <= {"0", "1"}:
        pair = (symbols.prefix + "1" + symbols.suffix, symbols.prefix + "0" + symbols.suffix)
        words = pair if evidence.yes_label == "A" else (pair[1], pair[0])
        return FoundForm(form="words", style=LabelStyle("words", words=words), reason="1 is yes, 0 is no")
    if shown is not None:
        return FoundForm(form=f"index{shown}", style=symbols.style(shown), reason=f"the sample counts from {shown}")  # type: ignore[arg-type]
    found = _describe_train(evidence)
    return FoundForm(
        conflict=f"the sample holds whole numbers{f', but {found}' if found else ''}",
        hints=("index0", "index1", "letter", "text"),
    )


def _decide_several(columns: CellColumns, evidence: AnswerEvidence) -> FoundForm:
    """Decide the form of an answer in several columns."""
    names = tuple(columns)
    cells = [cell.strip() for own in columns.values() for cell in own if not is_null(cell)]
    labels = read_column_labels(names, evidence)
    if not cells:
        if labels is None:
            return _conflict(cells, f"columns {', '.join(names)} are blank", evidence, names)
        return FoundForm(columns=names, form="probabilities", labels=labels, reason="a column for each label")
    numbers = [parse_share(cell) for cell in cells]
    if all(number is not None for number in numbers):
        numbered = is_ranking(names)
        if all(_WHOLE_CELL.fullmatch(cell) for cell in cells):
            if set(cells) <= {"0", "1"} and not (numbered and len(names) < max(evidence.options, 2)):
                reason = "each column is 0 or 1; set form to probabilities if it may hold probabilities"
                return FoundForm(columns=names, form="onehot", labels=labels or letters(len(names)), reason=reason)
            if numbered:
                return _decide_ranked_columns(names, cells, evidence)
        reason = "a column for each label" if labels else "a column for each label, by position"
        own = labels or letters(len(names))
        return FoundForm(columns=names, form="probabilities", labels=own, reason=reason)
    if find_numbered_stem(names) is not None and find_symbols(cells):
        return _decide_ranked_columns(names, cells, evidence)
    return _conflict(cells, f"{len(names)} columns could hold the answer", evidence, names)


def _decide_ranked_columns(names: tuple[str, ...], cells: Sequence[str], evidence: AnswerEvidence) -> FoundForm:
    symbols = find_symbols(cells)
    base = _choose_base(symbols, evidence) if symbols and symbols.numeric else "0"
    if symbols is None or base is None:
        return FoundForm(
            columns=names,
            conflict="the sample ranks numbers, from 0 or from 1",
            hints=("ranked: 0", "ranked: 1"),
        )
    reason = f"the sample ranks labels in {len(names)} columns"
    return FoundForm(columns=names, form="ranked", style=symbols.style(base), k=len(names), reason=reason)


def _choose_base(symbols: Symbols, evidence: AnswerEvidence) -> Literal["0", "1"] | None:
    """Return the index of the first label: as the sample's range shows it, else as train counts."""
    if not symbols.numeric:
        return "0"
    shown = find_index_base(symbols.values, evidence.options)
    if evidence.kind == "index" and evidence.style:
        own: Literal["0", "1"] = "1" if evidence.style.alphabet == "1" else "0"
        return own if shown in (None, own) else None
    if shown is None and "0" in symbols.values:
        return "0"
    return shown


def _are_option_texts(by_id: Mapping[str, str], evidence: AnswerEvidence) -> bool:
    """Return whether most cells are the text of one of their own question's options."""
    pairs = [(fold_text(cell), evidence.choices[id]) for id, cell in by_id.items() if id in evidence.choices]
    fits = sum(cell in map(fold_text, own) for cell, own in pairs)
    return len({cell for cell, _ in pairs}) > 1 and fits >= 0.9 * len(by_id)


def _conflict(cells: Sequence[str], why: str, evidence: AnswerEvidence, columns: tuple[str, ...] = ()) -> FoundForm:
    found = _describe_train(evidence)
    shown = list_some(sorted(set(map(repr, cells)))) or "empty cells"
    return FoundForm(conflict=f"{why} ({shown}){f', and {found}' if found else ''}", columns=columns)


def _describe_train(evidence: AnswerEvidence) -> str:
    style = evidence.style
    if style is None or style.alphabet == "text":
        return "" if style is None else f"{evidence.source} answers with the option's text"
    examples = style.words[:3] or style.write_all(letters(3))
    return f"{evidence.source} writes {', '.join(examples)} …"


def _form_of(style: LabelStyle) -> Form:
    forms: Mapping[str, Form] = {"a": "letter", "0": "index0", "1": "index1", "words": "words", "text": "text"}
    return forms.get(style.alphabet, "letter")


def _is_decorated(style: LabelStyle | None) -> bool:
    return style is not None and (style.alphabet == "a" or bool(style.prefix or style.suffix))


def _is_number(text: str) -> bool:
    return parse_cell_number(text.strip()) is not None
