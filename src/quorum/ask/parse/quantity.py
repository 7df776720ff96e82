"""Find the number that a reply to an open question states as its answer."""

import re
from collections.abc import Iterator
from itertools import islice

from quorum.ask.parse.claim import NO_LABEL, Claim
from quorum.ask.parse.places import PlaceFinder
from quorum.ask.parse.words import ANSWER_WORDS, LINK_WORDS, NONE_OF_THESE, NOT_BEFORE, NOT_LINKED
from quorum.number import NUMBER, canonical_match

_LONE_NUMBER = re.compile(
    rf"(?<![A-Za-z0-9_.,])(?<!\d[:/])(?<!\^)(?<!\^\{{)(?<!sqrt\{{)(?:{NUMBER})(?!\d|[:/.,]\d|\s?(?:\^|\\sqrt|\\pi|π|√)|\.\.|…)"
)
_PLACE = PlaceFinder(
    re.compile(rf"(?i)(?P<box>\\(?:f?boxed|fbox)\s?\{{)|(?P<hashes>####)|{ANSWER_WORDS}"),
    ("\\boxed", "\\fbox", "####", *ANSWER_WORDS.stems),
)
_WORTH = re.compile(rf"(?i){LINK_WORDS}")
_BEFORE, _LINKED = re.compile(f"(?i){NOT_BEFORE}"), re.compile(f"(?i){NOT_LINKED}")
_NO_NUMBER = re.compile(rf"(?i)[\s:\"'(]{{0,6}}(?:{NONE_OF_THESE})")
_PHRASE_END = re.compile(r"[.!?](?=\s|$)|[\n<。]")
_BOX_END = re.compile(r"\}(?!\s?[{}])")
_ANOTHER = re.compile(r"(?:-|–|~|\b(?:to|and|or|und|oder|et|ou|y|o|và|hoặc)\s|,)\s?[$€£]?$")
_OTHER_UNKNOWN = re.compile(r"(?:and|,|;)\s{0,3}[A-Za-z]\w{0,10}\s?=")
_DENIED_FIRST = re.compile(r"(?i)\s{0,3}(?:not|n['’]t|nicht|pas|no)\b")
_EQUALS = re.compile(r"[=≈]")

_PHRASE = 160  # characters after an announcing word in which its number may be


def find_announced_numbers(text: str) -> list[Claim]:
    """Find the numbers that the text calls its answer: "#### 18", \\boxed{18}, "the answer is $18", {"answer": 18}."""
    return [claim for place in _PLACE.find_all(text) for claim in _find_numbers_at(text, place)]


def parse_number_phrase(text: str, start: int, end: int, *, lone: bool = False) -> Iterator[Claim]:
    """Yield the number of text[start:end]: the one after its last "=", at its start, or the only one in it.

    Args:
        lone: accept only one number in the whole text, or after the last "=" if there is one.
    """
    equals = list(_EQUALS.finditer(text, start, end))
    begin = equals[-1].end() if equals else start
    numbers = list(islice(_LONE_NUMBER.finditer(text, begin, end), 2))
    at_once = bool(numbers) and not equals and not lone and not re.search(r"\w", text[begin : numbers[0].start()])
    if not numbers or (len(numbers) == 2 and not at_once):
        return
    if _DENIED_FIRST.match(text, start) or _OTHER_UNKNOWN.search(text, start, end):
        return
    several = len(numbers) == 2 and _ANOTHER.search(text[numbers[0].end() : numbers[1].start()])
    values = [canonical_match(number) for number in (numbers if several else numbers[:1])]
    labels = tuple(dict.fromkeys(value for value in values if value is not None))
    if labels:
        yield Claim(labels, start, numbers[0].end())


def _find_numbers_at(text: str, place: re.Match[str]) -> Iterator[Claim]:
    start = place.end()
    if place["box"] or place["hashes"]:
        yield from parse_number_phrase(
            text, start, _find_phrase_end(_BOX_END if place["box"] else _PHRASE_END, text, start)
        )
        return
    if _BEFORE.search(text, max(0, place.start() - 40), place.start()):
        return
    link = _WORTH.search(text, start, _find_phrase_end(_PHRASE_END, text, start))
    if link is None or _LINKED.search(text, max(start, link.start() - 12), link.start()):
        return
    if none := _NO_NUMBER.match(text, link.end()):
        yield Claim((NO_LABEL,), start, none.end())
        return
    begin = link.end() + len(text[link.end() : link.end() + 9]) - len(text[link.end() : link.end() + 9].lstrip())
    yield from parse_number_phrase(text, begin, _find_phrase_end(_PHRASE_END, text, begin))


def _find_phrase_end(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Return the end of the phrase that begins at `start`."""
    found = pattern.search(text, start, start + _PHRASE)
    return found.start() if found else min(len(text), start + _PHRASE)
