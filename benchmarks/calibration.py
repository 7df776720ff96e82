"""How right and how sure: real option probabilities, as they are and corrected; prints what docs/calibration.md shows.

DATA is the zip of https://github.com/bhaweshiitk/ConformalLLM (llm_probs_gpt.zip): LLaMA-13B's probabilities of four
options under ten prompts, on 2,886 questions of 16 MMLU subjects. Everything fitted is fitted on one half of the
questions and scored on the other, and the other way round.
"""

import argparse
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.ballot import Ballot
from quorum.console import DONE, run_program

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# what is fitted on half of the ballots and their answers: a function from a ballot to a better one
Fit = Callable[[Sequence[Ballot], Sequence[str]], Callable[[Ballot], Ballot]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA.zip", type=Path)
    parser.add_argument("--seed", type=int, default=42, help="of the two halves")
    args = parser.parse_args()

    import numpy as np

    from quorum.ballot import apply_temperature, compute_negative_log_likelihood, find_heaviest, fit_temperature
    from quorum.judge.calibrate import expected_calibration_error
    from quorum.judge.letter_prior import count_letter_shares, estimate_corpus_prior, remove_prior

    probabilities, answers = _read(args.data)
    halves = np.random.default_rng(args.seed).permutation(len(answers)) % 2
    mean = [_ballot(question.mean(axis=0)) for question in probabilities]

    def as_is(ballots: Sequence[Ballot], answers: Sequence[str]) -> Callable[[Ballot], Ballot]:
        return lambda ballot: ballot

    def prior(ballots: Sequence[Ballot], answers: Sequence[str]) -> Callable[[Ballot], Ballot]:
        found = estimate_corpus_prior(ballots)
        return lambda ballot: remove_prior(ballot, found)

    def temperature(ballots: Sequence[Ballot], answers: Sequence[str]) -> Callable[[Ballot], Ballot]:
        found = fit_temperature(ballots, answers)
        return lambda ballot: apply_temperature(ballot, found)

    def both(ballots: Sequence[Ballot], answers: Sequence[str]) -> Callable[[Ballot], Ballot]:
        level = prior(ballots, answers)
        heat = temperature([level(ballot) for ballot in ballots], answers)
        return lambda ballot: heat(level(ballot))

    def cross_fitted(ballots: Sequence[Ballot], fit: Fit) -> list[Ballot]:
        better: list[Ballot] = list(ballots)
        for half in (0, 1):
            rest = np.flatnonzero(halves != half)
            improve = fit([ballots[place] for place in rest], [answers[place] for place in rest])
            for place in np.flatnonzero(halves == half):
                better[place] = improve(ballots[place])
        return better

    def right(ballots: Sequence[Ballot]) -> "np.typing.NDArray[np.float64]":
        return np.array(
            [find_heaviest(ballot) == answer for ballot, answer in zip(ballots, answers, strict=True)], float
        )

    def row(name: str, sets: Sequence[Sequence[Ballot]]) -> str:
        hits = np.mean([right(ballots) for ballots in sets], axis=0)
        gain = hits - right(mean)
        errors = [expected_calibration_error(ballots, answers) for ballots in sets]
        logs = [
            np.mean([compute_negative_log_likelihood(b, a) for b, a in zip(ballots, answers, strict=True)])
            for ballots in sets
        ]
        root = len(answers) ** 0.5
        accuracy, gained = (
            f"{x.mean():{sign}.4f} ± {x.std(ddof=1) / root:.4f}" for x, sign in ((hits, ""), (gain, "+"))
        )
        return f"| {name} | {accuracy} | {gained} | {np.mean(errors):.4f} | {np.mean(logs):.4f} |"

    print(
        f"n = {len(answers)}\n\n| ballots | accuracy | against the mean of prompts | ECE | NLL |\n|---|---|---|---|---|"
    )
    fits: list[tuple[str, Fit]] = [("", as_is), (", letter prior taken out", prior), (", temperature", temperature)]
    fits.append((", both", both))
    singles = [[_ballot(question[prompt]) for question in probabilities] for prompt in range(probabilities.shape[1])]
    for name, fit in fits:
        print(row(f"one prompt (mean of ten){name}", [cross_fitted(ballots, fit) for ballots in singles]))
    for name, fit in fits:
        print(row(f"mean of prompts{name}", [cross_fitted(mean, fit)]))
    labels = "ABCD"
    print("\nletters: " + ", ".join(f"{x} {answers.count(x) / len(answers):.3f}" for x in labels) + " are right;")
    for name, ballots in (("as they are", mean), ("prior taken out", cross_fitted(mean, prior))):
        print(f"{name}: " + ", ".join(f"{x} {share:.3f}" for x, share in count_letter_shares(ballots, labels).items()))
    return DONE


def _read(path: Path) -> tuple["NDArray[np.float64]", list[str]]:
    """Probabilities [question, prompt, option], and the answers' letters, subjects in the order of their names."""
    import numpy as np

    scores, answers = [], []
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith("_scores.npy"))
        for name in names:
            scores.append(np.load(io.BytesIO(archive.read(name)), allow_pickle=False).transpose(1, 0, 2))
            targets = np.load(io.BytesIO(archive.read(name.replace("_scores", "_targets"))), allow_pickle=False)
            answers += ["ABCD"[target] for target in targets]
    return np.concatenate(scores), answers


def _ballot(probabilities: Sequence[float]) -> Ballot:
    return {label: float(weight) for label, weight in zip("ABCD", probabilities, strict=True)}


if __name__ == "__main__":
    run_program(main)
