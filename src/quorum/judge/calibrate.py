"""Ballots made as sure as they are right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
import numpy.typing as npt

from quorum.question import Ballot

LEAST = 1e-12  # a probability below this counts as this, so that its logarithm is finite
BINS = 15  # of the reliability data, as in Guo et al. (2017)


def normalised(ballot: Ballot) -> Ballot:
    """The ballot with weights that sum to 1; all equal where none is above 0."""
    total = sum(ballot.values())
    return {label: weight / total if total > 0 else 1 / len(ballot) for label, weight in ballot.items()}


def heaviest(ballot: Ballot) -> str:
    """The label that weighs most; a tie goes to the label that comes first in the alphabet."""
    return min(ballot, key=lambda label: (-ballot[label], label))


def is_right(ballot: Ballot, answer: str) -> bool:
    """Whether the ballot's heaviest label is the answer; an unread ballot is wrong."""
    return bool(ballot) and heaviest(ballot) == answer


def share_right(ballots: Mapping[str, Ballot], answers: Mapping[str, str]) -> float:
    """The share of the ballots that are right, both by question id; 0 of none."""
    return sum(is_right(ballot, answers[id]) for id, ballot in ballots.items()) / max(1, len(ballots))


def fit_temperature(ballots: Sequence[Ballot], answers: Sequence[str]) -> float:
    """The temperature that makes the answers likeliest: p^(1/T), normalised; 1 where no ballot is read.

    Guo et al. (2017), "On Calibration of Modern Neural Networks", arXiv:1706.04599. The loss is convex in 1/T; the fit
    is kept within 1/20 and 20.
    """
    from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

    pairs = [(ballot, answer) for ballot, answer in zip(ballots, answers, strict=True) if ballot]
    if not pairs:
        return 1.0

    def loss(log_temperature: float) -> float:
        temperature = exp(log_temperature)
        return sum(negative_log_likelihood(tempered(ballot, temperature), answer) for ballot, answer in pairs)

    edge = log(20)
    return exp(float(minimize_scalar(loss, bounds=(-edge, edge), method="bounded", options={"xatol": 1e-4}).x))


def tempered(ballot: Ballot, temperature: float) -> Ballot:
    """The ballot at a temperature: above 1 it is less sure, below 1 surer; the order of its labels stays."""
    logs = {label: log(max(weight, LEAST)) / temperature for label, weight in normalised(ballot).items()}
    top = max(logs.values(), default=0.0)
    return normalised({label: exp(height - top) for label, height in logs.items()})


def negative_log_likelihood(ballot: Ballot, answer: str) -> float:
    """The answer's negative log-probability in nats; an answer that is not on the ballot has probability 1e-12."""
    return -log(max(normalised(ballot).get(answer, 0.0), LEAST))


@dataclass(frozen=True, slots=True)
class Bin:
    """The questions whose surest label has a probability from `low` to `high`: how sure, and how often right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability_bins(ballots: Sequence[Ballot], answers: Sequence[str], bins: int = BINS) -> list[Bin]:
    """How often a model is right where it is so sure: equal bins of the top probability, empty ones left out."""
    sure, right = _sureness(ballots, answers)
    places = np.minimum((sure * bins).astype(int), bins - 1)
    found = []
    for place in np.unique(places):
        here = places == place
        low = float(place) / bins
        found.append(Bin(low, low + 1 / bins, int(here.sum()), float(sure[here].mean()), float(right[here].mean())))
    return found


def expected_calibration_error(ballots: Sequence[Ballot], answers: Sequence[str], bins: int = BINS) -> float:
    """ECE, the expected calibration error: the mean gap between sureness and accuracy, weighed by the bins' sizes."""
    found = reliability_bins(ballots, answers, bins)
    total = sum(one.count for one in found)
    return sum(one.count * abs(one.confidence - one.accuracy) for one in found) / total if total else 0.0


def _sureness(
    ballots: Sequence[Ballot], answers: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The top probability of each ballot that is read, and whether its label is the answer."""
    tops = [
        (heaviest(ballot), normalised(ballot), answer)
        for ballot, answer in zip(ballots, answers, strict=True)
        if ballot
    ]
    sure = np.array([ballot[top] for top, ballot, _ in tops])
    return sure, np.array([float(top == answer) for top, _, answer in tops])
