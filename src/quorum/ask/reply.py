"""Parse a model's reply: from free text to a ballot over the prompt's labels."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
    find_retraction,
    find_unparsed_announcement,
    list_announcements,
)
from quorum.ask.parse.clean import strip_markup
from quorum.ask.parse.ending import FURTHER_QUESTION, read_ending
from quorum.ask.parse.label import compile_label_patterns
from quorum.ask.parse.option import index_option_texts
from quorum.ask.parse.places import PlaceFinder, list_stems
from quorum.ask.parse.position import (
    find_at_end,
    find_at_start,
    find_last_number,
    find_last_sentence,
    find_on_line,
)
from quorum.ask.parse.quantity import find_announced_numbers
from quorum.ask.parse.reasoning import strip_reasoning
from quorum.ask.parse.rewrite import hide_misleading_options, negate_verdicts, translate_circled
from quorum.ask.parse.words import REFUSING_WORDS
from quorum.ballot import Ballot
from quorum.question import MOST_CHOICES, Prompt, ReasoningMarkers, Reply, letters


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """The label or number in a reply; None if it claims no single one.

    Attributes:
        reason: the rule that read it, or why it is unread.
        ballot: the weight of each label that it claims; empty if it claims none.
    """

    label: str | None
    reason: str
    ballot: Ballot = field(default_factory=dict)


# Returns the claims of one kind in a text.
Rule = Callable[[str], list[Claim]]

_REFUSED = PlaceFinder(re.compile(f"(?i){REFUSING_WORDS}"), tuple(list_stems(REFUSING_WORDS)))
_QUESTIONS = 3  # number of further questions at which we try to end the reply
_CUT_WEIGHT = 0.5  # of an answer that a reply announces before the length limit cuts it


def ballot_from_reply(reply: Reply, prompt: Prompt) -> Ballot:
    """Return a reply as a ballot over the prompt's labels.

    The weights are the model's own probabilities if the reply has them. Otherwise the label that the text claims has
    weight 1, or half of it if the reply was cut off after it; two labels that it claims share one vote; the ballot is
    empty if the text claims none.
    """
    if reply.label_logprobs is not None:
        return {label: exp(reply.label_logprobs[label]) for label in prompt.labels if label in reply.label_logprobs}
    return dict(parse_answer_to(prompt, reply).ballot)


def parse_answer_to(prompt: Prompt, reply: Reply) -> ParsedReply:
    """Return `parse_reply` of a reply to this prompt; one that was parsed just before is not parsed again."""
    return _parse_once(reply.text, prompt.labels, prompt.options, reply.finish, prompt.markers)


@lru_cache(maxsize=4096)
def _parse_once(
    text: str, labels: tuple[str, ...], options: tuple[str, ...], finish: str, markers: ReasoningMarkers | None
) -> ParsedReply:
    return parse_reply(text, labels, options, finish=finish, markers=markers)


def parse_reply(
    text: str,
    labels: Sequence[str],
    options: Sequence[str] = (),
    *,
    finish: str = "",
    markers: ReasoningMarkers | None = None,
) -> ParsedReply:
    """Return the label that `text` clearly claims, or the canonical number if there are no labels; never guess.

    Rules are tried from strict to lenient, and within a rule the last clear claim counts. Reasoning is removed, and the
    text after a further question that the model asks itself is ignored.

    Args:
        labels: the allowed labels; empty for an open, numeric question.
        options: the labels' texts, if known.
        finish: why the model stopped, as in `Reply`; after "length" only an announced answer is read, at half weight.
        markers: the marks around the model's reasoning, if they are not among the known ones.

    Returns:
        The reading. Its reason is answer, repeated, line, choice, start or end (the rule); for an unread reply it is
        empty, cut off (in its reasoning, or by the limit), two claims (they share one vote), none of these, no such
        label, unclear answer, refused or no claim.
    """
    plain = strip_reasoning(text, markers)
    if plain is None:
        return ParsedReply(None, "cut off")
    parsed = read_ending(plain, labels, options)
    if parsed is not None:
        reading = ParsedReply(parsed, "answer", {parsed: 1.0})
    else:
        plain = strip_markup(plain)
        reading = _parse_plain(plain, labels, options)
    return reading if finish != "length" else _discount_cut(reading, plain, labels, options)


def _discount_cut(reading: ParsedReply, plain: str, labels: Sequence[str], options: Sequence[str]) -> ParsedReply:
    """Return half a vote for an answer that a cut reply announces: as its answer, or with its first line.

    A reply that was cut in a further question of the model's own is complete.
    """
    if reading.label is None or FURTHER_QUESTION.search(plain):
        return reading if reading.label is not None else ParsedReply(None, "cut off")
    first, _, _ = plain.strip().partition("\n")
    begins = reading.reason in ("line", "start") and _parse_plain(first, labels, options).label == reading.label
    if reading.reason == "answer" or begins:
        return replace(reading, ballot={reading.label: _CUT_WEIGHT})
    return ParsedReply(None, "cut off")


def _parse_plain(plain: str, labels: Sequence[str], options: Sequence[str]) -> ParsedReply:
    if not plain.strip():
        return ParsedReply(None, "empty")
    if {label.casefold() for label in labels} == {"true", "false"}:
        plain = negate_verdicts(plain)
    elif options:
        plain = hide_misleading_options(plain, labels, options)
    reading = _parse_to_next_question(plain, labels, options)
    if set(reading.ballot) == set(labels):  # a claim of every label is none
        reading = replace(reading, ballot={})
    if reading.reason == "no claim" and (translated := translate_circled(plain, labels, options)):
        circled = _apply_rules(translated, _make_rules(labels, options)[:2])
        reading = circled if circled.label is not None else reading
    return reading if reading.reason != "no claim" else ParsedReply(None, _explain_unread(plain, labels))


def _parse_to_next_question(plain: str, labels: Sequence[str], options: Sequence[str]) -> ParsedReply:
    rules = _make_rules(labels, options)
    ends = [asked.start() for asked in islice(FURTHER_QUESTION.finditer(plain), _QUESTIONS)] + [len(plain)]
    for end in ends:
        reading = _apply_rules(plain[:end], rules)
        if reading.label is not None or reading.reason == "two claims":
            break
    return reading


def _apply_rules(text: str, rules: Sequence[tuple[str, Rule]]) -> ParsedReply:
    """Return the reading of the first rule that finds a claim."""
    why, unparsed = "no claim", -1
    for reason, rule in rules:
        claim = find_last_claim(rule(text), text)
        if claim is None:
            if reason == "answer":
                unparsed = find_unparsed_announcement(text)
            continue
        if claim.end <= unparsed:  # a weaker claim before an answer that cannot be parsed
            return ParsedReply(None, "unclear answer")
        others = find_retraction(text, claim)
        if len(claim.labels) > 1 or others is not None or (others := _list_later_decisions(text, claim, rules)):
            return ParsedReply(
                None, "two claims", {} if others == () else _share_vote((*claim.labels, *(others or ())))
            )
        if claim.labels != (NO_LABEL,):
            return ParsedReply(claim.labels[0], "repeated" if claim.repeated else reason, {claim.labels[0]: 1.0})
        why, text = "none of these", text[claim.end :]
    return ParsedReply(None, why)


def _share_vote(labels: Sequence[str]) -> Ballot:
    """Return one vote, shared by labels; the share of "none of these" is nobody's."""
    return {label: 1 / len(labels) for label in sorted(labels) if label != NO_LABEL}


def _list_later_decisions(text: str, claim: Claim, rules: Sequence[tuple[str, Rule]]) -> tuple[str, ...]:
    """Return the other labels for which the last sentence after a claim decides: "Answer: B … So I choose C."."""
    start, _ = find_last_sentence(text)
    decides = dict(rules).get("choice")
    if decides is None or start < claim.end:
        return ()
    return tuple({label for later in decides(text[start:]) for label in later.labels} - {*claim.labels, NO_LABEL})


def _explain_unread(text: str, labels: Sequence[str]) -> str:
    if _REFUSED.find_all(text):
        return "refused"
    if (
        labels
        and list_announcements(text)
        and find_announced(text, Answerable(compile_label_patterns(letters(MOST_CHOICES)), {}))
    ):
        return "no such label"
    return "no claim"


def _make_rules(labels: Sequence[str], options: Sequence[str]) -> list[tuple[str, Rule]]:
    """Return the rules from strict to lenient, each with its name."""
    if not labels:
        return [("answer", find_announced_numbers), ("end", find_last_number)]
    texts = index_option_texts(tuple(labels), tuple(options)) if options else {}
    answerable = Answerable(compile_label_patterns(tuple(labels)), texts)
    rules = {
        "answer": find_announced,
        "line": find_on_line,
        "choice": find_chosen,
        "start": find_at_start,
        "end": find_at_end,
    }
    return [(name, partial(rule, answerable=answerable)) for name, rule in rules.items()]
