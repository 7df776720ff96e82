"""How one label is written in a cell: "B", "b", "(B)", "1", "1.0", "option_2", "yes", or the option's own text."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from quorum.question import MOST_CHOICES, fold_text, letters

# What the first label is written as: an upper or lower case letter, an index from 0 or 1, a word, its option's text.
Alphabet = Literal["A", "a", "0", "1", "words", "text"]
_DECORATED = re.compile(
    r"(?P<prefix>[^\w+-]*(?:[^\W\d_]{2,}(?:[\s_.:#-]+|(?=[0-9])))?[^\w+-]*?)(?P<symbol>[A-Za-z]|[0-9]{1,2})(?P<suffix>\.0+|\s?[번番号號]|[^\w]*)"
)


@dataclass(frozen=True, slots=True)
class LabelStyle:
    """How labels are written: `prefix`, the symbol of `alphabet`, `suffix`; or one of `words`, in the order of labels.

    Labels beyond the last word, and labels in the alphabet "text" without known option texts, are written as they are.
    """

    alphabet: Alphabet = "A"
    prefix: str = ""
    suffix: str = ""
    words: tuple[str, ...] = ()

    def write(self, label: str, choices: Sequence[str] = ()) -> str:
        """Return the cell of a label (A, B …) of a question with these option texts."""
        known = letters(MOST_CHOICES)
        if label not in known:
            return label  # the number of an open question
        index = known.index(label)
        if self.alphabet == "text":
            return choices[index] if index < len(choices) else label
        if self.alphabet == "words":
            return self.words[index] if index < len(self.words) else label
        symbol = {"A": label, "a": label.lower(), "0": str(index), "1": str(index + 1)}[self.alphabet]
        return self.prefix + symbol + self.suffix

    def write_all(self, labels: Iterable[str], choices: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the cells of several labels."""
        return tuple(self.write(label, choices) for label in labels)


@dataclass(frozen=True, slots=True)
class Symbols:
    """Cells that are letters or small whole numbers, all with the same prefix and suffix.

    `values` are the letters in upper case, or the numbers, without repetition.
    """

    prefix: str
    suffix: str
    lower: bool
    values: tuple[str, ...]

    @property
    def numeric(self) -> bool:
        """Whether the symbols are numbers."""
        return self.values[0].isdigit()

    def style(self, base: Literal["0", "1"] = "0") -> LabelStyle:
        """Return the style of these symbols; `base` is the index of the first label if they are numbers."""
        alphabet: Alphabet = base if self.numeric else "a" if self.lower else "A"
        return LabelStyle(alphabet, self.prefix, self.suffix)


def find_symbols(cells: Iterable[str]) -> Symbols | None:
    """Return the symbols in cells that are all letters, or all numbers, with one decoration; None if they are not."""
    matches = [_DECORATED.fullmatch(cell) for cell in dict.fromkeys(cells)]
    found = [match for match in matches if match]
    if not found or len(found) < len(matches):
        return None
    symbols = [match["symbol"] for match in found]
    shapes = {(match["prefix"], match["suffix"], _kind_of_symbol(match["symbol"])) for match in found}
    if len(shapes) > 1:
        return None
    (prefix, suffix, _) = shapes.pop()
    values = tuple(dict.fromkeys(str(int(each)) if each.isdigit() else each.upper() for each in symbols))
    return Symbols(prefix, suffix, symbols[0].islower(), values)


def are_letters(labels: Iterable[str]) -> bool:
    """Return whether every label is a letter in any case and decoration."""
    found = [find_symbols([label]) for label in labels]
    return bool(found) and all(symbols is not None and not symbols.numeric for symbols in found)


def are_indices(labels: Iterable[str]) -> bool:
    """Return whether every label is a small whole number in any decoration."""
    found = [find_symbols([label]) for label in labels]
    return bool(found) and all(symbols is not None and symbols.numeric for symbols in found)


def find_index_base(values: Iterable[str], options: int) -> Literal["0", "1"] | None:
    """Return the index of the first label that indices show by their range; None if both fit, or none does.

    Args:
        values: the indices, as text.
        options: the largest number of options of a question; 0: not known.
    """
    numbers = {int(value) for value in values}
    if len(numbers) < 2:
        return None  # one value all over is a placeholder
    least, most = min(numbers), max(numbers)
    if least == 0 and (not options or most < options):
        return "0"
    return "1" if least >= 1 and options and most == options else None


def match_words(cells: Iterable[str], words: Sequence[str]) -> bool:
    """Return whether every cell is one of the words, in any case."""
    known = {fold_text(word) for word in words}
    return bool(known) and all(fold_text(cell) in known for cell in cells)


def _kind_of_symbol(symbol: str) -> str:
    return "digit" if symbol.isdigit() else "lower" if symbol.islower() else "upper"
