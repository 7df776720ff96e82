"""Convert the scores of labels to a reply."""

import math
from collections.abc import Sequence

from quorum.question import Reply


def make_scored_reply(labels: Sequence[str], scores: Sequence[float]) -> Reply:
    """Return a reply with the best label (a tie goes to the first) and the log-probability of each label.

    Scores are natural logarithms of unnormalised probabilities; this subtracts the log of the sum of exponentials.
    """
    best = max(scores)
    log_sum = best + math.log(sum(math.exp(score - best) for score in scores))
    logprobs = {label: score - log_sum for label, score in zip(labels, scores, strict=True)}
    return Reply(max(labels, key=lambda label: logprobs[label]), logprobs)
