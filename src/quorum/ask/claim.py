"""The places where a reply says which answer it gives.

Every pattern here is bounded and every place is looked at once: the time is linear in the length of the reply.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from quorum.ask.words import (
    AFTER_WORD,
    AND_WORDS,
    ANSWER_WORDS,
    BECAUSE_WORDS,
    BEFORE_WORD,
    CHOICE_WORDS,
    CHOOSE_WORDS,
    FILLING_WORDS,
    GOOD_AFTER,
    GOOD_WORDS,
    LINK_WORDS,
    NONE_OF_THESE,
    NOT_AFTER,
    NOT_BEFORE,
    NOT_LINKED,
    REVISING_WORDS,
    THEREFORE_WORDS,
)

NO_LABEL = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """One place: the labels it names (two are one claim of two; NO_LABEL says "none of these"), and where it stands."""

    labels: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class LabelPatterns:
    """The patterns of one set of labels; the groups of each hold the label."""

    value: re.Pattern[str]  # after a word that announces it: " is clearly option (D) because"
    more: re.Pattern[str]  # after another label: " and (C)"
    firm: re.Pattern[str]  # in brackets, or with nothing after it
    judged: re.Pattern[str]  # "(C) is the correct answer"
    line: re.Pattern[str]  # at the start of a line: "C. text"
    named: re.Pattern[str]  # in brackets, or after the word option
    canonical: Mapping[str, str]

    def label(self, found: re.Match[str]) -> str:
        """The label in a match of one of the patterns."""
        return self.canonical[next(group for group in found.groups() if group).casefold()]


_EAST = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_CLOSED = rf"(?:\s{{0,3}}(?:$|[\n,;!?。、)\]}}\"”»」』】|$]|\.(?!\d)|:(?!\w)|['’](?![a-z])|</)|\s?[{_EAST}])"
_GOES_ON = (
    rf"(?:\s{{1,3}}[-–—]\s?(?!\w\b)|\s[(\[](?!\w\b)|\s{{1,3}}(?:{BECAUSE_WORDS}){AFTER_WORD})"  # what explains a label
)
_ANNOUNCED = re.compile(rf"(?i)(?P<box>\\f?boxed\s?\{{)|{ANSWER_WORDS}")
_CHOICE = re.compile(rf"(?i){CHOICE_WORDS}")
_LINK = re.compile(rf"(?i){LINK_WORDS}")
_CHOSEN = re.compile(rf"(?i){CHOOSE_WORDS}|{THEREFORE_WORDS},?")
_NONE = re.compile(rf"(?i)[\s:\"'(\[]{{0,6}}(?:the )?(?:{NONE_OF_THESE})")
_NOT_BEFORE, _NOT_LINKED, _NOT_AFTER = (re.compile(f"(?i){words}") for words in (NOT_BEFORE, NOT_LINKED, NOT_AFTER))
_REVISED = re.compile(f"(?i){REVISING_WORDS}")
_ASIDE = re.compile(r"(?i)^\s?(?:choices|options|key|sheet)|n['’]t|\bnot\b|incorrect|wrong")
_JOINED = re.compile(r"(?i)(?:and|or|nor|&|than|not|neither|und|oder|et|ou)\s{1,2}(?:option\s|choice\s)?$")
_SENTENCE_END = re.compile(r"[.!?](?=\s)|\n|。")

_WINDOW = 110  # characters after an announcing word in which its claim may start
_LINKS = 4  # places in a window that are looked at
_NEAR = 80  # claims with fewer characters between them, and no word of revision there, are one claim


@lru_cache(maxsize=64)
def label_patterns(labels: tuple[str, ...]) -> LabelPatterns:
    """The patterns for `labels`: letters stand in capitals or in brackets, words (TRUE, FALSE) as they like."""
    single = all(len(label) == 1 for label in labels)
    one = "|".join(re.escape(label.upper()) for label in labels)
    one = one if single else f"(?i:{one})"
    # "(b)" may be part (b) of a question: in small letters a label needs the end of its phrase after it
    small = rf"(?i:{one})(?=[\"']?\s?[)\]}}>」】]{_CLOSED})" if single else "(?!)"
    bracketed = rf"[(\[{{「【<]\s?(?i:option\s|choice\s)?[\"']?((?:{one})|{small})[\"']?\s?[)\]}}>」】]"
    opening = r"(?<![A-Za-zÀ-ỹ0-9_\\^])"
    if single:
        # a capital after A or I may go on with a title or a sentence; after another letter it starts the option's text
        titled = "|".join(re.escape(label.upper()) for label in labels if label.upper() not in {"A", "I"}) or "(?!)"
        bare = (
            rf"({one})(?={_CLOSED}|{_GOES_ON})|({titled})(?=\s{{1,3}}[A-Z0-9\\\"“$])"
            rf"|((?i:{one}))(?=[.)\"'}}]{{0,2}}\s{{0,3}}(?:$|\n|</))"
        )
        alone = rf"({one})(?={_CLOSED})"
    else:
        bare = alone = rf"({one})(?!\w)"
    skip = r"[\s:=\"'“”‘’*~>|\\\-–—•✅➡👉→$\[({]{0,16}"
    but = rf"(?:not\s(?:option\s)?\(?(?:{one})\)?,?\sbut\s(?:rather\s)?)?"
    placed = (
        rf"(?:^|[\n.,;:!?]\s{{0,3}}|(?i:{CHOICE_WORDS}|{ANSWER_WORDS}|{THEREFORE_WORDS}"
        rf"|{BEFORE_WORD}(?:that|think|believe|only){AFTER_WORD}),?\s{{0,2}})"
    )
    good = (
        rf"(?:\s(?:is|was|would be|seems|must be|should be|appears|appears to be|seems to be)(?:\s(?:the|a|an|most|only|clearly"
        rf"|therefore|thus|indeed|definitely|likely|probably|closest|my|one|single|more|very|correct|best|right)){{0,6}}"
        rf"\s(?:{GOOD_WORDS})(?:\s(?:answer|choice|option|one|statement|response))?{AFTER_WORD}|{GOOD_AFTER})"
    )
    return LabelPatterns(
        value=re.compile(rf"{skip}(?i:{FILLING_WORDS}){but}(?:{bracketed}|{opening}(?:{bare}))"),
        more=re.compile(
            rf"[\"')\]}}]{{0,2}}\s{{0,3}}(?i:{AND_WORDS}\s{{0,3}}(?:(?:and|or|also|possibly|maybe|options?|perhaps)\s){{0,3}})"
            rf"[\"'(\[]{{0,2}}(?:{bracketed}|{opening}{alone})"
        ),
        firm=re.compile(
            rf"[\s:,\"'“]{{0,6}}(?i:{FILLING_WORDS})"
            rf"(?:{bracketed}|{opening}({one})(?=[.!\"”')]{{0,3}}\s{{0,3}}(?:$|\n)|[.。]\s))"
        ),
        judged=re.compile(rf"(?:{bracketed}|{placed}({one}))(?i:{good})"),
        line=re.compile(rf"[\s>\-•#]{{0,6}}(?:{bracketed}|({one})(?=[.):]|\s{{0,3}}$|\s[-–—]\s))[.):]?"),
        named=re.compile(rf"{bracketed}|\b(?i:option|choice|letter)\s({one})(?={_CLOSED})"),
        canonical={label.casefold(): label for label in labels},
    )


def announced(text: str, patterns: LabelPatterns) -> list[Claim]:
    """What the text calls its answer: \\boxed{D}, "the answer is (D)", {"answer": "D"}, "(D) is the right answer"."""
    found = [claim for place in _ANNOUNCED.finditer(text) for claim in _announced_at(text, place, patterns)]
    return sorted(found + _judged(text, patterns, answer=True), key=lambda claim: claim.start)


def chosen(text: str, patterns: LabelPatterns) -> list[Claim]:
    """What the text decides for in other words: "the closest option is (D)", "I choose D.", "(D) is correct"."""
    found = [
        claim
        for place in _CHOICE.finditer(text)
        if not _taken_back(text, place.start())
        for claim in _linked(text, place.end(), patterns)
    ]
    for place in _CHOSEN.finditer(text):
        if not _taken_back(text, place.start()) and (value := patterns.firm.match(text, place.end())):
            found += _whole_claim(text, place.start(), value, patterns)
    return sorted(found + _judged(text, patterns, answer=False), key=lambda claim: claim.start)


def last_claim(claims: Sequence[Claim], text: str) -> Claim | None:
    """The last claim, joined with those just before it that nothing between them revises.

    "The answer is A. The answer is B." claims two; where a reason or a "wait" stands between them, the last one counts.
    """
    if not claims:
        return None
    first = len(claims) - 1
    while first and _goes_with(claims[first - 1], claims[first], text):
        first -= 1
    labels = dict.fromkeys(label for claim in claims[first:] for label in claim.labels)
    return Claim(tuple(labels), claims[first].start, claims[-1].end)


def _goes_with(one: Claim, next: Claim, text: str) -> bool:
    return next.start - one.end < _NEAR and not _REVISED.search(text, one.end, max(one.end, next.start))


def _announced_at(text: str, place: re.Match[str], patterns: LabelPatterns) -> Iterator[Claim]:
    if _taken_back(text, place.start()):
        return
    if place["box"]:
        yield from _value_claim(text, place.start(), place.end(), patterns)
    elif value := patterns.firm.match(text, place.end()):  # "Answer B."
        yield from _whole_claim(text, place.start(), value, patterns)
    else:
        yield from _linked(text, place.end(), patterns)


def _linked(text: str, start: int, patterns: LabelPatterns) -> Iterator[Claim]:
    """The claim after the first link ("is", ":") that has one, in the same sentence as the announcing word."""
    stop = _SENTENCE_END.search(text, start, start + _WINDOW)
    limit = stop.start() if stop else start + _WINDOW
    for link in islice(_LINK.finditer(text, start, limit), _LINKS):
        aside = text[start : link.start()]
        if _ASIDE.search(aside) or _NOT_LINKED.search(text, max(start, link.start() - 12), link.start()):
            return
        claims = list(_value_claim(text, start, link.end(), patterns))
        if claims:
            yield from claims
            return


def _value_claim(text: str, start: int, place: int, patterns: LabelPatterns) -> Iterator[Claim]:
    value = patterns.value.match(text, place)
    if value is not None:
        yield from _whole_claim(text, start, value, patterns)
    elif none := _NONE.match(text, place):
        yield Claim((NO_LABEL,), start, none.end())


def _whole_claim(text: str, start: int, value: re.Match[str], patterns: LabelPatterns) -> Iterator[Claim]:
    """The claim that begins with `value`, with the labels joined to it; nothing where the text denies it."""
    labels, end = [patterns.label(value)], value.end()
    while more := patterns.more.match(text, end):
        labels.append(patterns.label(more))
        end = more.end()
    if not _NOT_AFTER.match(text, end):
        yield Claim(tuple(dict.fromkeys(labels)), start, end)


def _judged(text: str, patterns: LabelPatterns, *, answer: bool) -> list[Claim]:
    claims = []
    for found in patterns.judged.finditer(text):
        before = text[max(0, found.start() - 12) : found.start()]
        calls_it_answer = re.search(r"(?i)answer|정답|答|正解|đáp án", found[0]) is not None
        if calls_it_answer == answer and not _JOINED.search(before) and not _taken_back(text, found.start()):
            claims.append(Claim((patterns.label(found),), found.start(), found.end()))
    return claims


def _taken_back(text: str, start: int) -> bool:
    return _NOT_BEFORE.search(text, max(0, start - 40), start) is not None
