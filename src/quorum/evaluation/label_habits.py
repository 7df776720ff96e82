"""What answers show of a model's habits: the letters it likes, and how sure it is where it is right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quorum.ballot import Ballot, heaviest, negative_log_likelihood
from quorum.judge.calibrate import Bin, expected_calibration_error, reliability_bins
from quorum.judge.letter_prior import count_letter_shares
from quorum.question import Question


@dataclass(frozen=True, slots=True)
class LetterHabit:
    """How often a letter is right, and how often it is said, as shares of the questions that have it among theirs."""

    letter: str
    count: int
    right: float
    said: float


@dataclass(frozen=True, slots=True)
class LabelHabits:
    """One run over `n` solved questions, of which it read `read`; what follows is of those.

    `error` is the expected calibration error and `loss` the mean negative log-likelihood in nats, None where the run
    only names labels: it does not say how sure it is.
    """

    run: str
    n: int
    read: int
    accuracy: float
    letters: tuple[LetterHabit, ...]
    error: float | None
    loss: float | None
    bins: tuple[Bin, ...]


def measure_habits(run: str, ballots: Mapping[str, Ballot], solved: Sequence[Question]) -> LabelHabits:
    """The habits of a run on those of the `solved` questions with choices that it answered."""
    asked = [question for question in solved if question.choices and question.answer and question.id in ballots]
    known = [(ballots[question.id], question) for question in asked if ballots[question.id]]
    read, answers = [ballot for ballot, _ in known], [question.answer or "" for _, question in known]
    right = sum(heaviest(ballot) == answer for ballot, answer in zip(read, answers, strict=True))
    sure = any(len(ballot) > 1 for ballot in read)
    losses = [negative_log_likelihood(ballot, answer) for ballot, answer in zip(read, answers, strict=True)]
    return LabelHabits(
        run,
        len(asked),
        len(known),
        right / len(known) if known else 0.0,
        _letter_habits(known),
        expected_calibration_error(read, answers) if sure else None,
        sum(losses) / len(losses) if sure else None,
        tuple(reliability_bins(read, answers)) if sure else (),
    )


def _letter_habits(known: Sequence[tuple[Ballot, Question]]) -> tuple[LetterHabit, ...]:
    found = []
    for letter in max((question.labels for _, question in known), key=len, default=()):
        offered = [(ballot, question) for ballot, question in known if letter in question.labels]
        right = count_letter_shares([{question.answer or "": 1.0} for _, question in offered], [letter])[letter]
        said = count_letter_shares([ballot for ballot, _ in offered], [letter])[letter]
        found.append(LetterHabit(letter, len(offered), right, said))
    return tuple(found)
