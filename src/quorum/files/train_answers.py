"""How a labelled file writes its answers: what a submission is expected to look like too."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from quorum.data.read import QUESTIONS, Table
from quorum.data.records import Record
from quorum.data.repair import answer_to_label
from quorum.data.yes_no import parse_yes_no
from quorum.files.label_style import Alphabet, LabelStyle, find_symbols
from quorum.question import MOST_CHOICES, fold_text, letters

_LEAST_SHARE = 0.8  # of the answers must fit a style; the others are dirty cells such as "ANSWER: C"

Choices = Mapping[str, Sequence[str]]  # option texts by question id


CellKind = Literal["letter", "index", "words", "text", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEvidence:
    """What is known about a competition's answers, apart from its sample submission.

    Attributes:
        style: how train writes its labels; None: not known.
        kind: what train's cells are; "open": answers to questions without options; None: not known.
        boolean: the questions are answered yes or no and list no options of their own.
        column: the name of train's answer column.
        options: the largest number of options of a question; 0: not known, or open questions.
        choices: the options of the test questions.
        source: the name of the labelled file.
    """

    style: LabelStyle | None = None
    kind: CellKind | None = None
    boolean: bool = False
    column: str | None = None
    options: int = 0
    choices: Choices = field(default_factory=dict)
    source: str = "train"

    @property
    def yes_label(self) -> str | None:
        """The label that means yes, of questions with two options; None if no label does, or it is not known."""
        words = self.style.words if self.style and self.kind == "words" else ()
        texts = {tuple(map(parse_yes_no, own)) for own in (list(self.choices.values()) or [words])}
        for meanings in (texts, {tuple(map(parse_yes_no, words))}):
            if len(meanings) == 1 and sorted(map(str, meaning := next(iter(meanings)))) == ["False", "True"]:
                return letters(2)[meaning.index(True)]
        return None


def collect_evidence(train: Table | None, choices: Choices | None = None) -> AnswerEvidence:
    """Return what labelled questions, and the options of the questions to answer, show about the answers' form.

    A file of `write_questions` does not show how its competition writes answers: its labels are always letters.

    Args:
        choices: the options of the questions to answer, empty if they are open; None: not known.
    """
    own = choices or {}
    records = train.records if train else ()
    options = max((len(texts) for texts in (*own.values(), *(record.choices for record in records))), default=0)
    if train is None or not train.labelled:
        return AnswerEvidence(options=options, choices=own, kind=None if choices is None or choices else "open")
    if train.open:
        return AnswerEvidence(kind="open", column=train.layout.answer, choices=own, source=train.path.name)
    canonical = train.columns == tuple(QUESTIONS)
    boolean = not canonical and not train.layout.choices and options == 2
    style = None if canonical else find_answer_style(records, boolean)
    return AnswerEvidence(
        style=style,
        kind=_KINDS_OF_STYLE[style.alphabet] if style else None,
        boolean=boolean,
        column=train.layout.answer,
        options=options,
        choices=own,
        source=train.path.name,
    )


def find_answer_style(records: Sequence[Record], boolean: bool) -> LabelStyle | None:
    """Return the style in which most of the records' answers are written; None if no style fits four in five.

    Args:
        boolean: the questions list no options: their answers are words such as yes and no.
    """
    pairs = [
        (record.raw_answer.strip(), label, record.choices)
        for record in records
        if record.raw_answer and record.choices and (label := record.answer or answer_to_label(record))
    ]
    if not pairs:
        return None
    finders = (_find_symbol_styles, _find_words, _find_texts) if boolean else _FINDERS
    candidates = [style for find in finders for style in find(pairs)]
    fits = [sum(_fits(style, *pair) for pair in pairs) for style in candidates]
    best = max(fits, default=0)
    return candidates[fits.index(best)] if best >= _LEAST_SHARE * len(pairs) else None


_Pair = tuple[str, str, Sequence[str]]  # a raw answer, its label, the options


def _fits(style: LabelStyle, raw: str, label: str, choices: Sequence[str]) -> bool:
    written = style.write(label, choices)
    return raw == written if style.alphabet in ("A", "a") else fold_text(raw) == fold_text(written)


def _find_symbol_styles(pairs: Sequence[_Pair]) -> list[LabelStyle]:
    """Return the letter and index styles whose decoration occurs most often."""
    shapes: Counter[tuple[Alphabet, str, str]] = Counter()
    for raw, label, _ in pairs:
        symbols = find_symbols([raw])
        if symbols is None:
            continue
        if not symbols.numeric:
            shapes["a" if symbols.lower else "A", symbols.prefix, symbols.suffix] += 1
        else:
            base = int(symbols.values[0]) - letters(MOST_CHOICES).index(label)
            if base in (0, 1):
                shapes["1" if base else "0", symbols.prefix, symbols.suffix] += 1
    return [LabelStyle(*shape) for shape, _ in shapes.most_common(2)]


def _find_words(pairs: Sequence[_Pair]) -> list[LabelStyle]:
    """Return the words of answers that mean the same label in every row, such as True and False."""
    meant: dict[str, Counter[str]] = {}
    for raw, label, _ in pairs:
        meant.setdefault(label, Counter())[raw] += 1
    labels = letters(max(letters(MOST_CHOICES).index(label) for label in meant) + 1)
    words = [meant[label].most_common(1)[0][0] if label in meant else "" for label in labels]
    if len(labels) < 2 or "" in words or len(set(map(fold_text, words))) < len(words):
        return []
    return [LabelStyle("words", words=tuple(words))]


def _find_texts(pairs: Sequence[_Pair]) -> list[LabelStyle]:
    return [LabelStyle("text")]


_KINDS_OF_STYLE: Mapping[Alphabet, CellKind] = {
    "A": "letter",
    "a": "letter",
    "0": "index",
    "1": "index",
    "words": "words",
    "text": "text",
}
_FINDERS: tuple[Callable[[Sequence[_Pair]], list[LabelStyle]], ...] = (_find_symbol_styles, _find_texts, _find_words)
