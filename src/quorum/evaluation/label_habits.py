"""Measure a model's label habits: which letters it prefers, and how well calibrated it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quorum.ballot import Ballot, compute_negative_log_likelihood, find_heaviest
from quorum.judge.calibrate import Bin, expected_calibration_error, reliability_bins
from quorum.judge.letter_prior import count_letter_shares
from quorum.question import Question


@dataclass(frozen=True, slots=True)
class LetterHabit:
    """Of the `count` questions with this letter: the share where it is right, and the share where it was answered."""

    letter: str
    count: int
    right: float
    answered: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelHabits:
    """The label habits of a run over `n` solved questions.

    Attributes:
        read: the number of questions that the run read; all other attributes are about these.
        error: expected calibration error; None if the run gives labels without probabilities.
        loss: mean negative log-likelihood in nats; None like `error`.
        bins: bins of the reliability diagram; empty if `error` is None.
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
    """Return the habits of a run on the `solved` questions that have choices and are in `ballots`."""
    answered = [question for question in solved if question.choices and question.answer and question.id in ballots]
    known = [(ballots[question.id], question) for question in answered if ballots[question.id]]
    read, answers = [ballot for ballot, _ in known], [question.answer or "" for _, question in known]
    right = sum(find_heaviest(ballot) == answer for ballot, answer in zip(read, answers, strict=True))
    has_probabilities = any(len(ballot) > 1 for ballot in read)
    losses = [compute_negative_log_likelihood(ballot, answer) for ballot, answer in zip(read, answers, strict=True)]
    return LabelHabits(
        run=run,
        n=len(answered),
        read=len(known),
        accuracy=right / len(known) if known else 0.0,
        letters=_measure_letters(known),
        error=expected_calibration_error(read, answers) if has_probabilities else None,
        loss=sum(losses) / len(losses) if has_probabilities else None,
        bins=tuple(reliability_bins(read, answers)) if has_probabilities else (),
    )


def _measure_letters(known: Sequence[tuple[Ballot, Question]]) -> tuple[LetterHabit, ...]:
    habits = []
    for letter in max((question.labels for _, question in known), key=len, default=()):
        offered = [(ballot, question) for ballot, question in known if letter in question.labels]
        right = count_letter_shares([{question.answer or "": 1.0} for _, question in offered], [letter])[letter]
        answered = count_letter_shares([ballot for ballot, _ in offered], [letter])[letter]
        habits.append(LetterHabit(letter, len(offered), right, answered))
    return tuple(habits)
