"""Tell what a choice's text says about the other choices: all or none of them, or their letters."""

import re
from collections.abc import Sequence

from quorum.question import fold_text

_ALL_OR_NONE = re.compile(
    r"\W*(?:all|none|both|neither|any)\b(?: \w+){0,3}? "
    r"(?:above|these|those|them|mentioned|listed|following|others?|options?|choices|answers)\b"
)
_LETTER = r"\(?([a-z])\)?"
_CITES = re.compile(
    r"[\s\"'(]*(?:(?:both|only|neither|either|all of|options?|choices?|answers?|statements?) )*"
    rf"{_LETTER}(?: *(?:(?:,|&|and |or |nor ) *)+{_LETTER})+(?: (?:only|both|(?:is|are)\b.*))?[\s\"').!]*"
)


def is_all_or_none(choice: str) -> bool:
    """Return whether a choice is like "all of the above" or "none of these"; such a choice has to be last."""
    return _ALL_OR_NONE.match(fold_text(choice)) is not None


def cites_letters(choice: str, labels: Sequence[str]) -> bool:
    """Return whether a choice cites other labels, like "Both A and C"; its question cannot be shuffled."""
    text = fold_text(choice)
    if _CITES.fullmatch(text) is None:
        return False
    return {letter.upper() for letter in re.findall(r"(?<![a-z'])[a-z](?![a-z'])", text)} <= set(labels)
