"""Read replies in tests."""

from collections.abc import Mapping

from quorum.question import Reply


def logprobs_of(reply: Reply) -> Mapping[str, float]:
    """Return the log-probabilities of a reply that must have them."""
    assert reply.label_logprobs is not None
    return reply.label_logprobs
