"""Sampled votes of one model: a sure question is asked once or a few times, a doubtful one as often as it takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import exp

from quorum.ask.reply import ballot_from_reply
from quorum.ballot import Ballot, heaviest, normalised
from quorum.judge.settings import VoteSettings
from quorum.model.backend import Backend
from quorum.question import Prompt, Reply

# how sure a model is of each reply, from 0 to 1 (its own probability, a verifier's P(TRUE)), or None: not known
Confidence = Callable[[Sequence[Prompt], Sequence[Reply]], Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class VoteResult:
    """A question's ballot, shares that sum to 1, and its votes as they came, None unread, asked for in `rounds`.

    The ballot of a question with one readable vote is that vote's own, its probabilities with it.
    """

    ballot: Ballot
    votes: tuple[str | None, ...]
    rounds: int


@dataclass(frozen=True, slots=True)
class _Vote:
    label: str | None
    weight: float  # from 0 to 1
    alone: bool = False  # so sure that it needs no other, where it is the first
    ballot: Ballot = field(default_factory=dict)  # what it says besides its label; empty: unread


def vote_adaptively(
    backend: Backend,
    prompts: Sequence[Prompt],
    settings: VoteSettings,
    confidence: Confidence | None = None,
    first: Sequence[Ballot | None] = (),
) -> list[VoteResult]:
    """Asks each prompt again and again, under a `repeat` of its own, until its vote is clear; one result for each.

    Adaptive-Consistency (Aggarwal et al. 2023, arXiv:2305.11860): enough is asked once P(p > 1/2) >= `sure` for
    p ~ Beta(a + 1, b + 1), a and b being the votes of the leader and the runner-up; and, without any loss, once the
    votes that are left can't change the leader. A round is one batch: each open question as often as it takes until it
    could close, had the leader all of these votes. So rounds are few, and where votes count alike not one is asked more
    than one at a time would.

    With a temperature votes count by their confidence (CISC, Taubenfeld et al. 2025, arXiv:2502.06233): that of
    `confidence`, else the reply's own probability of its label; one that is not known counts in full. Beta's a and b
    are then the shares of Kish's effective number of votes, (sum of weights)^2 / sum of squared weights.

    `first` has, for each prompt or for none, the ballot that it came to when it was asked under repeat 0, or None where
    it was not: that is its first vote, and not asked for again. It says how sure it is where it has several labels.

    A tie goes to the label that comes first in the alphabet. A reply that can't be read costs a vote and counts for
    nothing; a question without a readable one has an empty ballot.
    """
    given = first or [None] * len(prompts)
    votes: list[tuple[_Vote, ...]] = [
        () if ballot is None else (_given_vote(ballot, settings),) for _, ballot in zip(prompts, given, strict=True)
    ]
    rounds = [0] * len(prompts)
    active = [place for place, cast in enumerate(votes) if not _is_clear(cast, settings)]
    while active:
        wanted = [_soonest(votes[place], settings) for place in active]
        batch = [
            replace(prompts[place], repeat=len(votes[place]) + more)
            for place, count in zip(active, wanted, strict=True)
            for more in range(count)
        ]
        cast = iter(_votes_cast(backend, batch, settings, confidence))
        for place, count in zip(active, wanted, strict=True):
            votes[place] += tuple(islice(cast, count))
            rounds[place] += 1
        active = [place for place in active if not _is_clear(votes[place], settings)]
    return [
        VoteResult(_elected(each), tuple(vote.label for vote in each), count)
        for each, count in zip(votes, rounds, strict=True)
    ]


def _votes_cast(
    backend: Backend, batch: Sequence[Prompt], settings: VoteSettings, confidence: Confidence | None
) -> list[_Vote]:
    replies = backend.answer(batch)
    heights = (confidence or _own_confidence)(batch, replies)
    return [
        _weighed_vote(ballot_from_reply(reply, prompt), height, settings)
        for prompt, reply, height in zip(batch, replies, heights, strict=True)
    ]


def _given_vote(ballot: Ballot, settings: VoteSettings) -> _Vote:
    return _weighed_vote(ballot, max(ballot.values()) if len(ballot) > 1 else None, settings)


def _weighed_vote(ballot: Ballot, height: float | None, settings: VoteSettings) -> _Vote:
    """The vote that a ballot is, whose confidence is `height`."""
    if not ballot:
        return _Vote(None, 0.0)
    sure = 1.0 if height is None else min(height, 1.0)
    weight = exp((sure - 1) / settings.temperature) if settings.temperature else 1.0
    return _Vote(heaviest(ballot), weight, height is not None and sure > settings.alone, ballot)


def _own_confidence(prompts: Sequence[Prompt], replies: Sequence[Reply]) -> list[float | None]:
    """How likely each reply's own label is, where the model says so."""
    known = zip(prompts, replies, strict=True)
    return [
        None if reply.label_logprobs is None else max(ballot_from_reply(reply, prompt).values(), default=0.0)
        for prompt, reply in known
    ]


def _soonest(votes: tuple[_Vote, ...], settings: VoteSettings) -> int:
    """After how many more votes, all for the leader, this could be clear."""
    read = [vote for vote in votes if vote.label is not None]
    weight = sum(vote.weight for vote in read) / len(read) if read else 1.0
    leading = _Vote(heaviest(_counted(votes)) if read else "", weight, alone=settings.alone < 1)
    left = settings.most - len(votes)
    return next((more for more in range(1, left) if _is_clear((*votes, *[leading] * more), settings)), left)


def _is_clear(votes: tuple[_Vote, ...], settings: VoteSettings) -> bool:
    """Whether enough was asked."""
    from scipy.special import betainc  # type: ignore[import-untyped]

    left = settings.most - len(votes)
    if left == 0 or (votes and votes[0].alone):
        return True
    first, second = sorted([*_counted(votes).values(), 0.0, 0.0], reverse=True)[:2]
    if first - second > left:  # no vote counts more than 1
        return True
    total, squares = sum(vote.weight for vote in votes), sum(vote.weight**2 for vote in votes)
    scale = total / squares if squares else 0.0  # 1 where all count alike
    return bool(betainc(second * scale + 1, first * scale + 1, 0.5) >= settings.sure)


def _elected(votes: Sequence[_Vote]) -> Ballot:
    read = [vote for vote in votes if vote.label is not None]
    return normalised(read[0].ballot if len(read) == 1 else _counted(votes))


def _counted(votes: Sequence[_Vote]) -> Ballot:
    """Each label's votes, by their weights; empty where nothing was read."""
    labels = sorted({vote.label for vote in votes if vote.label is not None})
    return {label: sum(vote.weight for vote in votes if vote.label == label) for label in labels}
