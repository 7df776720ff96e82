"""Ask a verifier how likely each option is TRUE, and combine that with the answerer's probabilities where it helps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

from quorum.ask.reply import ballot_from_reply
from quorum.ballot import (
    PROBABILITY_FLOOR,
    Ballot,
    compute_log_probabilities,
    compute_share_right,
    is_right,
    make_softmax_ballot,
    normalise_ballot,
)
from quorum.model.backend import Backend
from quorum.question import Prompt, Question

# Returns the prompt that asks whether a label answers a question; its labels are TRUE and FALSE.
AskVerdict = Callable[[Question, str], Prompt]

WEIGHTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)  # of the verifier, tried besides 0


def ask_verdicts(verifier: Backend, prompts: Sequence[Prompt]) -> list[Ballot]:
    """Return the verifier's ballot over TRUE and FALSE for each prompt; empty if unread."""
    return [ballot_from_reply(reply, prompt) for reply, prompt in zip(verifier.answer(prompts), prompts, strict=True)]


def score_options(questions: Sequence[Question], verifier: Backend, ask_verdict: AskVerdict) -> dict[str, Ballot]:
    """Return P(TRUE) of every option, asked about one at a time: question id -> label -> probability.

    The probabilities of a question need not sum to 1. An unread verdict counts as 0.5.
    """
    pairs = [(question, label) for question in questions for label in question.labels]
    verdicts = ask_verdicts(verifier, [ask_verdict(question, label) for question, label in pairs])
    scores: dict[str, Ballot] = {question.id: {} for question in questions}
    for (question, label), verdict in zip(pairs, verdicts, strict=True):
        scores[question.id][label] = normalise_ballot(verdict).get("TRUE", 0.0) if verdict else 0.5
    return scores


def combine(ballot: Ballot, scores: Ballot, weight: float) -> Ballot:
    """Return the answerer's probabilities times P(TRUE) to the power of `weight`, normalised to sum to 1.

    With weight 0 this is the ballot itself. An unread ballot stays empty.
    """
    if weight == 0 or not ballot:
        return dict(ballot)
    return make_softmax_ballot(
        {
            label: each + weight * log(max(scores.get(label, 0.5), PROBABILITY_FLOOR))
            for label, each in compute_log_probabilities(ballot).items()
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierWeight:
    """The verifier's weight (0: it does not help), and the out-of-fold evidence for it.

    Attributes:
        weight: of the verifier in `combine`.
        alone: out-of-fold accuracy of the answerer alone.
        combined: out-of-fold accuracy of the combined ballots.
        error: paired standard error of the difference.
        ballots: out-of-fold ballots, each question's with a weight fitted on the other folds; the answerer's own if
            `weight` is 0.
    """

    weight: float
    alone: float
    combined: float
    error: float
    ballots: dict[str, Ballot]


def fit_verifier_weight(
    ballots: Mapping[str, Ballot],
    scores: Mapping[str, Ballot],
    answers: Mapping[str, str],
    folds: Mapping[str, int],
) -> VerifierWeight:
    """Fit the verifier's weight on questions with known answers, cross-fitted over folds.

    The weight is 0 unless the combined ballots are right more often, out of fold, by more than the paired standard
    error of the gain. A tie between weights goes to the smallest. All mappings are by question id; the questions in
    `answers` are used.
    """
    ids = [id for id in answers if id in ballots]
    crossed: dict[str, Ballot] = {}
    for fold in dict.fromkeys(folds[id] for id in ids):
        rest = [id for id in ids if folds[id] != fold]
        weight = _find_best_weight(rest, ballots, scores, answers)
        crossed |= {id: combine(ballots[id], scores[id], weight) for id in ids if folds[id] == fold}
    plain = {id: ballots[id] for id in ids}
    gain, error = measure_paired_gain(plain, crossed, answers)
    helps = gain > error
    return VerifierWeight(
        weight=_find_best_weight(ids, ballots, scores, answers) if helps else 0.0,
        alone=compute_share_right(plain, answers),
        combined=compute_share_right(crossed, answers),
        error=error,
        ballots=crossed if helps else plain,
    )


def measure_paired_gain(
    before: Mapping[str, Ballot], after: Mapping[str, Ballot], answers: Mapping[str, str]
) -> tuple[float, float]:
    """Return the accuracy of `after` minus that of `before`, and the paired standard error of this difference."""
    gains = [is_right(after[id], answers[id]) - is_right(ballot, answers[id]) for id, ballot in before.items()]
    count = max(1, len(gains))
    gain = sum(gains) / count
    return gain, sqrt(sum((one - gain) ** 2 for one in gains)) / count


def _find_best_weight(
    ids: Sequence[str], ballots: Mapping[str, Ballot], scores: Mapping[str, Ballot], answers: Mapping[str, str]
) -> float:
    """Return the weight with the most right answers; a tie goes to the smallest."""

    def count_right(weight: float) -> int:
        return sum(is_right(combine(ballots[id], scores[id], weight), answers[id]) for id in ids)

    return max((0.0, *WEIGHTS), key=lambda weight: (count_right(weight), -weight))
