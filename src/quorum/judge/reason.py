"""Where it pays to reason before answering: decided subject by subject, out of fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from quorum.ballot import Ballot, is_right, share_right
from quorum.judge.verifier_scores import measure_paired_gain
from quorum.question import Question

Policy = Literal["never", "where it pays", "always"]  # the cheapest first

# Questions' worth of the gain over all that a subject's own gain is drawn towards: the variance of one question's gain
# (0.25 where the two ways differ on a quarter) over that of subjects' true gains (a standard deviation of 0.11). These
# differ: Sprague et al. (2024), arXiv:2409.12183, found gains in mathematics and logic, and next to none elsewhere.
_PRIOR_QUESTIONS = 20


@dataclass(frozen=True, slots=True)
class ReasoningRule:
    """Which questions are reasoned about, and the out-of-fold accuracies, on `count` rehearsed ones, that say so.

    `subjects` are those rehearsed ("": the questions without one), empty where the policy asks for none; any other does
    as `otherwise` says. `gain` is that of the policy over never, `error` its paired standard error. `ballots` are the
    out-of-fold ballots under the policy: each question's way is that of the other folds.
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
        """All but the ballots, for a run's account."""
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
        return f"in {', '.join(paying)}" + (" and in what was not rehearsed" if self.otherwise else "")


def fit_reasoning(
    plain: Mapping[str, Ballot],
    reasoned: Mapping[str, Ballot],
    answers: Mapping[str, str],
    subjects: Mapping[str, str],
    folds: Mapping[str, int],
) -> ReasoningRule:
    """Decides on questions whose answers are known, asked both ways; all mappings are by question id.

    A subject reasons where its gain, drawn towards that of all questions, is above 0. Each fold does as the others say,
    and of what is right then, never and always the most stands; of equal ones the one that reasons least.
    """
    ids = [id for id in answers if id in plain]
    gains = {id: is_right(reasoned[id], answers[id]) - is_right(plain[id], answers[id]) for id in ids}
    crossed: dict[str, Ballot] = {}
    for fold in dict.fromkeys(folds[id] for id in ids):
        paying, otherwise = _paying([id for id in ids if folds[id] != fold], gains, subjects)
        own = [id for id in ids if folds[id] == fold]
        crossed |= {id: (reasoned if paying.get(subjects[id], otherwise) else plain)[id] for id in own}
    never, always = ({id: some[id] for id in ids} for some in (plain, reasoned))
    tried: dict[Policy, dict[str, Ballot]] = {"never": never, "where it pays": crossed, "always": always}
    accuracies = {policy: share_right(ballots, answers) for policy, ballots in tried.items()}
    policy = max(accuracies, key=lambda one: accuracies[one])
    paying, otherwise = _paying(ids, gains, subjects) if policy == "where it pays" else ({}, policy == "always")
    change = measure_paired_gain(never, tried[policy], answers)
    return ReasoningRule(policy, paying, otherwise, accuracies, *change, len(ids), tried[policy])


def _paying(ids: Sequence[str], gains: Mapping[str, int], subjects: Mapping[str, str]) -> tuple[dict[str, bool], bool]:
    """For each subject of `ids` whether reasoning pays in it, and whether it does in one that is not among them."""
    own = dict.fromkeys((subjects[id] for id in ids), 0)
    for id in ids:
        own[subjects[id]] += gains[id]
    total = sum(own.values())
    # the shrunk gain, (own + prior * total / count of all) / (own count + prior), has the sign of this whole number
    return {subject: len(ids) * gain + _PRIOR_QUESTIONS * total > 0 for subject, gain in own.items()}, total > 0
