"""From scores to a reply: the best label, and how likely each one is."""

import math
from collections.abc import Sequence

from quorum.question import Reply


def make_scored_reply(labels: Sequence[str], scores: Sequence[float]) -> Reply:
    """The best label (a tie goes to the first) and every label's log-probability.

    Scores are natural logarithms of any mass; the log of the sum of their exponentials is taken from each.
    """
    top = max(scores)
    log_sum = top + math.log(sum(math.exp(score - top) for score in scores))
    logprobs = {label: score - log_sum for label, score in zip(labels, scores, strict=True)}
    return Reply(max(labels, key=lambda label: logprobs[label]), logprobs)
