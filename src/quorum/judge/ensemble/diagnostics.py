"""Find suspicious runs: a model that votes twice, a file that is not a run, a run that is worse than chance."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from quorum.judge.ensemble.labelled import LabelledBallots, limit_labels, make_ballot_array

QUESTIONS_COMPARED = 5000
FEWEST_COMPARED = 20  # on fewer questions even independent runs may agree throughout
NEAR_COPY = 0.98
CHANCE_LEVEL = 0.05
MOSTLY = 0.5


def find_copied_runs(frames: Sequence[pl.DataFrame]) -> dict[str, str]:
    """Return copy -> original for runs whose ballots equal an earlier run's to the last digit in every frame.

    Runs are compared that have 20 questions or more in some frame.

    Args:
        frames: the runs' answers to one or several sets of questions.
    """
    by_run = [
        {own["run"][0]: own.drop("run").sort("id", "label") for own in frame.partition_by("run")} for frame in frames
    ]
    names = list(dict.fromkeys(name for frame in frames for name in frame["run"].unique(maintain_order=True)))
    copies: dict[str, str] = {}
    for first, second in combinations(names, 2):
        pairs = [(runs[first], runs[second]) for runs in by_run if first in runs and second in runs]
        enough = any(one["id"].n_unique() >= FEWEST_COMPARED for one, _ in pairs)
        if first not in copies and enough and all(one.equals(other) for one, other in pairs):
            copies.setdefault(second, first)
    return copies


def find_near_copies(answers: pl.DataFrame) -> list[tuple[str, str, float]]:
    """Return pairs of runs that agree on 98 % or more of the questions that both read, and this share.

    Only the first 5,000 questions are compared. Two runs that are nearly always right agree as often.
    """
    if not answers["label"].count():
        return []
    ids = answers["id"].unique(maintain_order=True).head(QUESTIONS_COMPARED)
    members = list(answers["run"].unique(maintain_order=True))
    some_answers = limit_labels(answers.filter(pl.col("id").is_in(ids.implode())))
    ballots = make_ballot_array(some_answers, ids, members, list(some_answers["label"].drop_nulls().unique().sort()))
    chosen = np.where(ballots.any(axis=2), ballots.argmax(axis=2), -1)
    found = []
    for first, second in combinations(range(len(members)), 2):
        both = (chosen[:, first] >= 0) & (chosen[:, second] >= 0)
        share = float((chosen[both, first] == chosen[both, second]).mean()) if both.sum() >= FEWEST_COMPARED else 0.0
        if share >= NEAR_COPY:
            found.append((members[first], members[second], share))
    return found


def find_foreign_alphabets(answers: pl.DataFrame) -> list[str]:
    """Return runs, among two or more, that mostly give labels that no other run gives (on 20 answers or more)."""
    counts = answers.filter(pl.col("label").is_not_null()).group_by("label", "run").len()
    counts = counts.with_columns((pl.len().over("label") == 1).alias("alone"))
    runs = counts.group_by("run").agg(pl.col("len").sum(), alone=(pl.col("len") * pl.col("alone")).sum())
    foreign = runs.filter((pl.col("len") >= FEWEST_COMPARED) & (pl.col("alone") > MOSTLY * pl.col("len")))
    found = set(foreign["run"]) if answers["run"].n_unique() > 1 else set()
    return [run for run in answers["run"].unique(maintain_order=True) if run in found]


def find_worse_than_chance(ballots: LabelledBallots) -> list[tuple[str, float]]:
    """Return members that are right significantly less often than a guess, and how often (binomial test, 5 %)."""
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    found = []
    read: npt.NDArray[np.int64] = ballots.read.sum(axis=0)
    for member, right, asked in zip(ballots.members, ballots.right.sum(axis=0), read, strict=True):
        chance = 1 / len(ballots.labels)
        if asked and binomtest(int(right), int(asked), chance, alternative="less").pvalue < CHANCE_LEVEL:
            found.append((member, float(right / asked)))
    return found
