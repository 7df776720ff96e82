"""How often the ladder's promised intervals hold the truth: simulated competitions, each with a ladder of its own.

    python benchmarks/ladder_coverage.py --competitions 2000

Each competition has held-out questions in clusters, a member, and stages whose true gains are 0, small or negative; the
hits of all configurations are correlated, as a question is easy or hard for all of them. The ladder of the library
chooses the stages and promises two 95 % intervals: one for the true accuracy of its winner, and one for the winner's
score on a hidden test of a given size. Both are compared with what the simulation knows. `naive` is the interval of the
winner's score on all held-out questions, those that chose it. Prints JSON; exit code 1: a promised interval holds the
truth in less than 93 % or more than 97 % of the competitions.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm  # type: ignore[import-untyped]

from quorum.competition.climb import Attempt
from quorum.competition.ladder import CrossFit, climb_ladder
from quorum.competition.stages import Stage
from quorum.console import DONE, FOUND, print_json, run_program
from quorum.evaluation.metrics import score_answers
from quorum.files.solution import SolvedRow

RIGHT, WRONG = {"A": 1.0}, {"B": 1.0}
PROMISED = (0.93, 0.97)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How the hits of a simulated competition come about.

    A question is right if mean + difficulty + the sum of each stage's effect on it is above 0. Difficulty and effects
    are normal; a share `shared` of their variance is common to the questions of a cluster. The mean is chosen so that a
    configuration's true accuracy is `base` plus the gains of its stages.
    """

    base: float
    gains: Sequence[float]
    spread: float  # standard deviation of a stage's effect, where that of the difficulty is 1
    shared: float
    largest: int  # size of a cluster, at most

    def accuracy(self, stages: Sequence[int]) -> float:
        """Return the true accuracy with these stages."""
        return min(0.99, max(0.01, self.base + sum(self.gains[stage] for stage in stages)))


@dataclass(frozen=True)
class Questions:
    """Simulated questions: the cluster of each, its difficulty, and each stage's effect on it."""

    rules: Rules
    clusters: NDArray[np.intp]
    difficulty: NDArray[np.float64]
    effects: NDArray[np.float64] = field(repr=False)  # (stages, questions)

    def hits(self, stages: Sequence[int]) -> NDArray[np.bool_]:
        """Return which questions are right with these stages."""
        deviation = math.sqrt(1 + len(stages) * self.rules.spread**2)
        mean = deviation * norm.ppf(self.rules.accuracy(stages))
        found: NDArray[np.bool_] = mean + self.difficulty + self.effects[list(stages)].sum(axis=0) > 0
        return found


def draw_rules(random: np.random.Generator) -> Rules:
    """Draw a competition: half of its stages gain nothing, the others 1 to 5 points, or lose as much."""
    count = int(random.integers(3, 7))
    gains = random.choice([0.0, 1.0, -1.0], size=count, p=[0.5, 0.35, 0.15]) * random.uniform(0.01, 0.05, size=count)
    return Rules(
        base=float(random.uniform(0.3, 0.8)),
        gains=gains.tolist(),
        spread=float(random.uniform(0.2, 0.8)),
        shared=float(random.uniform(0, 0.8)),
        largest=int(random.integers(1, 7)),
    )


def draw_questions(rules: Rules, count: int, random: np.random.Generator) -> Questions:
    """Draw questions in clusters of 1 to `largest`."""
    sizes = random.integers(1, rules.largest + 1, size=count)
    clusters = np.repeat(np.arange(count), sizes)[:count]

    def draw() -> NDArray[np.float64]:
        common, own = random.standard_normal(count)[clusters], random.standard_normal(count)
        return math.sqrt(rules.shared) * common + math.sqrt(1 - rules.shared) * own

    effects = np.array([rules.spread * draw() for _ in rules.gains])
    return Questions(rules, clusters, draw(), effects)


def simulate(held_out: int, test: int, random: np.random.Generator) -> dict[str, Any]:
    """Climb the ladder of one competition; return which intervals hold the truth, and the errors of the values."""
    rules = draw_rules(random)
    questions = draw_questions(rules, held_out, random)
    solution = [SolvedRow(id=str(number), answer="A") for number in range(held_out)]
    clusters = {row.id: int(cluster) for row, cluster in zip(solution, questions.clusters, strict=True)}

    @cache
    def attempt(stages: tuple[int, ...]) -> Attempt:
        hits = questions.hits(stages)
        return Attempt({row.id: RIGHT if hit else WRONG for row, hit in zip(solution, hits, strict=True)}, 1.0, 0.0)

    ladder = climb_ladder(
        [Stage(str(number)) for number in range(len(rules.gains))],
        lambda stages: attempt(tuple(int(stage.name) for stage in stages)),
        solution,
        "accuracy",
        cross_fit=CrossFit(clusters=clusters, seed=int(random.integers(2**31)), test=test),
    )
    kept = tuple(int(rung.stage) for rung in ladder.rungs[1:] if rung.kept)
    true = rules.accuracy(kept)
    hidden = float(draw_questions(rules, test, random).hits(kept).mean())
    assert ladder.final is not None
    assert ladder.final.test is not None
    score, forecast = ladder.final.winner, ladder.final.test
    rows = [replace(row, group=str(clusters[row.id])) for row in solution]
    naive = score_answers(dict(attempt(kept).ballots), rows).overall
    return {
        "kept": len(kept),
        "value": _holds(score.low, score.high, true),
        "test": _holds(forecast.low, forecast.high, hidden),
        "naive": _holds(naive.low, naive.high, true),
        "bias": score.value - true,
        "naive bias": naive.value - true,
    }


def _holds(low: float | None, high: float | None, truth: float) -> bool:
    return low is not None and high is not None and low <= truth <= high


def summarise(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the shares of intervals that hold the truth, with the standard error of a share, and the mean errors."""
    share = {name: float(np.mean([one[name] for one in found])) for name in ("value", "test", "naive")}
    return {
        "competitions": len(found),
        **{name: round(value, 4) for name, value in share.items()},
        "standard error": round(math.sqrt(0.95 * 0.05 / len(found)), 4),
        "bias": round(float(np.mean([one["bias"] for one in found])), 5),
        "naive bias": round(float(np.mean([one["naive bias"] for one in found])), 5),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--competitions", type=int, default=1000)
    parser.add_argument("--held-out", type=int, nargs="+", default=[150, 300, 600], help="numbers of questions")
    parser.add_argument("--test", type=int, nargs="+", default=[200, 1000], help="sizes of the hidden test")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()

    random, found = np.random.default_rng(args.seed), defaultdict[str, list[dict[str, Any]]](list)
    for number in range(args.competitions):
        held_out, test = args.held_out[number % len(args.held_out)], int(random.choice(args.test))
        one = simulate(held_out, test, random)
        for part in ("all", f"{held_out} held out", f"test of {test}", f"{min(one['kept'], 2)} stages kept or more"):
            found[part].append(one)
    table = {part: summarise(found[part]) for part in sorted(found)}
    print_json(table)
    kept = all(PROMISED[0] <= table["all"][name] <= PROMISED[1] for name in ("value", "test"))
    return DONE if kept else FOUND


if __name__ == "__main__":
    run_program(main)
