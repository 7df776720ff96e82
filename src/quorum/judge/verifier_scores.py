"""How far a verifier believes each option, joined with what the answerer says, where that helps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

from quorum.ask.reply import ballot_from_reply
from quorum.ballot import (
    PROBABILITY_FLOOR,
    Ballot,
    is_right,
    log_probabilities,
    normalised,
    share_right,
    softmax_ballot,
)
from quorum.model.backend import Backend
from quorum.question import Prompt, Question

# how it is asked whether a label answers a question; the prompt's labels are TRUE and FALSE
AskVerdict = Callable[[Question, str], Prompt]

WEIGHTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)  # of the verifier that are tried


def ask_verdicts(verifier: Backend, prompts: Sequence[Prompt]) -> list[Ballot]:
    """The verifier's ballots over TRUE and FALSE, one for each prompt; unread is empty."""
    return [ballot_from_reply(reply, prompt) for reply, prompt in zip(verifier.answer(prompts), prompts, strict=True)]


def score_options(questions: Sequence[Question], verifier: Backend, ask_verdict: AskVerdict) -> dict[str, Ballot]:
    """P(TRUE) of every option, each asked about alone: question id -> label -> probability (they need not sum to 1).

    A verdict that can't be read counts as one half: it speaks neither for the option nor against it.
    """
    asked = [(question, label) for question in questions for label in question.labels]
    verdicts = ask_verdicts(verifier, [ask_verdict(question, label) for question, label in asked])
    found: dict[str, Ballot] = {question.id: {} for question in questions}
    for (question, label), verdict in zip(asked, verdicts, strict=True):
        found[question.id][label] = normalised(verdict).get("TRUE", 0.0) if verdict else 0.5
    return found


def combine(ballot: Ballot, belief: Ballot, weight: float) -> Ballot:
    """The answerer's probabilities times P(TRUE) to the power of `weight`, summing to 1; unread stays unread.

    With weight 0 the ballot itself.
    """
    if weight == 0 or not ballot:
        return dict(ballot)
    return softmax_ballot(
        {
            label: each + weight * log(max(belief.get(label, 0.5), PROBABILITY_FLOOR))
            for label, each in log_probabilities(ballot).items()
        }
    )


@dataclass(frozen=True, slots=True)
class VerifierWeight:
    """The weight to join a verifier with, 0 where it does not help; and the out-of-fold accuracies that say so.

    `ballots` are the out-of-fold ballots under that decision: each question's weight is of the other folds.
    """

    weight: float
    alone: float
    joined: float
    error: float
    ballots: dict[str, Ballot]


def fit_verifier_weight(
    ballots: Mapping[str, Ballot],
    belief: Mapping[str, Ballot],
    answers: Mapping[str, str],
    folds: Mapping[str, int],
) -> VerifierWeight:
    """Fits the verifier's weight on questions whose answers are known, each fold with a weight of the other folds.

    It is turned on only if the joined ballots are right more often, out of fold, by more than the gain's paired error.
    A tie between weights goes to the smallest. All mappings are by question id; `answers` says which count.
    """
    ids = [id for id in answers if id in ballots]
    crossed: dict[str, Ballot] = {}
    for fold in dict.fromkeys(folds[id] for id in ids):
        rest = [id for id in ids if folds[id] != fold]
        weight = _best_weight(rest, ballots, belief, answers)
        crossed |= {id: combine(ballots[id], belief[id], weight) for id in ids if folds[id] == fold}
    plain = {id: ballots[id] for id in ids}
    alone, joined = share_right(plain, answers), share_right(crossed, answers)
    gain, error = measure_paired_gain(plain, crossed, answers)
    if gain <= error:
        return VerifierWeight(0.0, alone, joined, error, plain)
    return VerifierWeight(_best_weight(ids, ballots, belief, answers), alone, joined, error, crossed)


def measure_paired_gain(
    before: Mapping[str, Ballot], after: Mapping[str, Ballot], answers: Mapping[str, str]
) -> tuple[float, float]:
    """How much larger the share of right ballots is `after` than `before`, and that gain's paired standard error."""
    gains = [is_right(after[id], answers[id]) - is_right(ballot, answers[id]) for id, ballot in before.items()]
    count = max(1, len(gains))
    gain = sum(gains) / count
    return gain, sqrt(sum((one - gain) ** 2 for one in gains)) / count


def _best_weight(
    ids: Sequence[str], ballots: Mapping[str, Ballot], belief: Mapping[str, Ballot], answers: Mapping[str, str]
) -> float:
    """The weight under which most answers are right; a tie goes to the smallest."""

    def hits(weight: float) -> int:
        return sum(is_right(combine(ballots[id], belief[id], weight), answers[id]) for id in ids)

    return max((0.0, *WEIGHTS), key=lambda weight: (hits(weight), -weight))
