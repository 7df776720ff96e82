"""Split text into the words by which questions are compared, in any language."""

import re
import unicodedata
from functools import cache

from quorum.question import fold_text

_UNSPACED = (  # scripts without spaces between words: each character is a word
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_AMPERSAND = re.compile(r"(?<=\w) & (?=\w)")  # between words it is "and"
_OPERATORS = "-+*/=<>^%&|~"  # they tell formulas and code apart; a hyphen between letters is none


def split_into_words(text: str) -> list[str]:
    """Return the words, numbers and operators of `text`, folded by `fold_text`; other punctuation is left out.

    A number keeps its points and commas ("1,200.5"). A character of a script without spaces, such as Chinese or Thai,
    is a word.
    """
    folded = fold_text(text)
    return _compile_word().findall(_AMPERSAND.sub(" and ", folded) if "&" in folded else folded)


def split_part(text: str) -> list[str]:
    """Return the words of a text; a text without words, such as "?!", counts as one word, a blank one as none."""
    return split_into_words(text) or ([fold_text(text)] if text.strip() else [])


def is_number(word: str) -> bool:
    """Return whether a word of `split_into_words` is a number."""
    return word[:1].isdecimal()


@cache
def _compile_word() -> re.Pattern[str]:
    """Return the pattern of one word. Marks count as letters: the vowels of Indic scripts are such marks."""
    characters = (chr(code) for code in range(0x10000))
    apart = "".join(char for char in characters if unicodedata.category(char)[0] in "PSZC")
    symbols = "".join(char for char in apart if unicodedata.category(char) == "Sm" and char not in _OPERATORS)
    letter = rf"[^\d{re.escape(apart)}{_UNSPACED}]"
    rest = rf"[^{re.escape(apart)}{_UNSPACED}]*"
    number = r"\d+(?:[.,]\d+)*"
    hyphen = rf"(?<!{letter})-|-(?!{letter})"
    return re.compile(rf"{letter}{rest}|{number}|[{_UNSPACED}]|[{re.escape(_OPERATORS[1:] + symbols)}]|{hyphen}")
