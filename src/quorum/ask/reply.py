"""Parse a model's reply: from free text to a ballot over the prompt's labels."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from math import exp

from quorum.ask.parse.claim import (
    NO_LABEL,
    Answerable,
    Claim,
    find_announced,
    find_chosen,
    find_last_claim,
    is_retracted,
    match_whole_claim,
)
from quorum.ask.parse.clean import strip_markup, strip_reasoning
from quorum.ask.parse.label import compile_label_patterns
from quorum.ask.parse.option import index_option_texts, match_option_line
from quorum.ask.parse.quantity import find_announced_numbers, parse_number_phrase
from quorum.ask.parse.words import CONDITION_WORDS, DENYING_WORDS, NEXT_QUESTION, REFUSING_WORDS
from quorum.ballot import Ballot
from quorum.question import MOST_CHOICES, Prompt, Reply, letters


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """The label or number in a reply; None if it is unread. `reason` is the rule that read it, or the cause."""

    label: str | None
    reason: str


# Returns the claims of one kind in a text.
Rule = Callable[[str], list[Claim]]

_NEXT = re.compile(f"(?i){NEXT_QUESTION}")
_DENIED = re.compile(f"(?i){DENYING_WORDS}")
_CONDITION = re.compile(f"(?i){CONDITION_WORDS}")
_REFUSED = re.compile(f"(?i){REFUSING_WORDS}")
_BOTH_WORDS = re.compile(r"(?i)\btrue(?:\s?/\s?|\s(?:or|and)\s)false\b")
_NOT_TRUE = re.compile(r"(?i)(?:\bnot|n['’]t)\s(?:actually |really )?(true|false)\b")
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
_QUESTIONS = 3  # number of further questions at which we try to end the reply
_TAIL = 400  # characters at the end in which the last sentence is searched
_FIRST_LINE = 300  # maximum length of a first line that may begin with its letter


def ballot_from_reply(reply: Reply, prompt: Prompt) -> Ballot:
    """Return a reply as a ballot over the prompt's labels.

    The weights are the model's own probabilities if the reply has them. Otherwise the label that the text claims has
    weight 1; the ballot is empty if the text claims none.
    """
    if reply.label_logprobs is not None:
        return {label: exp(reply.label_logprobs[label]) for label in prompt.labels if label in reply.label_logprobs}
    label = parse_reply_once(reply.text, prompt.labels, prompt.options).label
    return {} if label is None else {label: 1.0}


@lru_cache(maxsize=4096)
def parse_reply_once(text: str, labels: tuple[str, ...], options: tuple[str, ...]) -> ParsedReply:
    """Return `parse_reply` of these; a reply that was just parsed, to be kept, is not parsed again to be counted."""
    return parse_reply(text, labels, options)


def parse_reply(text: str, labels: Sequence[str], options: Sequence[str] = ()) -> ParsedReply:
    """Return the label that `text` clearly claims, or the canonical number if there are no labels; never guess.

    Rules are tried from strict to lenient, and within a rule the last clear claim counts. Thinking blocks are removed,
    and the text after a further question that the model asks itself is ignored.

    Args:
        labels: the allowed labels; empty for an open, numeric question.
        options: the labels' texts, if known.

    Returns:
        The reading. Its reason is answer, line, choice, start or end (the rule); for an unread reply it is empty,
        cut off (in a thinking block), two claims, none of these, no such label, refused or no claim.
    """
    plain = strip_reasoning(text)
    if plain is None:
        return ParsedReply(None, "cut off")
    plain = strip_markup(plain)
    if not plain.strip():
        return ParsedReply(None, "empty")
    if {label.casefold() for label in labels} == {"true", "false"}:
        plain = _NOT_TRUE.sub(_negate_verdict, _BOTH_WORDS.sub("", plain))
    rules = _make_rules(labels, options)
    ends = [asked.start() for asked in islice(_NEXT.finditer(plain), _QUESTIONS)] + [len(plain)]
    for end in ends:
        reading = _apply_rules(plain[:end], rules)
        if reading.label is not None or reading.reason == "two claims":
            return reading
    return reading if reading.reason != "no claim" else ParsedReply(None, _explain_unread(plain, labels))


def _apply_rules(text: str, rules: Sequence[tuple[str, Rule]]) -> ParsedReply:
    """Return the reading of the first rule that finds a claim."""
    why = "no claim"
    for reason, rule in rules:
        claim = find_last_claim(rule(text), text)
        if claim is None:
            continue
        if len(claim.labels) > 1 or is_retracted(text, claim) or _has_later_decision(text, claim, rules):
            return ParsedReply(None, "two claims")
        if claim.labels != (NO_LABEL,):
            return ParsedReply(claim.labels[0], reason)
        why, text = "none of these", text[claim.end :]
    return ParsedReply(None, why)


def _has_later_decision(text: str, claim: Claim, rules: Sequence[tuple[str, Rule]]) -> bool:
    """Return whether the last sentence after a claim decides for another label: "Answer: B … So I choose C."."""
    start, _ = _find_last_sentence(text)
    decides = dict(rules).get("choice")
    if decides is None or start < claim.end:
        return False
    return any({*later.labels} - {*claim.labels, NO_LABEL} for later in decides(text[start:]))


def _explain_unread(text: str, labels: Sequence[str]) -> str:
    if _REFUSED.search(text):
        return "refused"
    if labels and find_announced(text, Answerable(compile_label_patterns(letters(MOST_CHOICES)), {})):
        return "no such label"
    return "no claim"


def _make_rules(labels: Sequence[str], options: Sequence[str]) -> list[tuple[str, Rule]]:
    """Return the rules from strict to lenient, each with its name."""
    if not labels:
        return [("answer", find_announced_numbers), ("end", _find_last_number)]
    texts = index_option_texts(labels, options) if options else {}
    answerable = Answerable(compile_label_patterns(tuple(labels)), texts)
    rules = {
        "answer": find_announced,
        "line": _find_on_line,
        "choice": find_chosen,
        "start": _find_at_start,
        "end": _find_at_end,
    }
    return [(name, partial(rule, answerable=answerable)) for name, rule in rules.items()]


def _negate_verdict(found: re.Match[str]) -> str:
    return "false" if found[1].casefold() == "true" else "true"


def _find_on_line(text: str, answerable: Answerable) -> list[Claim]:
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


def _find_at_start(text: str, answerable: Answerable) -> list[Claim]:
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


def _find_at_end(text: str, answerable: Answerable) -> list[Claim]:
    """Find the only label that the last sentence names, if the sentence concludes or ends with it.

    "The best description is (G) more fertiliser.", "so the price is $1,400 (C)."
    """
    if last := answerable.labels.last.search(text, max(0, len(text) - _TAIL)):
        return [Claim((answerable.labels.find_label(last),), last.start(1), last.end(1))]
    start, sentence = _find_last_sentence(text)
    found = list(answerable.labels.named.finditer(sentence))
    named = {answerable.labels.find_label(other) for other in found}
    if _CONDITION.search(sentence) or _LETTERED.search(sentence):
        return []
    concluded = list(answerable.labels.concluded.finditer(text, start, start + len(sentence)))
    named |= {answerable.labels.find_label(one) for one in concluded}
    if concluded:
        return list(match_whole_claim(text, start, concluded[0], answerable)) if len(named) == 1 else []
    if len(found) != 1 or re.search(r"\w", sentence[found[0].end() :]) or _DENIED.search(sentence):
        return []
    begins = not re.search(r"\w", sentence[: found[0].start()])
    return [] if begins else [Claim(tuple(named), start, start + found[0].end())]


def _find_last_number(text: str) -> list[Claim]:
    """Find the only number of the last sentence, if that sentence is complete."""
    start, sentence = _find_last_sentence(text)
    if _DENIED.search(sentence) or _COUNTED.search(sentence) or not _WHOLE.search(sentence):
        return []
    return list(parse_number_phrase(text, start, start + len(sentence), lone=True))


def _find_last_sentence(text: str) -> tuple[int, str]:
    """Return the start of the last sentence with content, and the sentence."""
    end = len(text.rstrip())
    if unsaid := _UNFINISHED.search(text, max(0, end - 40), end):
        end = len(text[: unsaid.start()].rstrip())
    begin = max(0, end - _TAIL)
    starts = [found.end() for found in _SENTENCE.finditer(text, begin, end)]
    start = starts[-1] if starts else begin
    return start, text[start:end]
