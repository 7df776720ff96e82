"""What a model's reply says: from free text to a ballot over the prompt's own labels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from quorum.question import Ballot, Prompt, Reply


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text was read as: one of the labels (or a canonical number), or None; `reason` is the rule or why not."""

    label: str | None
    reason: str


def ballot_of(reply: Reply, prompt: Prompt) -> Ballot:
    """The reply as a ballot over the prompt's labels: the model's own probabilities where it gives them, else the
    one label that its text clearly claims, with weight 1; empty where neither is there."""
    if reply.label_logprobs is not None:
        return {label: exp(reply.label_logprobs[label]) for label in prompt.labels if label in reply.label_logprobs}
    label = read_reply(reply.text, prompt.labels, prompt.options).label
    return {} if label is None else {label: 1.0}


def read_reply(text: str, labels: Sequence[str], options: Sequence[str] = ()) -> Reading:
    """The one label that `text` clearly claims; never a guess."""
    any_label = "|".join(map(re.escape, labels))
    if not labels:
        numbers = re.findall(r"(?:####|answer is) ?\$?(-?\d[\d,]{0,20}(?:\.\d{1,20})?)", text)
        return Reading(numbers[-1].replace(",", ""), "claim") if numbers else Reading(None, "no claim")
    if whole := re.fullmatch(rf"\W{{0,9}}({any_label})\W{{0,9}}", text):
        return Reading(whole[1], "whole reply")
    claims = re.findall(rf"(?i:answer(?: is)?\W{{1,9}})({any_label})\b", text)
    return Reading(claims[-1], "claim") if claims else Reading(None, "no claim")
