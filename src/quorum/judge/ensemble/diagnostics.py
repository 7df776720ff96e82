"""What is suspicious about the runs of an ensemble: a model that votes twice, a member worse than chance."""

from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from quorum.judge.ensemble.weighting import LabelledBallots, limit_labels, make_ballot_array

QUESTIONS_COMPARED = 5000
FEWEST_COMPARED = 20  # below this even honest runs may agree throughout
NEAR_COPY = 0.98
CHANCE_LEVEL = 0.05
ALONE = 0.5


def find_copied_runs(answers: pl.DataFrame) -> dict[str, str]:
    """Runs whose ballots are, on 20 questions or more, an earlier run's to the last digit: copy -> original."""
    runs = answers.partition_by("run", maintain_order=True, include_key=False)
    names = list(answers["run"].unique(maintain_order=True))
    sorted_runs = [run.sort("id", "label") for run in runs]
    copies: dict[str, str] = {}
    for first, second in combinations(range(len(names)), 2):
        same = names[first] not in copies and sorted_runs[first].equals(sorted_runs[second])
        if same and runs[first]["id"].n_unique() >= FEWEST_COMPARED:
            copies[names[second]] = names[first]
    return copies


def find_near_copies(answers: pl.DataFrame) -> list[tuple[str, str, float]]:
    """Pairs of runs with the same answer on 98 % or more of the questions that both read, and that share.

    At most 5,000 questions are compared, the first; two runs that are nearly always right agree so often as well.
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
    """Runs, of two or more, that give mostly labels that no other ever gives (20 answers or more): hardly runs."""
    said = answers.filter(pl.col("label").is_not_null()).group_by("label", "run").len()
    alone = said.with_columns((pl.len().over("label") == 1).alias("alone"))
    told = alone.group_by("run").agg(pl.col("len").sum(), alone=(pl.col("len") * pl.col("alone")).sum())
    many = told.filter((pl.col("len") >= FEWEST_COMPARED) & (pl.col("alone") > ALONE * pl.col("len")))
    found = set(many["run"]) if answers["run"].n_unique() > 1 else set()
    return [run for run in answers["run"].unique(maintain_order=True) if run in found]


def find_worse_than_chance(ballots: LabelledBallots) -> list[tuple[str, float]]:
    """Members that are right clearly less often than a guess among all labels, and how often (binomial test, 5 %)."""
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    found = []
    read: npt.NDArray[np.int64] = ballots.read.sum(axis=0)
    for member, right, asked in zip(ballots.members, ballots.right.sum(axis=0), read, strict=True):
        chance = 1 / len(ballots.labels)
        if asked and binomtest(int(right), int(asked), chance, alternative="less").pvalue < CHANCE_LEVEL:
            found.append((member, float(right / asked)))
    return found
