"""A voting rule: which runs vote, with what weight, and how their ballots are combined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from quorum.judge.ensemble.pool import Pool, pool_ballots, temper_answers, vote_majority


@dataclass(frozen=True, slots=True)
class MethodScore:
    """The accuracy of a voting method, or of one run, on labelled questions, with its standard error."""

    name: str
    accuracy: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VotingRule:
    """A voting method with its weights, and how well it does on labelled questions that it was not fitted on.

    Attributes:
        weights: the weight of each run that votes, not 0, the best run first (which also wins a tie). A negative weight
            lowers the labels that its run gives.
        subject_weights: weights that replace `weights` for the questions of a subject.
        temperatures: the temperature at which a run's ballots are taken; other runs' ballots are taken as they are.
        labelled: how many labelled questions the rule was selected on; 0 for a rule that needs none.
        out_of_fold: the accuracy of the whole selection, measured on folds that it did not see.
        best_member: the accuracy of selecting the single run with most right answers, on the same folds; named after
            the run that is selected on all labelled questions.
        method_scores: the out-of-fold accuracy of each method alone.
    """

    method: str
    pool: Pool
    weights: Mapping[str, float]
    subject_weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    labelled: int = 0
    out_of_fold: MethodScore | None = None
    best_member: MethodScore | None = None
    method_scores: Sequence[MethodScore] = ()

    @property
    def summary(self) -> str:
        """The method, what it was selected on, and the weights, in one line."""
        weights = ", ".join(f"{run} {weight:.2f}" for run, weight in self.weights.items())
        basis = f"selected on {self.labelled} labelled questions" if self.labelled else "no labelled questions used"
        return f"{self.method}, {basis} ({weights})"


def apply_rule(
    answers: pl.DataFrame, rule: VotingRule, subjects: pl.DataFrame | None = None, run: str = "vote"
) -> pl.DataFrame:
    """Return the rule's ballot for every question of `answers`: run, id, label, weight.

    A question that no run with a weight could read gets the majority of the other runs.

    Args:
        subjects: id and subject of the questions, for rules that have weights by subject.
    """
    answers = temper_answers(answers, rule.temperatures)
    parts, rest = [], answers
    if subjects is not None:
        for subject, weights in rule.subject_weights.items():
            own = subjects.filter(pl.col("subject") == subject).select("id")
            parts.append(pool_ballots(answers.join(own, on="id", how="semi"), rule.pool, weights, run))
            rest = rest.join(own, on="id", how="anti")
    votes = pl.concat([*parts, pool_ballots(rest, rule.pool, rule.weights, run)])
    unread = votes.filter(pl.col("label").is_null()).select("id")
    if not parts and not len(unread):
        return votes
    others = vote_majority(answers.join(unread, on="id", how="semi"), run=run)
    both = pl.concat([votes.filter(pl.col("label").is_not_null()), others])
    order = answers.select(pl.col("id").unique(maintain_order=True))
    return order.join(both, on="id", maintain_order="left_right").select("run", "id", "label", "weight")


def explain_vote(answers: pl.DataFrame, rule: VotingRule, id: str) -> pl.DataFrame:
    """Return the ballots behind one question's answer: run, label, its weight on the ballot, and the run's weight.

    The last column is called `voice`; runs with the largest come first.
    """
    voices = pl.DataFrame(
        {"run": list(rule.weights), "voice": list(rule.weights.values())},
        schema={"run": pl.String, "voice": pl.Float64},
    )
    own = answers.filter(pl.col("id") == id).join(voices, on="run", how="left", maintain_order="left")
    return own.select("run", "label", "weight", pl.col("voice").fill_null(0.0)).sort(
        "voice", "weight", descending=True, maintain_order=True
    )
