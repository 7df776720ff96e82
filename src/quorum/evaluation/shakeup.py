"""The shake-up to expect: how far scores of one submission move between sets of questions by luck alone."""

import math
from dataclasses import dataclass

from quorum.evaluation.metrics import PUBLIC_SHARE, Score
from quorum.files.solution import SolvedRow


@dataclass(frozen=True, slots=True)
class Parts:
    """How many test questions make the public and the private score; `assumed` where the competition has not said."""

    public: int
    private: int
    assumed: bool


@dataclass(frozen=True, slots=True)
class Shakeup:
    """Standard deviations that luck alone makes: of public minus held-out score, and of private minus public."""

    public: float
    private: float


def find_parts(solution: list[SolvedRow]) -> Parts | None:
    """The parts that a solution's Usage tells; None where it tells none."""
    usages = [row.usage for row in solution]
    public, private = usages.count("Public"), usages.count("Private")
    return Parts(public, private, assumed=False) if public and private else None


def assume_parts(questions: int, share: float = PUBLIC_SHARE) -> Parts | None:
    """The parts of a test of so many questions if `share` of them is public; None where a part would be empty."""
    public = round(share * questions)
    return Parts(public, questions - public, assumed=True) if 0 < public < questions else None


def estimate_shakeup(held_out: Score, parts: Parts) -> Shakeup | None:
    """The shake-up if test questions are drawn like the held-out ones; None where the held-out error is not known.

    One question's standard deviation s is the held-out standard error times sqrt(n); the means over two independent
    sets of n and m such questions differ with standard deviation s sqrt(1/n + 1/m). A clustered error stays clustered.
    """
    if held_out.error is None:
        return None
    one = held_out.error * math.sqrt(held_out.n)
    return Shakeup(
        one * math.sqrt(1 / held_out.n + 1 / parts.public), one * math.sqrt(1 / parts.public + 1 / parts.private)
    )


def estimate_selection_luck(error: float, looks: int) -> float:
    """How much too good the best of so many equally good runs looks on average, if their errors are independent.

    The standard error times the mean of the largest of `looks` standard normals. Runs scored on the same questions err
    together, so this is the most that choosing can flatter.
    """
    from scipy.integrate import quad  # type: ignore[import-untyped]
    from scipy.stats import norm  # type: ignore[import-untyped]

    mean, _ = quad(lambda x: x * looks * norm.pdf(x) * norm.cdf(x) ** (looks - 1), -10, 10)
    return error * float(mean)
