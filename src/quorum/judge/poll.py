"""Poll several runs: select the rule that counts their ballots, apply it, and report suspicious runs."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from quorum.errors import BadInput
from quorum.judge.ensemble.apply_rule import Voters, check_voting_method
from quorum.judge.ensemble.rule import VotingRule, explain_vote
from quorum.judge.ensemble.screen import screen_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldQuestions:
    """Labelled questions to select a rule on: no run was trained on them, and the vote is not scored on them.

    Attributes:
        answers: the right answers, by question id.
        runs: the runs' answers to these questions, as an answers frame; None: they are in the frame that is polled.
        labels: each question's own labels, where known; other labels do not count.
        clusters: questions of one cluster stay in one fold of the cross-fitting.
    """

    answers: Mapping[str, str]
    runs: pl.DataFrame | None = None
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    clusters: Mapping[str, Hashable] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """The result of a poll.

    Attributes:
        rule: how the ballots were counted.
        ballots: one ballot per question, heaviest label first; an answers frame (run, id, label, weight).
        crossed: the same for the labelled questions, each by a rule that was selected without it and its cluster; None
            where this was not requested.
        warnings: one line for each suspicious run or pair of runs.
        answers: the answers that were counted, without copied runs and with weight 0 for impossible labels.
    """

    rule: VotingRule
    ballots: pl.DataFrame
    crossed: pl.DataFrame | None
    warnings: Sequence[str]
    answers: pl.DataFrame

    @property
    def left_out(self) -> list[str]:
        """The runs that have no weight."""
        return [run for run in self.answers["run"].unique(maintain_order=True) if run not in self.rule.weights]

    def answers_by_id(self) -> dict[str, str | None]:
        """Return each question's answer, None where no run could read it."""
        first = self.ballots.unique("id", keep="first", maintain_order=True)
        return dict(first.select("id", "label").iter_rows())

    @property
    def unread(self) -> int:
        """The number of questions that no run could read."""
        return self.ballots["label"].null_count()

    def explain(self, id: str) -> list[dict[str, Any]]:
        """Return the ballots behind one question's answer, heaviest run first: run, label, weight, voice.

        Raises:
            BadInput: no run has this question.
        """
        rows = explain_vote(self.answers, self.rule, id).to_dicts()
        if not rows:
            raise BadInput(f"question {id!r}: no run has this id")
        return rows


def poll(
    answers: pl.DataFrame,
    gold: GoldQuestions | None = None,
    *,
    method: str = "auto",
    labels: Mapping[str, Sequence[str]] | None = None,
    subjects: Mapping[str, str] | None = None,
    run: str = "vote",
    cross_fit: bool = False,
) -> Poll:
    """Select a voting rule and apply it to the runs' answers.

    With labelled questions, `auto` is the rule that `select_rule` selects. Without them (or with fewer than 10) it is
    the agreement rule for three runs or more, and the mean of the probabilities for one or two: of runs that only name
    labels, the first run then wins every tie.

    Args:
        answers: the runs' answers: run, id, label, weight.
        gold: labelled questions to select the rule on.
        method: "auto", or a method of docs/voting.md.
        labels: each question's own labels, where known; other labels do not count.
        subjects: each question's subject, for weights that differ by subject.
        run: the name of the vote in its ballots.
        cross_fit: also vote on the labelled questions, each by a rule that was selected without it.

    Raises:
        BadInput: an unknown method, one that needs labelled questions where there are none, or labelled questions that
            do not fit the runs.
    """
    check_voting_method(method)
    own, gold_labels = (gold.runs, gold.labels) if gold else (None, {})
    answers, own, warnings = screen_runs(answers, own, labels or {}, gold_labels)
    table = None if subjects is None else _to_frame(subjects, "subject")
    voters = Voters(answers=answers, labelled=answers if own is None else own, subjects=table, method=method, run=run)
    truth = None if gold is None else _to_frame(gold.answers, "answer")
    if truth is not None:
        warnings += voters.check_gold(truth)
    rule, doubts = voters.select(truth)
    crossed = voters.cross_fit(rule, truth, gold.clusters) if cross_fit and gold and truth is not None else None
    return Poll(
        rule=rule,
        ballots=voters.count(answers, rule),
        crossed=crossed,
        warnings=[*warnings, *doubts],
        answers=answers,
    )


def _to_frame(values: Mapping[str, str], column: str) -> pl.DataFrame:
    return pl.DataFrame(list(values.items()), schema={"id": pl.String, column: pl.String}, orient="row")
