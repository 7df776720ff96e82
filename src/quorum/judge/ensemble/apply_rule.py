"""Choose between the rules with and without labelled questions, and count ballots by the one that is chosen."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from quorum.errors import BadInput, list_some
from quorum.judge.ensemble.crossfit import cross_fit_votes
from quorum.judge.ensemble.diagnostics import find_worse_than_chance
from quorum.judge.ensemble.labelled import collect_labelled_ballots
from quorum.judge.ensemble.pool import Pool
from quorum.judge.ensemble.rule import VotingRule, apply_rule
from quorum.judge.ensemble.select_rule import FEWEST_LABELLED, select_rule
from quorum.judge.ensemble.unsupervised import vote_dawid_skene, vote_glad, weigh_by_agreement
from quorum.judge.ensemble.weighting import BY_SUBJECT, PROBABILITY_METHODS, VOTE_METHODS

FEWEST_FOR_AGREEMENT = 3  # runs: where two disagree, nothing shows which is the better one
_EQUAL_WEIGHTS: Mapping[str, Pool] = {"majority": "votes", "mean": "mean"}
_NEVER_WITH_GOLD = ("agreement", "dawid-skene", "glad")


def check_voting_method(method: str) -> None:
    """Raise BadInput unless `method` is "auto" or the name of a voting method."""
    fitted = [one.name for one in (*VOTE_METHODS, *PROBABILITY_METHODS, BY_SUBJECT)]
    known = list(dict.fromkeys(["auto", *_EQUAL_WEIGHTS, *_NEVER_WITH_GOLD, *fitted]))
    if method not in known:
        raise BadInput(f"method {method!r} is not among {', '.join(known)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Voters:
    """The answers that are polled, those that a rule is selected on (perhaps the same frame), and the method.

    `subjects` has columns id and subject; `run` is the name of the vote in its ballots.
    """

    answers: pl.DataFrame
    labelled: pl.DataFrame
    subjects: pl.DataFrame | None
    method: str
    run: str

    def check_gold(self, gold: pl.DataFrame) -> list[str]:
        """Return warnings about labelled questions that cannot be used; refuse those that do not fit the runs."""
        known = self.labelled.join(gold, on="id")
        count = known["id"].n_unique()
        if not count:
            raise BadInput(f"0 labelled questions among the runs; at least {FEWEST_LABELLED} are needed")
        given, answers = (known[column].drop_nulls().unique().sort().to_list() for column in ("label", "answer"))
        if not given:
            return [f"no run has an answer to any of {count} labelled questions; they are not used"]
        if not set(given) & set(answers):
            expected, found = (list_some(list(map(repr, values)), 8) for values in (answers, given))
            raise BadInput(
                f"the labelled questions' answers are {expected}, and no run gives one of them: theirs are {found}"
            )
        if count < FEWEST_LABELLED and self._works_without_gold:
            return [f"too few labelled questions to fit weights on: {count}, where {FEWEST_LABELLED} are needed"]
        return []

    def select(self, gold: pl.DataFrame | None) -> tuple[VotingRule, list[str]]:
        """Return the rule for these labelled questions, or without them where they are too few, and warnings."""
        if self.method in _NEVER_WITH_GOLD or gold is None or not self._is_enough(gold):
            return self._select_without_gold(), []
        subjects = self.subjects
        both = gold if subjects is None else gold.join(subjects, on="id", how="left", maintain_order="left")
        ballots = collect_labelled_ballots(self.labelled, both)
        rule = select_rule(ballots, None if self.method == "auto" else self.method)
        warnings = [
            f"run {member!r} is right on {share:.1%} of the questions it read: worse than chance"
            for member, share in find_worse_than_chance(ballots)
        ]
        if rule.weights or rule.subject_weights:
            return rule, warnings
        plain = replace(rule, method="majority", pool="votes", weights=self._equal_weights, temperatures={})
        return plain, [*warnings, "no run is right often enough to get a weight: using the plain majority"]

    def count(self, answers: pl.DataFrame, rule: VotingRule) -> pl.DataFrame:
        """Return the ballots that the rule makes of some answers."""
        if rule.method == "dawid-skene" and _some_vote(answers):
            return vote_dawid_skene(answers, self.run)
        if rule.method == "glad" and _some_vote(answers):
            return vote_glad(answers, self.run)
        return apply_rule(answers, rule, self.subjects, self.run)

    def cross_fit(self, rule: VotingRule, gold: pl.DataFrame, clusters: Mapping[str, Hashable]) -> pl.DataFrame:
        """Return ballots for the labelled questions, each by a rule that was selected without it and its cluster."""
        if not rule.labelled:
            return self.count(self.labelled.join(gold, on="id", how="semi", maintain_order="left"), rule)
        return cross_fit_votes(self.labelled, gold, clusters, lambda rest: self.select(rest)[0], self.count)

    @property
    def _equal_weights(self) -> dict[str, float]:
        return dict.fromkeys(self.answers["run"].unique(maintain_order=True), 1.0)

    @property
    def _works_without_gold(self) -> bool:
        return self.method == "auto" or self.method in _EQUAL_WEIGHTS

    def _is_enough(self, gold: pl.DataFrame) -> bool:
        known = self.labelled.join(gold, on="id", how="semi")
        enough = known["id"].n_unique() >= FEWEST_LABELLED or not self._works_without_gold
        return enough and known["label"].count() > 0

    def _select_without_gold(self) -> VotingRule:
        weights, method = self._equal_weights, self.method
        if not _some_vote(self.answers):
            return VotingRule(method="majority", pool="votes", weights=weights)
        if method in ("auto", "agreement"):
            if len(weights) >= FEWEST_FOR_AGREEMENT:
                return weigh_by_agreement(self.answers)
            return VotingRule(method="mean", pool="mean", weights=weights)
        if method in _EQUAL_WEIGHTS:
            return VotingRule(method=method, pool=_EQUAL_WEIGHTS[method], weights=weights)
        if method in _NEVER_WITH_GOLD:
            return VotingRule(method=method, pool="votes", weights=weights)
        allowed = ", ".join(["auto", *_EQUAL_WEIGHTS, *_NEVER_WITH_GOLD])
        raise BadInput(f"method {method!r} needs labelled questions (gold); without them, allowed are {allowed}")


def _some_vote(answers: pl.DataFrame) -> bool:
    return bool(answers.select((pl.col("label").is_not_null() & (pl.col("weight") > 0)).any()).item())
