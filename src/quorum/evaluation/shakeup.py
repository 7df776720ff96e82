"""Estimate the shake-up: how far a submission's score moves by chance from one set of questions to another."""

import math
from dataclasses import dataclass

from quorum.evaluation.metrics import PUBLIC_SHARE, Score
from quorum.files.solution import SolvedRow


@dataclass(frozen=True, slots=True)
class Parts:
    """The number of test questions in the public and the private score; `assumed`: no file gives them."""

    public: int
    private: int
    assumed: bool


@dataclass(frozen=True, slots=True)
class Shakeup:
    """Standard deviations by chance alone: of public minus held-out score, and of private minus public score."""

    public: float
    private: float


def find_parts(solution: list[SolvedRow]) -> Parts | None:
    """Return the parts in the Usage column of a solution; None if it has no such column."""
    usages = [row.usage for row in solution]
    public, private = usages.count("Public"), usages.count("Private")
    return Parts(public, private, assumed=False) if public and private else None


def assume_parts(questions: int, share: float = PUBLIC_SHARE) -> Parts | None:
    """Return the parts of a test with this number of questions, `share` of it public; None if a part would be empty."""
    public = round(share * questions)
    return Parts(public, questions - public, assumed=True) if 0 < public < questions else None


def estimate_shakeup(held_out: Score, parts: Parts) -> Shakeup | None:
    """Return the shake-up to expect if test questions are like the held-out ones; None if the error is not known.

    The standard deviation s of one question is the held-out standard error times sqrt(n). The means over two
    independent sets of n and m such questions differ with standard deviation s sqrt(1/n + 1/m). A clustered error
    gives a clustered shake-up.
    """
    if held_out.error is None:
        return None
    deviation = held_out.error * math.sqrt(held_out.n)
    return Shakeup(
        public=deviation * math.sqrt(1 / held_out.n + 1 / parts.public),
        private=deviation * math.sqrt(1 / parts.public + 1 / parts.private),
    )


def estimate_selection_bias(error: float, runs: int) -> float:
    """Return by how much the best score of equally good runs is too high on average, if their errors are independent.

    This is the standard error times the mean of the largest of `runs` standard normal values. It is an upper bound:
    runs scored on the same questions have correlated errors.
    """
    from scipy.integrate import quad  # type: ignore[import-untyped]
    from scipy.stats import norm  # type: ignore[import-untyped]

    mean, _ = quad(lambda x: x * runs * norm.pdf(x) * norm.cdf(x) ** (runs - 1), -10, 10)
    return error * float(mean)
