"""Is the vote's score honest when its members answered out of fold? Simulated competitions with a known answer.

python benchmarks/stacking.py [--draws 40] [--n 300] [--folds 5] [--json]

The vote's rule for a question is selected without the question, but on answers of members that may have learnt from it.
Here three nearest-neighbour members, each with its own view of the features, answer n labelled questions out of fold
and 2,000 test questions after a refit on all labels. The promise is the cross-fitted score on the labelled questions,
the truth the score on the test. With --signal 0 labels are random: members learn noise, and every truth is a quarter.
"""

import argparse
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, run_program

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

NEIGHBOURS = (1, 7, 25)  # of the members
LABELS = "ABCD"
TEST = 2_000
FEATURES = 6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--n", type=int, default=300, help="labelled questions (default %(default)s)")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--signal", type=float, nargs="+", default=[0.0, 1.0])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    import numpy as np

    rows = []
    for signal in args.signal:
        drawn = np.array([simulate(seed, args.n, args.folds, signal) for seed in range(args.draws)])
        for index, name in enumerate([*(f"{k} neighbours" for k in NEIGHBOURS), "vote"]):
            promise, truth = drawn[:, index, 0], drawn[:, index, 1]
            gap = promise - truth
            error = float(gap.std(ddof=1)) / args.draws**0.5
            rows.append({"signal": signal, "run": name, "promise": float(promise.mean()), "truth": float(truth.mean())})
            rows[-1] |= {"promise - truth": float(gap.mean()), "error": error}
            if not args.json:
                cells = f"{promise.mean():.4f} | {truth.mean():.4f} | {gap.mean():+.4f} ± {error:.4f}"
                print(f"| {signal:g} | {name} | {cells} |", flush=True)
    if args.json:
        print_json(rows)
    return DONE


def simulate(seed: int, n: int, folds: int, signal: float) -> list[tuple[float, float]]:
    """Return the promised and the true accuracy of each member and of the vote in one competition."""
    import numpy as np
    import polars as pl

    from quorum.files.answers import make_answers
    from quorum.judge.poll import GoldQuestions, poll

    chance = np.random.default_rng(seed)
    features = chance.normal(size=(n + TEST, FEATURES))
    scores = signal * features @ chance.normal(size=(FEATURES, len(LABELS))) + chance.gumbel(
        size=(n + TEST, len(LABELS))
    )
    answer = scores.argmax(axis=1)
    fold = chance.permutation(n) % folds
    held_out, tested, found = [], [], []
    for number, neighbours in enumerate(NEIGHBOURS):
        view = features[:, number : number + 3] + chance.normal(size=(n + TEST, 3)) / 2
        out = np.zeros((n, len(LABELS)))
        for one in range(folds):
            out[fold == one] = vote_of_neighbours(
                view[:n][fold != one], answer[:n][fold != one], view[:n][fold == one], neighbours
            )
        test = vote_of_neighbours(view[:n], answer[:n], view[n:], neighbours)
        held_out.append(make_answers(str(neighbours), make_ballots(out, 0)))
        tested.append(make_answers(str(neighbours), make_ballots(test, n)))
        found.append((np.mean(out.argmax(1) == answer[:n]), np.mean(test.argmax(1) == answer[n:])))
    gold = {str(index): LABELS[answer[index]] for index in range(n)}
    result = poll(pl.concat(tested), GoldQuestions(answers=gold, runs=pl.concat(held_out)), cross_fit=True)
    assert result.crossed is not None
    truth = {str(index): LABELS[answer[index]] for index in range(n, n + TEST)}
    return [*map(tuple, found), (share_right(result.crossed, gold), share_right(result.ballots, truth))]


def vote_of_neighbours(known: "Numbers", answers: "Any", asked: "Numbers", neighbours: int) -> "Numbers":
    """Return the label shares among the nearest known questions, smoothed."""
    import numpy as np

    distance = ((asked[:, None] - known[None]) ** 2).sum(axis=2)
    nearest = np.argpartition(distance, neighbours - 1, axis=1)[:, :neighbours]
    counts = np.stack([(answers[nearest] == label).sum(axis=1) for label in range(len(LABELS))], axis=1)
    return (counts + 0.1) / (neighbours + 0.1 * len(LABELS))


def make_ballots(shares: "Numbers", first: int) -> dict[str, dict[str, float]]:
    return {str(first + row): dict(zip(LABELS, map(float, own), strict=True)) for row, own in enumerate(shares)}


def share_right(answers: "Any", gold: dict[str, str]) -> float:
    from quorum.ballot import compute_share_right
    from quorum.files.answers import ballots_from_answers

    return compute_share_right(ballots_from_answers(answers), gold)


if __name__ == "__main__":
    run_program(main)
