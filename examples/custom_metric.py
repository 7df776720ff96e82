"""Add a metric of your own, and score and compare runs by it.

The metric is a competition's rule: a right answer earns 1 point, a wrong one costs a third of a point, and an answer
that is left out costs nothing.

python examples/custom_metric.py [FOLDER]
"""

import sys
from pathlib import Path

import quorum
from quorum.ballot import Ballot
from quorum.evaluation.metrics import register_metric
from quorum.files.cells import write_cells

PENALTY = 1 / 3


def score_with_penalty(ballot: Ballot, answer: str) -> float:
    """Return the points for one question; a ballot is a mapping of labels to weights, empty if there is no answer."""
    if not ballot:
        return 0.0
    return 1.0 if max(ballot, key=ballot.__getitem__) == answer else -PENALTY


register_metric("points", score_with_penalty)


def main(folder: Path) -> None:
    """Compare a run that always guesses with one that leaves half of its wrong answers out."""
    folder.mkdir(parents=True, exist_ok=True)
    answers = {f"q{number}": "ABCD"[number % 4] for number in range(100)}
    guesses = {id: answer if number % 5 < 2 else "A" for number, (id, answer) in enumerate(answers.items())}
    careful = {id: "" if number % 10 > 6 else guesses[id] for number, id in enumerate(answers)}
    gold, runs = folder / "gold.csv", [folder / "guesses.csv", folder / "careful.csv"]
    for file, table in zip([gold, *runs], [answers, guesses, careful], strict=True):
        write_cells(file, ("id", "answer"), list(table.items()))

    for run in runs:
        overall = quorum.score(run, gold, "points").overall
        print(f"{run.stem}: {overall.value:+.3f} ± {overall.error:.3f} points a question, {overall.unread} unread")
    (pair,) = quorum.compare(runs, gold, "points").pairs
    print(f"{pair.first} - {pair.second}: {pair.difference:+.3f} ± {pair.error:.3f}, p = {pair.p:.2g}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/custom_metric"))
