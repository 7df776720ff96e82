"""Find the claim of a reply by its position: alone on a line, at the start, or in the last sentence."""

import re
from collections.abc import Sequence

from quorum.ask.parse.claim import Answerable, Claim, match_whole_claim
from quorum.ask.parse.option import match_option_line
from quorum.ask.parse.quantity import is_hypothetical, parse_number_phrase
from quorum.ask.parse.words import CONDITION_WORDS, DENYING_WORDS

_DENIED = re.compile(f"(?i){DENYING_WORDS}")
_CONDITION = re.compile(f"(?i){CONDITION_WORDS}")
_SENTENCE = re.compile(r"(?:[.!?]\s|[。\n])\s{0,9}(?=\S)")
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_BREAK_BEFORE = re.compile(r"(?:\n\s{0,9}|:\s{0,9})\n\Z|\A\s*\Z")
_BREAK_AFTER = re.compile(r"\n\s{0,9}\n|\s{0,9}\Z")
_TABLE_ROW = re.compile(r"(?:[\s|]{0,6}[A-Z](?=[\s|]|$)){2,26}[\s|]{0,6}")
_PART = re.compile(r"\s{0,9}[a-z]\)\s{0,9}")  # part c) of a truncated answer
_UNFINISHED = re.compile(r"(?i)(?:final answer|the (?:final |correct )?answer is)[\s.:…]{0,9}$")
_COUNTED = re.compile(r"(?i)(?<![a-z])(?:step|part|question|equation|case|line|figure|table|page|problem)\s\d")
_LETTERED = re.compile(  # "the blood type is B": a letter that is not a label
    r"(?i)(?<![a-z])(?:types?|vitamins?|notes?|chord|grades?|groups?|points?|vert(?:ex|ices)|nodes?|plans?|class|category"
    r"|allele|gene|element|symbol|variable|unit|matrix|hepatitis)\s(?:is|was|would be|must be)\s"
)
_WHOLE = re.compile(r"(?:[.!。)}]|\d[^\d?？]{0,12})$")
_CLOCK = re.compile(r"(?<!\d)[012]?\d:[0-5]\d(?!\d)")
_TAIL = 400  # characters at the end in which the last sentence is searched
_FIRST_LINE = 300  # maximum length of a first line that may begin with its letter


def find_on_line(text: str, answerable: Answerable) -> list[Claim]:
    """Find a label, or an option's text, that is alone on the first or the last line of the reply."""
    lines = list(_LINE.finditer(text))
    if not lines or _continues_list(lines, answerable):
        return []
    claims = []
    for line in dict.fromkeys((lines[0], lines[-1])):
        head = answerable.labels.line.match(line[0])
        if head and (not re.search(r"[\w=]", line[0][head.end() :]) or _has_own_text(line, head, lines, answerable)):
            claims.append(Claim((answerable.labels.find_label(head),), line.start(), line.end()))
        elif (len(lines) == 1 or _is_set_apart(line, text)) and (
            option := match_option_line(line[0], answerable.options)
        ):
            claims.append(Claim((option,), line.start(), line.end()))
    return claims


def _has_own_text(
    line: re.Match[str], head: re.Match[str], lines: Sequence[re.Match[str]], answerable: Answerable
) -> bool:
    """Return whether a line is a label with its own option's text, and no other line begins with a label."""
    label = answerable.labels.find_label(head)
    others = (other for other in lines if other is not line and answerable.labels.line.match(other[0]))
    return match_option_line(line[0][head.end() :], answerable.options) == label and next(others, None) is None


def _is_set_apart(line: re.Match[str], text: str) -> bool:
    """Return whether a line is after an empty line or a colon, and before an empty line or the end."""
    return bool(
        _BREAK_BEFORE.search(text[max(0, line.start() - 20) : line.start()]) and _BREAK_AFTER.match(text, line.end())
    )


def _continues_list(lines: Sequence[re.Match[str]], answerable: Answerable) -> bool:
    """Return whether the last line is short and continues a list or a table, which may be truncated."""
    if len(lines) < 2 or len(lines[-1][0].strip()) > 4 or lines[-1].start() - lines[-2].end() > 1:
        return False
    before, last = lines[-2][0], lines[-1][0]
    return bool(answerable.labels.line.match(before) or _TABLE_ROW.fullmatch(before) or _PART.fullmatch(last))


def find_at_start(text: str, answerable: Answerable) -> list[Claim]:
    """Find the label at the start of a reply that names no other label: "B, because …", "C. Rome"."""
    text = text.strip()
    first, _, rest = text.partition("\n")
    labels = answerable.labels
    found = labels.value.match(text)
    if found is None or len(first) > _FIRST_LINE or (rest and not (rest.startswith("\n") and labels.line.match(first))):
        return []
    if labels.find_label(found) == "I" and text[found.end() :].startswith("."):
        return []  # "I." numbers a chapter
    claims = list(match_whole_claim(text, 0, found, answerable))
    others = {labels.find_label(other) for pattern in (labels.named, labels.listed) for other in pattern.finditer(text)}
    return [claim for claim in claims if others <= set(claim.labels)]


def find_at_end(text: str, answerable: Answerable) -> list[Claim]:
    """Find the only label that the last sentence names, if the sentence concludes or ends with it.

    "The best description is (G) more fertiliser.", "so the price is $1,400 (C)."
    """
    if last := answerable.labels.last.search(text, max(0, len(text) - _TAIL)):
        return [Claim((answerable.labels.find_label(last),), last.start(1), last.end(1))]
    start, sentence = find_last_sentence(text)
    found = list(answerable.labels.named.finditer(sentence))
    named = {answerable.labels.find_label(other) for other in found}
    concluded = list(answerable.labels.concluded.finditer(text, start, start + len(sentence)))
    if not (found or concluded) or _CONDITION.search(sentence) or _LETTERED.search(sentence):
        return []
    named |= {answerable.labels.find_label(one) for one in concluded}
    if concluded:
        return list(match_whole_claim(text, start, concluded[0], answerable)) if len(named) == 1 else []
    if len(found) != 1 or re.search(r"\w", sentence[found[0].end() :]) or _DENIED.search(sentence):
        return []
    begins = not re.search(r"\w", sentence[: found[0].start()])
    return [] if begins else [Claim(tuple(named), start, start + found[0].end())]


def find_last_number(text: str) -> list[Claim]:
    """Find the only number of the last sentence, if that sentence is complete."""
    start, sentence = find_last_sentence(text)
    if _DENIED.search(sentence) or _COUNTED.search(sentence) or not _WHOLE.search(sentence):
        return []
    if is_hypothetical(sentence, 0, len(sentence)) or ("=" not in sentence and _CLOCK.search(sentence)):
        return []
    return list(parse_number_phrase(text, start, start + len(sentence), lone=True))


def find_last_sentence(text: str) -> tuple[int, str]:
    """Return the start of the last sentence with content, and the sentence."""
    end = len(text.rstrip())
    if unsaid := _UNFINISHED.search(text, max(0, end - 40), end):
        end = len(text[: unsaid.start()].rstrip())
    begin = max(0, end - _TAIL)
    starts = [found.end() for found in _SENTENCE.finditer(text, begin, end)]
    start = starts[-1] if starts else begin
    return start, text[start:end]
