"""Find the number that a reply to an open question states as its answer."""

import re
from collections.abc import Iterator
from itertools import islice

from quorum.ask.parse.claim import NO_LABEL, Claim
from quorum.ask.parse.denial import is_negated, is_unlinked
from quorum.ask.parse.places import PlaceFinder
from quorum.ask.parse.words import (
    ANSWER_WORDS,
    CONDITION_WORDS,
    HYPOTHETICAL_WORDS,
    LINK_WORDS,
    NONE_OF_THESE,
)
from quorum.number import NUMBER, canonical_match

_LONE_NUMBER = re.compile(
    rf"(?<![A-Za-z0-9_.,])(?<!\d[:/])(?<!\^)(?<!\^\{{)(?<!sqrt\{{)(?:{NUMBER})(?!\d|[:/.,]\d|\s?(?:\^|\\sqrt|\\pi|π|√)|\.\.|…)"
)
_PLACE = PlaceFinder(
    re.compile(rf"(?i)(?P<box>\\(?:f?boxed|fbox)\s?\{{)|(?P<hashes>####)|{ANSWER_WORDS}"),
    ("\\boxed", "\\fbox", "####", *ANSWER_WORDS.stems),
    ANSWER_WORDS.joined_stems,
)
_WORTH = re.compile(rf"(?i){LINK_WORDS}")
_NO_NUMBER = re.compile(rf"(?i)[\s:\"'(]{{0,6}}(?:{NONE_OF_THESE})")
_PHRASE_END = re.compile(r"[.!?](?=\s|$)|[\n<。]")
_BOX_END = re.compile(r"\}(?!\s?[{}])")
_ANOTHER = re.compile(r"(?:-|–|~|\b(?:to|and|or|und|oder|et|ou|y|o|và|hoặc)\s|,)\s?[$€£]?$")
_OTHER_UNKNOWN = re.compile(r"(?:and|,|;)\s{0,3}[A-Za-z]\w{0,10}\s?=")
_DENIED_FIRST = re.compile(r"(?i)\s{0,3}(?:not|n['’]t|nicht|pas|no)\b")
_OPERAND_BEFORE = re.compile(r"(?:(?<![A-Za-z])[A-Za-z]|\d[A-Za-z]|[)\]}])\s?(?:[-+*/^×÷·−]\s?)?$")
_OPERATOR_BEFORE = re.compile(r"[-+*/^×÷·−]\s?$")
_OPERAND_AFTER = re.compile(  # a dash may come before "a dozen"
    r"\s?[+*/^×÷·]\s?(?:\d{0,9}[A-Za-z](?![A-Za-z])|\()|\s?[-−]\s?\d{0,9}[B-HJ-Zb-z](?![A-Za-z])|[xyzn](?![A-Za-z])|\([A-Za-z]"
)
_NEGATIVE = re.compile(r"(?i)(?:\bnegative|(?:\bis|=|:)\s{0,2}minus)\s[$€£]?\Z")
_CONDITIONAL = re.compile(f"(?i){CONDITION_WORDS}")
_HYPOTHETICAL = re.compile(f"(?i){HYPOTHETICAL_WORDS}")
_SENTENCE_START = re.compile(r"[.!?。]\s|\n")
_EQUALS = re.compile(r"[=≈]")

_FIELD_END = re.compile(r"\n|[\"”](?=\s{0,3}[,}\]])")
_PHRASE = 300  # characters after an announcing word in which its number may be
_FIELD_LENGTH = 2000  # characters of an answer field to read


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
    if _is_term(text, numbers[0]) or _DENIED_FIRST.match(text, start) or _OTHER_UNKNOWN.search(text, start, end):
        return
    several = len(numbers) == 2 and _ANOTHER.search(text[numbers[0].end() : numbers[1].start()])
    if len(numbers) == 2 and numbers[1]["sign"] and not text[numbers[0].end() : numbers[1].start()].strip():
        return  # "20 - 10"
    values = [_read_number(text, number) for number in (numbers if several else numbers[:1])]
    labels = tuple(dict.fromkeys(value for value in values if value is not None))
    if labels:
        yield Claim(labels, start, numbers[0].end())


def _read_number(text: str, number: re.Match[str]) -> str | None:
    """Return the canonical number of a match, with the sign before it in words: "negative 4"."""
    value = canonical_match(number)
    negative = _NEGATIVE.search(text, max(0, number.start() - 20), number.start())
    return f"-{value}" if value and negative and value != "0" and value[0] != "-" else value


def is_hypothetical(text: str, start: int, end: int) -> bool:
    """Return whether the sentence text[start:end] is about another case: "if she had sold all, it would be 3100"."""
    return bool(
        not _EQUALS.search(text, start, end)
        and _HYPOTHETICAL.search(text, start, end)
        and _CONDITIONAL.search(text, start, end)
    )


def _is_term(text: str, number: re.Match[str]) -> bool:
    """Return whether a number is a part of an expression with an unknown: "x - 10", "2y", "3(x + 1)"."""
    if _OPERAND_AFTER.match(text, number.end()):
        return True
    before = text[max(0, number.start() - 6) : number.start()]
    joined = number["sign"] is not None or _OPERATOR_BEFORE.search(before)
    return bool(joined and _OPERAND_BEFORE.search(before))


def _find_numbers_at(text: str, place: re.Match[str]) -> Iterator[Claim]:
    start = place.end()
    if place["box"] or place["hashes"]:
        yield from parse_number_phrase(
            text, start, _find_phrase_end(_BOX_END if place["box"] else _PHRASE_END, text, start)
        )
        return
    if is_negated(text, place.start()):
        return
    link = _WORTH.search(text, start, _find_phrase_end(_PHRASE_END, text, start))
    if link is None or is_unlinked(text, start, link):
        return
    if none := _NO_NUMBER.match(text, link.end()):
        yield Claim((NO_LABEL,), start, none.end())
        return
    begin = link.end() + len(text[link.end() : link.end() + 9]) - len(text[link.end() : link.end() + 9].lstrip())
    end = _find_phrase_end(_PHRASE_END, text, begin)
    if is_hypothetical(text, _find_sentence_start(text, start), end):
        return
    if link[0] == ":" and _EQUALS.search(text, begin, end) and (last := _find_last_part(text, end)):
        yield from parse_number_phrase(text, *last, lone=True)
    else:
        yield from parse_number_phrase(text, begin, end)


def _find_last_part(text: str, end: int) -> tuple[int, int] | None:
    """Return the start and end of the last sentence of a field whose first one ends at `end`; None: it has only one.

    The calculation in such a field goes on: "Answer: 3 * 5 = 15 apples. She eats 4, so 15 - 4 = 11."
    """
    stop = _FIELD_END.search(text, end, end + _FIELD_LENGTH)
    limit = stop.start() if stop else min(len(text), end + _FIELD_LENGTH)
    limit = end + len(text[end:limit].rstrip())
    starts = [found.end() for found in _SENTENCE_START.finditer(text, end, limit)]
    return (starts[-1], limit) if starts and _EQUALS.search(text, starts[-1], limit) else None


def _find_sentence_start(text: str, place: int) -> int:
    first = max(0, place - _PHRASE)
    return max((found.end() for found in _SENTENCE_START.finditer(text, first, place)), default=first)


def _find_phrase_end(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Return the end of the phrase that begins at `start`."""
    found = pattern.search(text, start, start + _PHRASE)
    return found.start() if found else min(len(text), start + _PHRASE)
