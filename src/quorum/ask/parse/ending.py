"""Read the usual ending of a reply, "The answer is (C).", by one pattern: most replies need no other rule."""

import re
from collections.abc import Sequence
from functools import lru_cache

from quorum.ask.parse.clean import fold_letters
from quorum.ask.parse.denial import is_negated
from quorum.ask.parse.words import ANSWER_WORDS, NEXT_QUESTION, NEXT_WORDS

_ENDING = re.compile(
    r"(?:\A|(?P<stop>[.,;:\n])\s{0,3}|[!?)*]\s{0,3}|(?:[Ss]o|[Tt]hus|[Hh]ence|[Tt]herefore),? )\*{0,2}"
    r"(?:(?P<title>[Ff]inal [Aa]nswer):?\*{0,2}\s{1,3})?(?:[Tt]he )?"
    r"(?:[Ff]inal |[Cc]orrect |[Bb]est )?(?P<word>[Aa]nswer is:?|[Aa]nswer:|ANSWER:) {0,2}\*{0,2}\(?(?P<label>[A-Z])\)?"
    r"\*{0,2}[.\s]{0,9}\Z"
)
FURTHER_QUESTION = re.compile(f"(?i){NEXT_QUESTION}")
_MAYBE_NEXT = re.compile(rf"(?i)\n[ \t>*#\-_`~]{{0,8}}{NEXT_WORDS}")
_CLEANED = re.compile(r"<[/|｜A-Za-z]|\[INST\]|\r")  # marks that end a turn or a line
_QUOTED_FIELD = re.compile(r"[\"']\s{0,3}:")
_OTHER_STEMS = (
    "boxed",
    *(stem for stem in ANSWER_WORDS.stems + ANSWER_WORDS.joined_stems if not stem.startswith("ans")),
)
_ASCII_STEMS = tuple(filter(str.isascii, _OTHER_STEMS))
_ANS = re.compile("ans(?<![a-z]ans)(?![a-z])")
_LAST_WORDS = 60  # characters at the end in which the word "answer" has to be
_LEADING_WORDS = 40  # characters before that word in which the ending may start
_ENDING_TAIL = 300  # characters before the ending in which another claim would count


def read_ending(text: str, labels: Sequence[str], options: Sequence[str]) -> str | None:
    """Return the label of a reply that ends with one plain announcement; None: unknown, the rules have to read it.

    The result is always that of the rules: any sign of another claim, a retraction or markup that they would remove
    leaves the reply to them.
    """
    if len(labels) < 2 or _CLEANED.search(text):
        return None
    if maybe := _MAYBE_NEXT.search(text):
        asked = FURTHER_QUESTION.search(text)
        if asked is None or asked.start() != maybe.start():
            return None
        text = text[: asked.start()]
    word = max(text.rfind(each, -_LAST_WORDS) for each in ("nswer", "NSWER"))
    ending = _ENDING.search(text, max(0, word - _LEADING_WORDS)) if word >= 0 else None
    if ending is None or ending["label"] not in labels:
        return None
    tail = text[max(0, ending.start() - _ENDING_TAIL) :]
    start = ending.start("word") - len(text) + len(tail)
    if _announces_more(tail, 2 if ending["title"] else 1):
        return None
    if ending["stop"] is None and is_negated(tail, start):
        return None
    if _QUOTED_FIELD.search(text) or not (tail.isascii() or tail == fold_letters(tail)):
        return None
    if (ending["label"] == "I" and "II" in tail) or _speak_of_answers(tuple(options)):
        return None
    return ending["label"]


def _announces_more(text: str, count: int) -> bool:
    """Return whether `text` has more than `count` words that may announce an answer."""
    low = text.lower()
    if low.count("answer") > count or _ANS.search(low):
        return True
    return any(stem in low for stem in (_ASCII_STEMS if low.isascii() else _OTHER_STEMS))


@lru_cache(maxsize=256)
def _speak_of_answers(options: tuple[str, ...]) -> bool:
    """Return whether an option's text contains a word with which replies announce their answer."""
    return any("answer" in option or "boxed" in option for option in map(str.lower, options))
