"""Find the claims of a reply: the passages that state its answer.

Every pattern is bounded and every position is examined once, so the time is linear in the length of the reply.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from quorum.ask.parse.denial import is_negated, is_unlinked
from quorum.ask.parse.label import LabelPatterns
from quorum.ask.parse.option import OptionTexts, find_option_at
from quorum.ask.parse.places import MOST_PLACES, PlaceFinder
from quorum.ask.parse.verdict import find_judged_labels
from quorum.ask.parse.words import (
    ANSWER_WORDS,
    BEST_STEMS,
    BEST_WORDS,
    CHOICE_WORDS,
    CHOOSE_WORDS,
    DECIDING_STEMS,
    DECIDING_WORDS,
    LINK_WORDS,
    NONE_OF_THESE,
    NOT_AFTER,
    RECANTING_WORDS,
    RETRACTING_WORDS,
    REVISING_WORDS,
    THEREFORE_WORDS,
)

NO_LABEL = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A passage that states an answer: its labels, and its start and end in the text.

    Two labels are an ambiguous claim; NO_LABEL means "none of these". A repeated claim is the last one of several in
    the same words.
    """

    labels: tuple[str, ...]
    start: int
    end: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Answerable:
    """The allowed answers: the patterns of their labels, and their option texts."""

    labels: LabelPatterns
    options: OptionTexts


_ANNOUNCED = PlaceFinder(
    re.compile(rf"(?i)(?P<box>\\(?:f?boxed|fbox)\s?\{{)|{ANSWER_WORDS}"),
    ("\\boxed", "\\fbox", *ANSWER_WORDS.stems),
    ANSWER_WORDS.joined_stems,
)
_CHOICE_WORD = PlaceFinder(re.compile(rf"(?i){CHOICE_WORDS}"), CHOICE_WORDS.stems, CHOICE_WORDS.joined_stems)
_LINK = re.compile(rf"(?i){LINK_WORDS}")
_CHOSEN = PlaceFinder(
    re.compile(rf"(?i){CHOOSE_WORDS}|{THEREFORE_WORDS},?"),
    (*CHOOSE_WORDS.stems, *THEREFORE_WORDS.stems),
    (*CHOOSE_WORDS.joined_stems, *THEREFORE_WORDS.joined_stems),
)
_DECIDED = PlaceFinder(re.compile(f"(?i){DECIDING_WORDS}"), DECIDING_STEMS)
_BEST = PlaceFinder(re.compile(f"(?i){BEST_WORDS}"), BEST_STEMS)
_FIELD = re.compile(r"\w{0,20}[\"']\s{0,3}:")
_CALLED_ANSWER = re.compile(r"(?i)answer|정답|答|正解|đáp án")
_NONE = re.compile(rf"(?i)[\s:\"'(\[]{{0,6}}(?:the )?(?:{NONE_OF_THESE})")
_NOT_AFTER = re.compile(f"(?i){NOT_AFTER}")
_REVISED = re.compile(f"(?i){REVISING_WORDS}")
_RETRACTED = re.compile(
    rf"(?i){RETRACTING_WORDS}[^\n.]{{0,30}}?(?<![\w'’])(?-i:(?P<label>[A-Z]|TRUE|FALSE))(?=[\s.!?)\"”]{{0,3}}(?:$|\n)|[.,;:)!?])"
)
_RECANTED = re.compile(f"(?i){RECANTING_WORDS}")
_ASIDE = re.compile(
    r"(?i)^\s?(?:choices|options|key|sheet|[(\[]?(?-i:[A-Z])[)\]]?(?![a-z]))|n['’]t|\b(?:not|although|though|unless|if|whereas)\b|incorrect|wrong"
)
_ANNOUNCED_VALUE = re.compile(  # a link, and what follows it; `like` is like a label
    rf"(?i)\s{{0,3}}(?:(?P<colon>[:】=：])|{LINK_WORDS})\s{{0,3}}(?:(?P<like>(?-i:[A-Z])(?![\w'’])|[(\[](?-i:[A-Z])[)\]])|\S)"
)
_EACH = re.compile(
    r"(?i)\b(?:each|every|all|any|these|those|following|given|other|remaining|possible|available)\s(?:\w{1,12}\s){0,2}$"
)
_LISTED = re.compile(r"(?i)\s{0,3}s?\s?(?:are\s?|include\s?)?:?\s{0,3}(?:\n|(?=[(\[]?[A-Z][)\].]))")
_NUMERAL = re.compile(r"(?<![A-Za-z])(?:I{2,3}|IV)(?![A-Za-z])")
_NUMBERED_WORD = re.compile(r"(?i)(?:statement|assertion|claim|conclusion|proposition|premise)s?\s$")
_JOINED_BEFORE = re.compile(r"(?i)(?:and|or|nor|&|than|not|neither|und|oder|et|ou)\s{1,2}(?:option\s|choice\s)?$")
_SENTENCE_STOP = re.compile(r"[.!?](?=\s)|\n|。")
_SEPARATED = re.compile(r"[)\]}.:\s\"']{0,8}(?P<dash>[-–—]\s)?")

_WINDOW = 110  # characters after an announcing word in which its claim may start
_JUDGED_LEAD = 40  # characters before a label in which a judgement of it may start
_MOST_SITES = 32 * MOST_PLACES  # of more labels in a text, the last ones count
_LIST = 400  # characters after the first item of a list in which the second one may be
_MIN_REPEATS = 3  # claims in the same words, of which the last one counts
_MAX_LINKS = 4  # links to try in a window
_NEAR = 80  # claims with fewer characters and no revising word between them are one claim


def find_announced(text: str, answerable: Answerable) -> list[Claim]:
    """Find claims that are called the answer: \\boxed{D}, "the answer is (D)", {"answer": "D"}, "(D) is the answer"."""
    found = []
    for place in list_announcements(text):
        claims = list(_find_announced_at(text, place, answerable))
        if claims and not is_negated(text, place.start()):
            found += claims
    fields = [claim for claim in found if _FIELD.match(text, claim.start)]  # JSON's own field decides
    return fields or sorted(found + _find_judged(text, answerable, answer=True), key=lambda claim: claim.start)


def find_chosen(text: str, answerable: Answerable) -> list[Claim]:
    """Find claims in other words: "the closest option is (D)", "I choose D.", "(D) is correct"."""
    found = []
    for place in _CHOICE_WORD.find_all(text):
        claims = list(_find_linked(text, place.end(), answerable))
        if claims and not is_negated(text, place.start()) and not _introduces_list(text, place, answerable):
            found += claims
    labels = answerable.labels
    for lead, pattern in ((_CHOSEN, labels.firm), (_DECIDED, labels.value), (_BEST, labels.named)):
        for place in lead.find_all(text):
            value = pattern.match(text, place.end()) or _match_with_own_text(text, place.end(), answerable)
            if value and not is_negated(text, place.start()):
                found += match_whole_claim(text, place.start(), value, answerable)
    if listed := find_judged_labels(text, labels.canonical):
        found.append(Claim(listed[:1], *listed[1:]))
    return sorted(found + _find_judged(text, answerable, answer=False), key=lambda claim: claim.start)


def find_last_claim(claims: Sequence[Claim], text: str) -> Claim | None:
    """Return the last claim, joined with the claims just before it unless a revising word is between them.

    "The answer is A. The answer is B." claims two labels; with a reason or a "wait" between them, the last one counts.
    It also counts if the same sentence comes three times or more: such a list answers other questions first.
    """
    if not claims:
        return None
    first = len(claims) - 1
    while first and _belongs_with(claims[first - 1], claims[first], text):
        first -= 1
    joined, last = claims[first:], claims[-1]
    labels = tuple(dict.fromkeys(label for claim in joined for label in claim.labels))
    if len(labels) > 1 and len(joined) >= _MIN_REPEATS:
        sentences = [_remove_labels(claim, text) for claim in joined]
        if sentences.count(sentences[-1]) >= _MIN_REPEATS:
            return Claim(last.labels, last.start, last.end, repeated=True)
    return Claim(labels, joined[0].start, last.end)


def _remove_labels(claim: Claim, text: str) -> str:
    """Return the letters of a claim without its labels, to compare its sentence with others."""
    words = re.findall(r"\w+", text[claim.start : claim.end])
    return " ".join(word for word in words if word not in claim.labels).casefold()


def find_retraction(text: str, claim: Claim) -> tuple[str, ...] | None:
    """Return the labels that the text after a claim puts in its place, none of them in "no, that's wrong".

    None if the claim is not retracted.
    """
    end = claim.end + _WINDOW
    found = _RETRACTED.search(text, claim.end, end)
    if found is not None and claim.labels[0].isalpha() and found["label"] not in claim.labels:
        return (found["label"],)
    return () if _RECANTED.search(text, claim.end, end) else None


def match_whole_claim(text: str, start: int, value: re.Match[str], answerable: Answerable) -> Iterator[Claim]:
    """Yield the claim that begins with the label `value`, including labels joined to it; nothing if the text denies it.

    "(D) Paris" claims two labels if Paris is the text of another option.
    """
    labels, end = [answerable.labels.find_label(value)], value.end()
    if labels == ["I"] and _is_numeral(text, value.start(value.lastindex or 0), end):
        return
    while more := answerable.labels.more.match(text, end):
        labels.append(answerable.labels.find_label(more))
        end = more.end()
    option = _find_option_after(text, end, answerable.options) if len(labels) == 1 else None
    if option is not None:
        labels.append(option[0])
    if not _NOT_AFTER.match(text, end):
        yield Claim(tuple(dict.fromkeys(labels)), start, option[1] if option else end)


def _match_with_own_text(text: str, place: int, answerable: Answerable) -> re.Match[str] | None:
    """Return the label at `place` if the text of its own option follows: "it's C, Canberra"."""
    value = answerable.labels.value.match(text, place) if answerable.options else None
    if value is None:
        return None
    comma = text.startswith(", ", value.end())
    option = _find_option_after(text, value.end() + 2 * comma, answerable.options)
    return value if option is not None and option[0] == answerable.labels.find_label(value) else None


def _find_option_after(text: str, end: int, options: OptionTexts) -> tuple[str, int] | None:
    """Return the option whose text follows a label, and its end; a dash between them may be a minus."""
    separated = _SEPARATED.match(text, end)
    if separated is None or not options:
        return None
    with_minus = find_option_at(text, separated.start("dash"), options) if separated["dash"] else None
    return with_minus or find_option_at(text, separated.end(), options)


def _belongs_with(one: Claim, next: Claim, text: str) -> bool:
    return next.start - one.end < _NEAR and not _REVISED.search(text, one.end, max(one.end, next.start))


def _introduces_list(text: str, place: re.Match[str], answerable: Answerable) -> bool:
    """Return whether options follow a word, not a choice of one: "consider each choice:\\n(A) means …"."""
    listed = _LISTED.match(text, place.end())
    if listed is None:
        return False
    first = answerable.labels.line.match(text, listed.end(), min(len(text), listed.end() + _WINDOW))
    if first is None or answerable.labels.more.match(text, first.end()):  # "(A) and (C)" are two choices
        return False
    if _EACH.search(text, max(0, place.start() - 40), place.start()):
        return True
    line_end = text.find("\n", first.end())
    following = text[first.end() : first.end() + _LIST] if line_end < 0 else text[first.end() : line_end + _LIST]
    order = list(answerable.labels.canonical.values())
    after = order[order.index(answerable.labels.find_label(first)) + 1 :]
    items = map(answerable.labels.find_label, answerable.labels.listed_item.finditer(following))
    return bool(after) and after[0] in items


def _is_numeral(text: str, start: int, end: int) -> bool:
    """Return whether the label I is a Roman numeral: "I, II and III", "statement I". After others, (I) is a label."""
    if _NUMERAL.search(text, end, end + 20):
        return True
    before = text[max(0, start - 60) : start]
    return before[-1:] not in ("(", "[") and bool(_NUMERAL.search(before) or _NUMBERED_WORD.search(before))


def _find_announced_at(text: str, place: re.Match[str], answerable: Answerable) -> Iterator[Claim]:
    if place["box"]:
        yield from _match_value(text, place.start(), place.end(), answerable)
    elif _introduces_list(text, place, answerable):
        return
    elif value := answerable.labels.firm.match(text, place.end()):  # "Answer B."
        yield from match_whole_claim(text, place.start(), value, answerable)
    else:
        yield from _find_linked(text, place.end(), answerable)


def _find_linked(text: str, start: int, answerable: Answerable) -> Iterator[Claim]:
    """Yield the claim after the first link ("is", ":") with one, in the same sentence as the announcing word."""
    stop = _SENTENCE_STOP.search(text, start, start + _WINDOW)
    limit = stop.start() if stop else start + _WINDOW
    for link in islice(_LINK.finditer(text, start, limit), _MAX_LINKS):
        aside = text[start : link.start()]
        if _ASIDE.search(aside) or is_unlinked(text, start, link):
            return
        claims = list(_match_value(text, start, link.end(), answerable))
        if claims:
            yield from claims
            return


def _match_value(text: str, start: int, place: int, answerable: Answerable) -> Iterator[Claim]:
    if value := answerable.labels.value.match(text, place):
        yield from match_whole_claim(text, start, value, answerable)
    elif option := find_option_at(text, place, answerable.options):
        yield Claim((option[0],), start, option[1])
    elif none := _NONE.match(text, place):
        yield Claim((NO_LABEL,), start, none.end())


def _find_judged(text: str, answerable: Answerable, *, answer: bool) -> list[Claim]:
    claims = []
    for found in _list_judgements(text, answerable.labels):
        joined = _JOINED_BEFORE.search(text, max(0, found.start() - 12), found.start())
        calls_it_answer = _CALLED_ANSWER.search(found[0]) is not None
        label, place = answerable.labels.find_label(found), found.start(found.lastindex or 0)
        numeral = label == "I" and _is_numeral(text, place, found.end())
        if calls_it_answer == answer and not joined and not numeral and not is_negated(text, found.start()):
            claims.append(Claim((label,), found.start(), found.end()))
    return claims


@lru_cache(maxsize=8)
def _list_judgements(text: str, labels: LabelPatterns) -> tuple[re.Match[str], ...]:
    """Return what `labels.judged` finds; labels are found first, because trying that pattern everywhere is slow."""
    judgements, end = list[re.Match[str]](), 0
    for site in list(labels.site.finditer(text))[-_MOST_SITES:]:
        if site.start() >= end and labels.judgement.match(text, site.end()):
            for found in labels.judged.finditer(text, max(end, site.start() - _JUDGED_LEAD)):
                if found.end() > site.start():
                    if found.start() <= site.start():
                        judgements.append(found)
                        end = found.end()
                    break
    return tuple(judgements)


@lru_cache(maxsize=8)
def list_announcements(text: str) -> tuple[re.Match[str], ...]:
    """Return the words in `text` that may announce an answer."""
    return tuple(_ANNOUNCED.find_all(text))


def find_unparsed_announcement(text: str) -> int:
    """Return where the last announced answer is that is not a label of the question; -1 if there is none.

    "Answer: 42 m" at the end, or anywhere a value that is like a label: "答案: E. 42".
    """
    for place in reversed(list_announcements(text)):
        value = _ANNOUNCED_VALUE.match(text, place.end())
        if value and not is_negated(text, place.start()):
            last_line = "\n" not in text[value.end() :].strip()
            if value["like"] or (value["colon"] and last_line):
                return place.start()
    return -1
