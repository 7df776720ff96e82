"""Represent an answer as label weights: find the winner, normalise, average, and fit a temperature."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import exp, inf, log

# label -> weight (a probability, a share of votes, a score; never negative). Empty, or without weight: unread.
Ballot = dict[str, float]

PROBABILITY_FLOOR = 1e-12  # logarithms of smaller probabilities are those of this one, so that they are finite
WIDEST_TEMPERATURE = 20.0  # a fitted temperature is at most this, and at least its inverse


def is_unread(ballot: Ballot) -> bool:
    """Return whether no label of the ballot has any weight."""
    return not any(ballot.values())


def find_heaviest(ballot: Ballot) -> str:
    """Return the label with the most weight; a tie goes to the label that comes first in the alphabet.

    Raises:
        ValueError: the ballot is empty.
    """
    return min(ballot, key=lambda label: (-ballot[label], label))


def rank_labels(ballot: Ballot) -> list[str]:
    """Return the labels, heaviest first; a tie goes to the label that comes first in the alphabet."""
    return sorted(ballot, key=lambda label: (-ballot[label], label))


def is_right(ballot: Ballot, answer: str) -> bool:
    """Return whether the heaviest label is the answer; an unread ballot is wrong."""
    return not is_unread(ballot) and find_heaviest(ballot) == answer


def compute_share_right(ballots: Mapping[str, Ballot], answers: Mapping[str, str]) -> float:
    """Return the share of right ballots; ballots and answers are by question id. It is 0 without ballots."""
    return sum(is_right(ballot, answers[id]) for id, ballot in ballots.items()) / max(1, len(ballots))


def normalise_ballot(ballot: Ballot) -> Ballot:
    """Return the ballot with weights that sum to 1; equal weights if no label has any."""
    total = sum(ballot.values())
    if total == inf:  # the sum of finite weights overflowed
        most = max(ballot.values())
        return normalise_ballot({label: weight / most for label, weight in ballot.items()})
    return {label: weight / total if total > 0 else 1 / len(ballot) for label, weight in ballot.items()}


def compute_log_probabilities(ballot: Ballot) -> dict[str, float]:
    """Return the logarithm of each label's probability; smaller ones are raised to `PROBABILITY_FLOOR`."""
    return {label: log(max(share, PROBABILITY_FLOOR)) for label, share in normalise_ballot(ballot).items()}


def make_softmax_ballot(logs: Mapping[str, float]) -> Ballot:
    """Return the ballot whose probabilities are proportional to the exponentials of `logs`; empty for no labels."""
    top = max(logs.values(), default=0.0)
    return normalise_ballot({label: exp(value - top) for label, value in logs.items()})


def average_ballots(ballots: Iterable[Ballot]) -> Ballot:
    """Return the mean of the ballots' probabilities over all their labels, in order; empty ballots are left out."""
    read = [normalise_ballot(ballot) for ballot in ballots if ballot]
    labels = sorted({label for ballot in read for label in ballot})
    return {label: sum(ballot.get(label, 0.0) for ballot in read) / len(read) for label in labels}


def average_ballots_geometrically(ballots: Sequence[Ballot]) -> Ballot:
    """Return the softmax of the mean log-probabilities over the labels of the first of one or more ballots."""
    logs, least = [compute_log_probabilities(ballot) for ballot in ballots], log(PROBABILITY_FLOOR)
    return make_softmax_ballot({label: sum(own.get(label, least) for own in logs) / len(logs) for label in ballots[0]})


def apply_temperature(ballot: Ballot, temperature: float) -> Ballot:
    """Return the ballot with probabilities p^(1/T), normalised: flatter for T > 1, sharper for T < 1.

    The order of the labels by weight does not change, and a label without weight gets none.
    """
    shares = normalise_ballot(ballot)
    logs = {label: each / temperature for label, each in compute_log_probabilities(ballot).items() if shares[label] > 0}
    return dict.fromkeys(ballot, 0.0) | make_softmax_ballot(logs)


def compute_negative_log_likelihood(ballot: Ballot, answer: str) -> float:
    """Return the answer's negative log-probability in nats; a label that is not on the ballot has the floor."""
    return -log(max(normalise_ballot(ballot).get(answer, 0.0), PROBABILITY_FLOOR))


def fit_temperature(ballots: Sequence[Ballot], answers: Sequence[str]) -> float:
    """Return the temperature T that maximises the likelihood of the answers; empty ballots are left out.

    Guo et al. (2017), "On Calibration of Modern Neural Networks", arXiv:1706.04599. The loss is convex in 1/T.
    `search_temperature` sets the bounds, and returns 1 if no temperature improves the loss.
    """
    pairs = [(ballot, answer) for ballot, answer in zip(ballots, answers, strict=True) if ballot]
    return search_temperature(
        lambda temperature: sum(
            compute_negative_log_likelihood(apply_temperature(ballot, temperature), one) for ballot, one in pairs
        )
    )


def search_temperature(loss: Callable[[float], float]) -> float:
    """Return the temperature from 1/20 to 20 with the smallest loss, or 1 where no other is better than 1.

    The search is over log T, by Brent's bounded method, to a ten-thousandth.
    """
    from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

    edge = log(WIDEST_TEMPERATURE)
    options = {"xatol": 1e-4}
    found = exp(minimize_scalar(lambda x: loss(exp(x)), bounds=(-edge, edge), method="bounded", options=options).x)
    return found if loss(found) < loss(1.0) else 1.0
