"""Decide subject by subject, out of fold, whether a model should reason before it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from quorum.ballot import Ballot, compute_share_right, is_right
from quorum.judge.verifier_scores import measure_paired_gain
from quorum.question import Question

Policy = Literal["never", "where it pays", "always"]  # the cheapest first

# Strength of the shrinkage prior, in pseudo-questions: the variance of one question's gain (0.25 if the two ways of
# asking differ on a quarter of the questions) over the variance of subjects' true gains (a standard deviation of 0.11;
# Sprague et al. 2024, arXiv:2409.12183, found gains in mathematics and logic, and next to none elsewhere).
_PRIOR_QUESTIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningRule:
    """The questions to reason about, and the out-of-fold evidence for this choice.

    Attributes:
        policy: the policy that was chosen.
        subjects: whether reasoning pays, by rehearsed subject ("": questions without one); empty unless the policy is
            "where it pays".
        otherwise: whether to reason about questions of any other subject.
        accuracies: out-of-fold accuracy of each policy.
        gain: accuracy of the policy minus that of "never".
        error: paired standard error of the gain.
        count: number of rehearsed questions.
        ballots: out-of-fold ballots under the policy; each question is asked as the other folds decide.
    """

    policy: Policy
    subjects: Mapping[str, bool]
    otherwise: bool
    accuracies: Mapping[Policy, float]
    gain: float
    error: float
    count: int
    ballots: dict[str, Ballot]

    def applies_to(self, question: Question) -> bool:
        """Return whether this question is reasoned about."""
        return self.subjects.get(question.subject or "", self.otherwise)

    @property
    def summary(self) -> str:
        """Return the decision and its evidence in one line."""
        shares = ", ".join(f"{policy} {share:.3f}" for policy, share in self.accuracies.items())
        change = f"{self.gain:+.3f} ± {self.error:.3f} paired"
        return f"reasons {self._where}; out of fold on {self.count} rehearsed: {shares} ({self.policy}: {change})"

    @property
    def record(self) -> dict[str, Any]:
        """Return everything but the ballots, for the run manifest."""
        return {
            "policy": self.policy,
            "subjects": sorted(subject for subject, pays in self.subjects.items() if pays),
            "otherwise": self.otherwise,
            "accuracies": dict(self.accuracies),
            "gain": self.gain,
            "error": self.error,
            "count": self.count,
        }

    @property
    def _where(self) -> str:
        if all(pays == self.otherwise for pays in self.subjects.values()):
            return "everywhere" if self.otherwise else "nowhere"
        paying = [subject or "questions without a subject" for subject in self.record["subjects"]]
        return f"in {', '.join(paying)}" + (" and in subjects that were not rehearsed" if self.otherwise else "")


def fit_reasoning(
    plain: Mapping[str, Ballot],
    reasoned: Mapping[str, Ballot],
    answers: Mapping[str, str],
    subjects: Mapping[str, str],
    folds: Mapping[str, int],
) -> ReasoningRule:
    """Select a policy on questions with known answers that were asked both ways; all mappings are by question id.

    Under "where it pays" a subject reasons if its gain, shrunk towards the gain of all questions, is above 0. This is
    cross-fitted: each fold does as the other folds decide. The policy with the most right answers is selected; a tie
    goes to the policy that reasons least.
    """
    ids = [id for id in answers if id in plain]
    gains = {id: is_right(reasoned[id], answers[id]) - is_right(plain[id], answers[id]) for id in ids}
    crossed: dict[str, Ballot] = {}
    for fold in dict.fromkeys(folds[id] for id in ids):
        paying, otherwise = _find_paying_subjects([id for id in ids if folds[id] != fold], gains, subjects)
        own = [id for id in ids if folds[id] == fold]
        crossed |= {id: (reasoned if paying.get(subjects[id], otherwise) else plain)[id] for id in own}
    never, always = ({id: ballots[id] for id in ids} for ballots in (plain, reasoned))
    ballots: dict[Policy, dict[str, Ballot]] = {"never": never, "where it pays": crossed, "always": always}
    accuracies = {policy: compute_share_right(ballots[policy], answers) for policy in ballots}
    policy = max(accuracies, key=lambda policy: accuracies[policy])
    paying, otherwise = ({}, policy == "always")
    if policy == "where it pays":
        paying, otherwise = _find_paying_subjects(ids, gains, subjects)
    gain, error = measure_paired_gain(never, ballots[policy], answers)
    return ReasoningRule(
        policy=policy,
        subjects=paying,
        otherwise=otherwise,
        accuracies=accuracies,
        gain=gain,
        error=error,
        count=len(ids),
        ballots=ballots[policy],
    )


def _find_paying_subjects(
    ids: Sequence[str], gains: Mapping[str, int], subjects: Mapping[str, str]
) -> tuple[dict[str, bool], bool]:
    """Return whether reasoning pays, for each subject of `ids`, and for any other subject."""
    own = dict.fromkeys((subjects[id] for id in ids), 0)
    for id in ids:
        own[subjects[id]] += gains[id]
    total = sum(own.values())
    # The shrunk gain, (own + prior * total / count of all) / (own count + prior), has the sign of this whole number.
    return {subject: len(ids) * gain + _PRIOR_QUESTIONS * total > 0 for subject, gain in own.items()}, total > 0
