"""What a model's reply says: from free text to a ballot over the prompt's own labels."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import exp

from quorum.ask.claim import NO_LABEL, Answerable, Claim, announced, chosen, last_claim, whole_claim
from quorum.ask.label import label_patterns
from quorum.ask.option import option_of_line, option_texts
from quorum.ask.plain import plain, spoken
from quorum.ask.quantity import number_of_phrase, numbers_announced
from quorum.ask.words import DENYING_WORDS, NEXT_QUESTION, REFUSING_WORDS
from quorum.question import MOST_CHOICES, Ballot, Prompt, Reply, letters


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text was read as: one of the labels, or a canonical number, or None; `reason` is the rule, or why not."""

    label: str | None
    reason: str


# A rule: a text -> the claims of one kind in it
Rule = Callable[[str], list[Claim]]

_NEXT = re.compile(f"(?i){NEXT_QUESTION}")
_DENIED = re.compile(f"(?i){DENYING_WORDS}")
_REFUSED = re.compile(f"(?i){REFUSING_WORDS}")
_BOTH_WORDS = re.compile(r"(?i)\btrue(?:\s?/\s?|\s(?:or|and)\s)false\b")
_NOT_TRUE = re.compile(r"(?i)(?:\bnot|n['’]t)\s(?:actually |really )?(true|false)\b")
_SENTENCE = re.compile(r"(?:[.!?]\s|[。\n])\s{0,9}(?=\S)")
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_UNSAID = re.compile(r"(?i)(?:final answer|the (?:final |correct )?answer is)[\s.:…]{0,9}$")
_TAIL = 400  # the last characters, in which the last sentence is looked for
_ONE_LINE = 400  # a reply of one line up to this long may begin with its letter


def ballot_of(reply: Reply, prompt: Prompt) -> Ballot:
    """The reply as a ballot over the prompt's labels: the model's own probabilities where it gives them, else the one
    label that its text clearly claims, with weight 1; empty where it claims none."""
    if reply.label_logprobs is not None:
        return {label: exp(reply.label_logprobs[label]) for label in prompt.labels if label in reply.label_logprobs}
    label = read_reply(reply.text, prompt.labels, prompt.options).label
    return {} if label is None else {label: 1.0}


def read_reply(text: str, labels: Sequence[str], options: Sequence[str] = ()) -> Reading:
    """The one label that `text` clearly claims, or the canonical number where there are no labels; never a guess.

    Rules are tried from strict to lenient, and within a rule the last clear claim counts. Thinking blocks, and questions
    that a model goes on to ask itself, are left out. `options` are the texts that the labels stand for, if known.
    Reasons for a reading: answer, line, choice, start, end. For none: empty, cut off (in thought), two claims, none of
    these, no such label, refused, no claim.
    """
    said = spoken(text)
    if said is None:
        return Reading(None, "cut off")
    said = plain(said)
    if not said.strip():
        return Reading(None, "empty")
    if {label.casefold() for label in labels} == {"true", "false"}:
        said = _NOT_TRUE.sub(_opposite, _BOTH_WORDS.sub("", said))
    why = "refused" if _REFUSED.search(said) else "no claim"
    for reason, rule in _rules(labels, options):
        claims = rule(said)
        if claims and (asked := _NEXT.search(said, claims[0].end)):
            said = said[: asked.start()]
            claims = [claim for claim in claims if claim.end <= len(said)]
        claim = last_claim(claims, said)
        if claim is None:
            continue
        if len(claim.labels) > 1:
            return Reading(None, "two claims")
        if claim.labels != (NO_LABEL,):
            return Reading(claim.labels[0], reason)
        why, said = "none of these", said[claim.end :]
    if why == "no claim" and labels and announced(said, Answerable(label_patterns(letters(MOST_CHOICES)), {})):
        why = "no such label"
    return Reading(None, why)


def _rules(labels: Sequence[str], options: Sequence[str]) -> list[tuple[str, Rule]]:
    """The rules from strict to lenient, each with its name."""
    if not labels:
        return [("answer", numbers_announced), ("end", _last_number)]
    texts = option_texts(labels, options) if options else {}
    answerable = Answerable(label_patterns(tuple(labels)), texts)
    rules = {"answer": announced, "line": _on_a_line, "choice": chosen, "start": _at_the_start, "end": _at_the_end}
    return [(name, partial(rule, answerable=answerable)) for name, rule in rules.items()]


def _opposite(found: re.Match[str]) -> str:
    return "false" if found[1].casefold() == "true" else "true"


def _on_a_line(text: str, answerable: Answerable) -> list[Claim]:
    """A label, or an option's text, that has the first or the last line of the reply for itself."""
    lines = list(_LINE.finditer(text))
    claims = []
    for place in dict.fromkeys((0, len(lines) - 1)) if lines else ():
        line = lines[place][0]
        head = answerable.labels.line.match(line)
        alone = head is not None and not re.search(r"\w", line[head.end() :])
        label = answerable.labels.label(head) if head and alone else option_of_line(line, answerable.options)
        if label is not None and not _listed(lines, place):
            claims.append(Claim((label,), lines[place].start(), lines[place].end()))
    return claims


def _listed(lines: Sequence[re.Match[str]], place: int) -> bool:
    """Whether a line goes on with a list or a table, perhaps cut off, of the lines before it."""
    before = lines[place - 1] if place else None
    return before is not None and lines[place].start() - before.end() < 2 and before[0].rstrip()[-1] not in ".:!?)"


def _at_the_start(text: str, answerable: Answerable) -> list[Claim]:
    """The label with which a reply of one short line begins: "B, because …"."""
    text = text.strip()
    if len(text) > _ONE_LINE or "\n" in text or not (found := answerable.labels.value.match(text)):
        return []
    claims = list(whole_claim(text, 0, found, answerable))
    others = [answerable.labels.label(other) for other in answerable.labels.named.finditer(text)]
    return claims if all(claim.labels == (other,) for claim in claims for other in others) else []


def _at_the_end(text: str, answerable: Answerable) -> list[Claim]:
    """The only label that the last sentence names, where it is what the sentence says or ends with.

    "The best description is (G) more fertiliser.", "so the price is $1,400 (C)."
    """
    start, sentence = _last_sentence(text)
    found = list(answerable.labels.named.finditer(sentence))
    named = {answerable.labels.label(other) for other in found}
    if concluded := answerable.labels.concluded.search(text, start, start + len(sentence)):
        return (
            []
            if named - {answerable.labels.label(concluded)}
            else list(whole_claim(text, start, concluded, answerable))
        )
    if len(found) != 1 or re.search(r"\w", sentence[found[0].end() :]) or _DENIED.search(sentence):
        return []
    begins = not re.search(r"\w", sentence[: found[0].start()])
    return [] if begins else [Claim(tuple(named), start, start + found[0].end())]


def _last_number(text: str) -> list[Claim]:
    """The one number of the last sentence."""
    start, sentence = _last_sentence(text)
    return [] if _DENIED.search(sentence) else list(number_of_phrase(text, start, start + len(sentence)))


def _last_sentence(text: str) -> tuple[int, str]:
    """Where the last sentence that says something begins, and the sentence."""
    end = len(text.rstrip())
    if unsaid := _UNSAID.search(text, max(0, end - 40), end):
        end = len(text[: unsaid.start()].rstrip())
    begin = max(0, end - _TAIL)
    starts = [found.end() for found in _SENTENCE.finditer(text, begin, end)]
    start = starts[-1] if starts else begin
    return start, text[start:end]
