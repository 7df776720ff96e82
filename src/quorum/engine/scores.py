"""Convert the scores of labels to a reply."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from quorum.question import Reply


def make_scored_reply(labels: Sequence[str], scores: Sequence[float], *, over_vocabulary: bool = False) -> Reply:
    """Return a reply with the best label (a tie goes to the first) and the log-probability of each label.

    Scores are natural logarithms of unnormalised probabilities; this subtracts the log of the sum of exponentials. If a
    score is NaN or infinite, the reply is empty and so are its log-probabilities.

    Args:
        over_vocabulary: the scores are log-probabilities over all tokens, so their total probability is the reply's
            `label_mass`.
    """
    if not all(map(math.isfinite, scores)):
        return Reply(text="", label_logprobs={})
    best = max(scores)
    log_sum = best + math.log(sum(math.exp(score - best) for score in scores))
    logprobs = {label: score - log_sum for label, score in zip(labels, scores, strict=True)}
    mass = min(1.0, math.exp(log_sum)) if over_vocabulary else None
    return Reply(text=max(labels, key=lambda label: logprobs[label]), label_logprobs=logprobs, label_mass=mass)


def drop_unusable_scores(reply: Reply) -> Reply:
    """Return the reply with empty log-probabilities if they are NaN or infinite; a single label may be impossible."""
    return reply if _are_usable(reply.label_logprobs) else replace(reply, label_logprobs={})


def _are_usable(logprobs: Mapping[str, float] | None) -> bool:
    """Return whether log-probabilities can be a ballot: no NaN, none above a float, not all minus infinity."""
    if not logprobs:
        return True
    values = logprobs.values()
    return max(values) > -math.inf and all(value < math.inf for value in values)
