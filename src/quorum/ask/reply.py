"""What a model's reply says: from free text to a ballot over the prompt's own labels."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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
from quorum.ask.parse.label import compile_label_patterns
from quorum.ask.parse.option import index_option_texts, match_option_line
from quorum.ask.parse.plain import strip_markup, strip_reasoning
from quorum.ask.parse.quantity import find_announced_numbers, parse_number_phrase
from quorum.ask.parse.words import CONDITION_WORDS, DENYING_WORDS, NEXT_QUESTION, REFUSING_WORDS
from quorum.ballot import Ballot
from quorum.question import MOST_CHOICES, Prompt, Reply, letters


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """What a text was read as: one of the labels, or a canonical number, or None; `reason` is the rule, or why not."""

    label: str | None
    reason: str


# A rule: a text -> the claims of one kind in it
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
_PART = re.compile(r"\s{0,9}[a-z]\)\s{0,9}")  # part c) of an answer that was cut off
_UNFINISHED = re.compile(r"(?i)(?:final answer|the (?:final |correct )?answer is)[\s.:…]{0,9}$")
_COUNTED = re.compile(r"(?i)(?<![a-z])(?:step|part|question|equation|case|line|figure|table|page|problem)\s\d")
_LETTERED = re.compile(  # "the blood type is B": a letter that is no label
    r"(?i)(?<![a-z])(?:types?|vitamins?|notes?|chord|grades?|groups?|points?|vert(?:ex|ices)|nodes?|plans?|class|category"
    r"|allele|gene|element|symbol|variable|unit|matrix|hepatitis)\s(?:is|was|would be|must be)\s"
)
_WHOLE = re.compile(r"(?:[.!。)}]|\d[^\d?？]{0,12})$")
_QUESTIONS = 3  # places where a reply may end and another question begin
_TAIL = 400  # the last characters, in which the last sentence is looked for
_FIRST_LINE = 300  # a first line up to this long may begin with its letter


def ballot_from_reply(reply: Reply, prompt: Prompt) -> Ballot:
    """The reply as a ballot over the prompt's labels: the model's own probabilities where it gives them, else the one
    label that its text clearly claims, with weight 1; empty where it claims none."""
    if reply.label_logprobs is not None:
        return {label: exp(reply.label_logprobs[label]) for label in prompt.labels if label in reply.label_logprobs}
    label = parse_reply(reply.text, prompt.labels, prompt.options).label
    return {} if label is None else {label: 1.0}


def parse_reply(text: str, labels: Sequence[str], options: Sequence[str] = ()) -> ParsedReply:
    """The one label that `text` clearly claims, or the canonical number where there are no labels; never a guess.

    Rules are tried from strict to lenient, and within a rule the last clear claim counts. Thinking blocks are left out,
    and so is what follows where a model goes on to another question. `options` are the labels' texts, if known.
    Reasons for a reading: answer, line, choice, start, end. For none: empty, cut off (in thought), two claims, none of
    these, no such label, refused, no claim.
    """
    said = strip_reasoning(text)
    if said is None:
        return ParsedReply(None, "cut off")
    said = strip_markup(said)
    if not said.strip():
        return ParsedReply(None, "empty")
    if {label.casefold() for label in labels} == {"true", "false"}:
        said = _NOT_TRUE.sub(_negate_verdict, _BOTH_WORDS.sub("", said))
    rules = _make_rules(labels, options)
    ends = [asked.start() for asked in islice(_NEXT.finditer(said), _QUESTIONS)] + [len(said)]
    for end in ends:
        reading = _apply_rules(said[:end], rules)
        if reading.label is not None or reading.reason == "two claims":
            return reading
    return reading if reading.reason != "no claim" else ParsedReply(None, _explain_unread(said, labels))


def _apply_rules(said: str, rules: Sequence[tuple[str, Rule]]) -> ParsedReply:
    why = "no claim"
    for reason, rule in rules:
        claim = find_last_claim(rule(said), said)
        if claim is None:
            continue
        if len(claim.labels) > 1 or is_retracted(said, claim) or _has_later_decision(said, claim, rules):
            return ParsedReply(None, "two claims")
        if claim.labels != (NO_LABEL,):
            return ParsedReply(claim.labels[0], reason)
        why, said = "none of these", said[claim.end :]
    return ParsedReply(None, why)


def _has_later_decision(said: str, claim: Claim, rules: Sequence[tuple[str, Rule]]) -> bool:
    """Whether the last sentence after a claim decides for another label: "Answer: B … So I choose C."."""
    start, _ = _find_last_sentence(said)
    decides = dict(rules).get("choice")
    if decides is None or start < claim.end:
        return False
    return any({*later.labels} - {*claim.labels, NO_LABEL} for later in decides(said[start:]))


def _explain_unread(said: str, labels: Sequence[str]) -> str:
    if _REFUSED.search(said):
        return "refused"
    if labels and find_announced(said, Answerable(compile_label_patterns(letters(MOST_CHOICES)), {})):
        return "no such label"
    return "no claim"


def _make_rules(labels: Sequence[str], options: Sequence[str]) -> list[tuple[str, Rule]]:
    """The rules from strict to lenient, each with its name."""
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
    """A label, or an option's text, that has the first or the last line of the reply for itself."""
    lines = list(_LINE.finditer(text))
    if not lines or _continues_list(lines, answerable):
        return []
    claims = []
    for line in dict.fromkeys((lines[0], lines[-1])):
        head = answerable.labels.line.match(line[0])
        if head and (not re.search(r"[\w=]", line[0][head.end() :]) or _has_own_text(line, head, lines, answerable)):
            claims.append(Claim((answerable.labels.label(head),), line.start(), line.end()))
        elif (len(lines) == 1 or _is_set_apart(line, text)) and (
            option := match_option_line(line[0], answerable.options)
        ):
            claims.append(Claim((option,), line.start(), line.end()))
    return claims


def _has_own_text(
    line: re.Match[str], head: re.Match[str], lines: Sequence[re.Match[str]], answerable: Answerable
) -> bool:
    """Whether a line is a label with its own option's text, and no other line begins with a label."""
    label = answerable.labels.label(head)
    others = (other for other in lines if other is not line and answerable.labels.line.match(other[0]))
    return match_option_line(line[0][head.end() :], answerable.options) == label and next(others, None) is None


def _is_set_apart(line: re.Match[str], text: str) -> bool:
    """Whether a line stands after an empty line, or after a colon, and before an empty line or the end."""
    return bool(
        _BREAK_BEFORE.search(text[max(0, line.start() - 20) : line.start()]) and _BREAK_AFTER.match(text, line.end())
    )


def _continues_list(lines: Sequence[re.Match[str]], answerable: Answerable) -> bool:
    """Whether the last line, a short one, goes on with a list or a table, perhaps cut off."""
    if len(lines) < 2 or len(lines[-1][0].strip()) > 4 or lines[-1].start() - lines[-2].end() > 1:
        return False
    before, last = lines[-2][0], lines[-1][0]
    return bool(answerable.labels.line.match(before) or _TABLE_ROW.fullmatch(before) or _PART.fullmatch(last))


def _find_at_start(text: str, answerable: Answerable) -> list[Claim]:
    """The only label of a short reply, or of its first line, that begins it: "B, because …", "C. Rome"."""
    text = text.strip()
    first, _, rest = text.partition("\n")
    labels = answerable.labels
    found = labels.value.match(text)
    if found is None or len(first) > _FIRST_LINE or (rest and not (rest.startswith("\n") and labels.line.match(first))):
        return []
    if labels.label(found) == "I" and text[found.end() :].startswith("."):
        return []  # "I." numbers a chapter
    claims = list(match_whole_claim(text, 0, found, answerable))
    others = {labels.label(other) for pattern in (labels.named, labels.listed) for other in pattern.finditer(text)}
    return [claim for claim in claims if others <= set(claim.labels)]


def _find_at_end(text: str, answerable: Answerable) -> list[Claim]:
    """The only label that the last sentence names, where it is what the sentence says or ends with.

    "The best description is (G) more fertiliser.", "so the price is $1,400 (C)."
    """
    if last := answerable.labels.last.search(text, max(0, len(text) - _TAIL)):
        return [Claim((answerable.labels.label(last),), last.start(1), last.end(1))]
    start, sentence = _find_last_sentence(text)
    found = list(answerable.labels.named.finditer(sentence))
    named = {answerable.labels.label(other) for other in found}
    if _CONDITION.search(sentence) or _LETTERED.search(sentence):
        return []
    concluded = list(answerable.labels.concluded.finditer(text, start, start + len(sentence)))
    named |= {answerable.labels.label(one) for one in concluded}
    if concluded:
        return list(match_whole_claim(text, start, concluded[0], answerable)) if len(named) == 1 else []
    if len(found) != 1 or re.search(r"\w", sentence[found[0].end() :]) or _DENIED.search(sentence):
        return []
    begins = not re.search(r"\w", sentence[: found[0].start()])
    return [] if begins else [Claim(tuple(named), start, start + found[0].end())]


def _find_last_number(text: str) -> list[Claim]:
    """The one number of the last sentence, if that sentence is whole."""
    start, sentence = _find_last_sentence(text)
    if _DENIED.search(sentence) or _COUNTED.search(sentence) or not _WHOLE.search(sentence):
        return []
    return list(parse_number_phrase(text, start, start + len(sentence), lone=True))


def _find_last_sentence(text: str) -> tuple[int, str]:
    """Where the last sentence that says something begins, and the sentence."""
    end = len(text.rstrip())
    if unsaid := _UNFINISHED.search(text, max(0, end - 40), end):
        end = len(text[: unsaid.start()].rstrip())
    begin = max(0, end - _TAIL)
    starts = [found.end() for found in _SENTENCE.finditer(text, begin, end)]
    start = starts[-1] if starts else begin
    return start, text[start:end]
