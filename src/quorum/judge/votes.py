"""Sample several votes of one model: few where the model is sure, more where it is in doubt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import exp

from quorum.ask.reply import ballot_from_reply
from quorum.ballot import Ballot, find_heaviest, normalise_ballot
from quorum.judge.settings import VoteSettings
from quorum.model.backend import Backend
from quorum.question import Prompt, Reply

# Returns a confidence from 0 to 1 for each reply (the model's own probability, a verifier's P(TRUE)); None: not known.
Confidence = Callable[[Sequence[Prompt], Sequence[Reply]], Sequence[float | None]]


_WHOLE_VOTE = 0.999  # probabilities that sum to no less are rounded


@dataclass(frozen=True, slots=True)
class VoteResult:
    """The result of a vote on one question.

    Attributes:
        ballot: shares that sum to 1; if only one vote is readable, the probabilities of that vote; empty if none is.
        votes: the labels in the order in which they were sampled; None: unread, or for several labels alike.
        rounds: the number of batches in which the question was asked.
    """

    ballot: Ballot
    votes: tuple[str | None, ...]
    rounds: int


@dataclass(frozen=True, slots=True)
class _Vote:
    labels: tuple[str, ...]  # those with the most weight, which share the vote; empty: unread
    weight: float  # from 0 to 1
    decisive: bool = False  # its confidence is above `settings.alone`: as a first vote it needs no other
    ballot: Ballot = field(default_factory=dict)  # over all labels; empty: unread

    @property
    def label(self) -> str | None:
        """The label that the vote is for; None if it is unread or for several labels."""
        return self.labels[0] if len(self.labels) == 1 else None


def vote_adaptively(
    backend: Backend,
    prompts: Sequence[Prompt],
    settings: VoteSettings,
    confidence: Confidence | None = None,
    first: Sequence[Ballot | None] = (),
) -> list[VoteResult]:
    """Ask each prompt repeatedly, with a different `repeat` each time, until its vote is clear; return one result each.

    Adaptive-Consistency (Aggarwal et al. 2023, arXiv:2305.11860): a vote is clear when P(p > 1/2) >= `settings.sure`
    for p ~ Beta(a + 1, b + 1), where a and b are the votes of the leader and the runner-up. It is also clear when the
    remaining votes cannot change the leader. Each round is one batch. It asks every open question as often as needed
    to close it if the leader got all of these votes. So there are few rounds, and as long as votes count alike, no more
    votes than when sampling one at a time.

    With a temperature, votes are weighted by confidence (CISC, Taubenfeld et al. 2025, arXiv:2502.06233): that of
    `confidence`, or else the reply's own probability of its label; weight 1 if neither is known. a and b are then
    shares of Kish's effective number of votes, (sum of weights)^2 / (sum of squared weights).

    A reply that claims several labels alike shares its vote among them. A ballot whose weights sum to less than 1 (of a
    reply that was cut off) is that part of a vote. A tie goes to the first label in the alphabet. An unread reply uses
    up a vote and counts for no label.

    Args:
        first: for each prompt (or empty) the ballot from asking it with repeat 0, which is then its first vote, with a
            known confidence if it has several labels; None: not asked yet.
    """
    given = first or [None] * len(prompts)
    votes: list[tuple[_Vote, ...]] = [
        () if ballot is None else (_make_first_vote(ballot, settings),)
        for _, ballot in zip(prompts, given, strict=True)
    ]
    rounds = [0] * len(prompts)
    active = [index for index, own in enumerate(votes) if not _is_clear(own, settings)]
    while active:
        counts = [_count_needed_votes(votes[index], settings) for index in active]
        batch = [
            replace(prompts[index], repeat=len(votes[index]) + more)
            for index, count in zip(active, counts, strict=True)
            for more in range(count)
        ]
        new_votes = iter(_sample_votes(backend, batch, settings, confidence))
        for index, count in zip(active, counts, strict=True):
            votes[index] += tuple(islice(new_votes, count))
            rounds[index] += 1
        active = [index for index in active if not _is_clear(votes[index], settings)]
    return [
        VoteResult(_make_vote_ballot(own), tuple(vote.label for vote in own), count)
        for own, count in zip(votes, rounds, strict=True)
    ]


def _sample_votes(
    backend: Backend, batch: Sequence[Prompt], settings: VoteSettings, confidence: Confidence | None
) -> list[_Vote]:
    replies = backend.answer(batch)
    confidences = (confidence or _read_own_confidence)(batch, replies)
    return [
        _make_vote(ballot_from_reply(reply, prompt), value, settings)
        for prompt, reply, value in zip(batch, replies, confidences, strict=True)
    ]


def _make_first_vote(ballot: Ballot, settings: VoteSettings) -> _Vote:
    return _make_vote(ballot, max(ballot.values()) if len(_list_heaviest(ballot)) < len(ballot) else None, settings)


def _make_vote(ballot: Ballot, confidence: float | None, settings: VoteSettings) -> _Vote:
    if not ballot:
        return _Vote((), 0.0)
    capped = 1.0 if confidence is None else min(confidence, 1.0)
    weight = exp((capped - 1) / settings.temperature) if settings.temperature else 1.0
    part = min(1.0, sum(ballot.values()))
    decisive = confidence is not None and capped > settings.alone
    return _Vote(_list_heaviest(ballot), weight * (part if part < _WHOLE_VOTE else 1.0), decisive, ballot)


def _list_heaviest(ballot: Ballot) -> tuple[str, ...]:
    most = max(ballot.values(), default=0.0)
    return tuple(sorted(label for label, weight in ballot.items() if weight == most))


def _read_own_confidence(prompts: Sequence[Prompt], replies: Sequence[Reply]) -> list[float | None]:
    """Return the probability of each reply's own label; None if the model gives no probabilities."""
    return [
        None if reply.label_logprobs is None else max(ballot_from_reply(reply, prompt).values(), default=0.0)
        for prompt, reply in zip(prompts, replies, strict=True)
    ]


def _count_needed_votes(votes: tuple[_Vote, ...], settings: VoteSettings) -> int:
    """Return after how many more votes, all for the leader, this vote could be clear."""
    read = [vote for vote in votes if vote.labels]
    weight = sum(vote.weight for vote in read) / len(read) if read else 1.0
    leading = _Vote((find_heaviest(_sum_votes(votes)) if read else "",), weight, decisive=settings.alone < 1)
    left = settings.most - len(votes)
    return next((more for more in range(1, left) if _is_clear((*votes, *[leading] * more), settings)), left)


def _is_clear(votes: tuple[_Vote, ...], settings: VoteSettings) -> bool:
    from scipy.special import betainc  # type: ignore[import-untyped]

    left = settings.most - len(votes)
    if left == 0 or (votes and votes[0].decisive):
        return True
    first, second = sorted([*_sum_votes(votes).values(), 0.0, 0.0], reverse=True)[:2]
    if first - second > left:  # no vote counts more than 1
        return True
    total, squares = sum(vote.weight for vote in votes), sum(vote.weight**2 for vote in votes)
    scale = total / squares if squares else 0.0  # 1 if all count alike
    return bool(betainc(second * scale + 1, first * scale + 1, 0.5) >= settings.sure)


def _make_vote_ballot(votes: Sequence[_Vote]) -> Ballot:
    read = [vote for vote in votes if vote.labels]
    return normalise_ballot(read[0].ballot if len(read) == 1 else _sum_votes(votes))


def _sum_votes(votes: Sequence[_Vote]) -> Ballot:
    """Return each label's total weight; empty if no vote is readable."""
    totals: Ballot = {}
    for vote in votes:
        for label in vote.labels:
            totals[label] = totals.get(label, 0.0) + vote.weight / len(vote.labels)
    return dict(sorted(totals.items()))
