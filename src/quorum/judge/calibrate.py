"""Reliability: how often a model is right where it is so sure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quorum.ballot import Ballot, find_heaviest, normalise_ballot

BINS = 15  # as in Guo et al. (2017), "On Calibration of Modern Neural Networks", arXiv:1706.04599


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The `count` questions with a top probability from `low` to `high`: its mean, and the share that is right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability_bins(ballots: Sequence[Ballot], answers: Sequence[str], bins: int = BINS) -> list[Bin]:
    """Return accuracy by top probability, in bins of equal width; empty bins and empty ballots are left out."""
    confidence, right = _top_probabilities(ballots, answers)
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    found = []
    for place in np.unique(places):
        inside = places == place
        low = float(place) / bins
        found.append(
            Bin(
                low=low,
                high=low + 1 / bins,
                count=int(inside.sum()),
                confidence=float(confidence[inside].mean()),
                accuracy=float(right[inside].mean()),
            )
        )
    return found


def expected_calibration_error(ballots: Sequence[Ballot], answers: Sequence[str], bins: int = BINS) -> float:
    """Return the ECE: the mean gap between top probability and accuracy, weighted by the bins' sizes; 0 for no ballots.

    Naeini et al. (2015), "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; Guo et al. (2017).
    """
    found = reliability_bins(ballots, answers, bins)
    total = sum(one.count for one in found)
    return sum(one.count * abs(one.confidence - one.accuracy) for one in found) / total if total else 0.0


def _top_probabilities(
    ballots: Sequence[Ballot], answers: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the probability of the heaviest label of each ballot that is not empty, and 1.0 where it is the answer."""
    read = [(ballot, answer) for ballot, answer in zip(ballots, answers, strict=True) if ballot]
    tops = [find_heaviest(ballot) for ballot, _ in read]
    confidence = np.array([normalise_ballot(ballot)[top] for (ballot, _), top in zip(read, tops, strict=True)])
    return confidence, np.array([float(top == answer) for (_, answer), top in zip(read, tops, strict=True)])
