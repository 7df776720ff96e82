"""Find an option by its text, for replies that give the text in place of the label."""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice

from quorum.ask.parse.clean import strip_markup
from quorum.ask.parse.words import AND_WORDS, FILLING_WORDS

# An option's words, numbers and symbols -> its label.
OptionTexts = Mapping[tuple[str, ...], str]

_PIECE = re.compile(r"\d{1,30}(?:[.,]\d{1,30})*|[^\W\d_]+|[^\w\s.,;:!?\"'()\[\]{}$\\“”‘’]")
_FILLING = re.compile(rf"(?i)[\s:\"'“”‘’=$≈]{{0,8}}({FILLING_WORDS})[\s\"'“”‘’≈]{{0,4}}")
_UNIT_AND_END = re.compile(r"\s?(?:[^\W\d_]{1,12}\s?)?(?:[.,;:!?)\]}\"'\n]|$)")
_JOINED = re.compile(rf"(?i)\s?{AND_WORDS}\s")
_ARTICLES = {"the", "a", "an", "der", "die", "das", "le", "la", "les", "el", "los", "un", "une", "una", "ein", "eine"}
_THOUSANDS = re.compile(r",(?=(?:\d{2},){0,9}\d{3}(?!\d))")
_PIECES = 60  # number of words, numbers and symbols of an option to compare


@lru_cache(maxsize=256)  # several votes on one question
def index_option_texts(labels: tuple[str, ...], options: tuple[str, ...]) -> OptionTexts:
    """Return the label of each option text; texts that occur twice or are empty are left out."""
    pieces = [_split_option(strip_markup(option)) for option in options]
    return {text: label for label, text in zip(labels, pieces, strict=True) if text and pieces.count(text) == 1}


def find_option_at(text: str, place: int, texts: OptionTexts) -> tuple[str, int] | None:
    """Return the label of the option whose text is at `place`, and the text's end; None if there is none or two.

    The longest of several matching options counts. A number has to be followed by the end of the phrase or a unit.
    """
    found = _match_option_at(text, place, texts)
    if found is None or ((joint := _JOINED.match(text, found[1])) and _match_option_at(text, joint.end(), texts)):
        return None
    return found


def _match_option_at(text: str, place: int, texts: OptionTexts) -> tuple[str, int] | None:
    filling = _FILLING.match(text, place) if texts else None
    if filling is None:
        return None
    return _match_longest_option(text, filling.start(1), texts) or _match_longest_option(text, filling.end(), texts)


def _match_longest_option(text: str, place: int, texts: OptionTexts) -> tuple[str, int] | None:
    first = _PIECE.search(text, place, place + 20)
    if first is None or not any(_fold_piece(first[0]) == option[0] for option in texts):
        return None
    found = list(islice(_PIECE.finditer(text, place), _PIECES))
    pieces = tuple(_fold_piece(piece[0]) for piece in found)
    best = max((option for option in texts if option == pieces[: len(option)]), key=len, default=None)
    if best is None or re.search(r"\w", text[place : found[0].start()]):
        return None
    end = found[len(best) - 1].end()
    in_words = any(len(piece) > 2 and piece.isalpha() for piece in best)
    return (texts[best], end) if in_words or _UNIT_AND_END.match(text, end) else None


def match_option_line(line: str, texts: OptionTexts) -> str | None:
    """Return the label of the option whose text is the whole line."""
    return texts.get(_split_option(line)) if texts else None


def _split_option(text: str) -> tuple[str, ...]:
    """Return the folded pieces of a text without a leading article: "the nucleus" and "nucleus" are the same."""
    if text.isascii() and "," not in text:
        pieces = tuple(_PIECE.findall(text.lower())[:_PIECES])
    else:
        pieces = tuple(_fold_piece(piece[0]) for piece in islice(_PIECE.finditer(text), _PIECES))
    return pieces[1:] if len(pieces) > 1 and pieces[0] in _ARTICLES else pieces


def _fold_piece(text: str) -> str:
    """Return a word in lower case, or a number without commas between thousands."""
    return (_THOUSANDS.sub("", text) if "," in text else text).casefold()
