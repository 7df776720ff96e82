"""Recognise words around an announcement that deny or condition it: "if the answer", "the answer is not"."""

import re

from quorum.ask.parse.words import NOT_BEFORE, NOT_LINKED

_NOT_BEFORE, _NOT_LINKED = re.compile(f"(?i){NOT_BEFORE}"), re.compile(f"(?i){NOT_LINKED}")
_OTHER_QUESTION = re.compile(
    r"(?i)\b(?:if\s(?:the|this)\s(?:question|problem|task|exercise|wording)\s(?:had|were|was|asked|did)"
    r"|if\s(?:we|you|it)\s(?:were|had|had been)\sasked|had\s(?:the|this)\s(?:question|problem|task|exercise))\b"
    r"[^.\n]*\Z"
)
_MAY_BE_OTHER = re.compile(r"(?i)\b(?:if|had)\s")

_OTHER_WINDOW = 110  # characters before an announcing word in which another question may be mentioned


def is_negated(text: str, start: int) -> bool:
    """Return whether the words before an announcing word deny or condition it: "if the answer".

    Also those about another question: "if the question were about Sydney, the answer would be".
    """
    window = text[max(0, start - _OTHER_WINDOW) : start]
    if _MAY_BE_OTHER.search(window) and _OTHER_QUESTION.search(window):
        return True
    first = max(0, start - 40)
    stops = (text.rfind(stop, first, start) for stop in ".\n,;:")  # denials do not reach beyond these
    return _NOT_BEFORE.search(text, max(first, *(stop + 1 for stop in stops)), start) is not None


def is_unlinked(text: str, start: int, link: re.Match[str]) -> bool:
    """Return whether the words just before a link, from `start` on, deny it: "the answer not is", "isn't"."""
    return _NOT_LINKED.search(text, max(start, link.start() - 12), link.start()) is not None
