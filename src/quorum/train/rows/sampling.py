"""Which questions to learn from, where not all: more of the subjects that a model is weak in, some of every subject.

Weak is what out-of-fold answers say: each question was answered by a model that had not learnt from its fold. Answers
to the held-out questions play no part, and no held-out question can be drawn.
"""

import random
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from quorum.ballot import Ballot, is_right
from quorum.data.split import TrainingFolds
from quorum.disk import replace_file
from quorum.errors import BadInput, list_some
from quorum.question import Question
from quorum.train.rows.allocation import Quota, share_out

DRAWN = pl.Schema({"id": pl.String, "subject": pl.String, "why": pl.String})
QUOTAS = pl.Schema(
    {
        "subject": pl.String,
        "questions": pl.UInt32,  # solved ones in the training folds
        "wrong": pl.UInt32,  # of these, by the out-of-fold answers
        "accuracy": pl.Float64,
        "weak": pl.Boolean,
        "for_weakness": pl.UInt32,  # drawn because the subject is weak
        "for_spread": pl.UInt32,  # drawn so that it is not forgotten
        "drawn": pl.UInt32,
        "drawn_wrong": pl.UInt32,
    }
)


@dataclass(frozen=True)
class SamplingStrategy:
    """The settings of a draw.

    Raises:
        BadInput: a budget below 1, a share outside 0 to 1, a minimum below 0.
    """

    budget: int = 500  # questions
    weak_share: float = 0.7  # of the budget that goes to weak subjects; the rest is spread over all
    least: int = 5  # of every subject that has so many
    wrong_first: bool = True  # of a weak subject; false: whichever chance draws
    seed: int = 42

    def __post_init__(self) -> None:
        if self.budget < 1 or not 0 <= self.weak_share <= 1 or self.least < 0:
            raise BadInput(
                f"sampling: budget {self.budget}, weak_share {self.weak_share}, least {self.least}; allowed are a "
                "budget of 1 or more, a share from 0 to 1, a minimum of 0 or more"
            )


@dataclass(frozen=True, slots=True)
class DrawnSample:
    """What was drawn and why.

    `questions` has schema `DRAWN`, in the order of the training folds; `why` is "weak and wrong", "weak" or "spread".
    `quotas` has schema `QUOTAS`, a row for each subject, by name.
    """

    questions: pl.DataFrame
    quotas: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Subject:
    name: str
    ids: tuple[str, ...]  # in order
    wrong: frozenset[str]


def draw_sample(training: TrainingFolds, wrong: Collection[str], settings: SamplingStrategy) -> DrawnSample:
    """Draws questions of the training folds, by the ids that were answered wrong out of fold.

    A subject is weak where its accuracy is below that of all. Weak subjects share `weak_share` of the budget in
    proportion to their wrong answers, and never get more than they have; the rest is spread over all subjects evenly.
    Without subjects, the number of choices stands for one. The same seed gives the same draw, whatever the order.

    Raises:
        BadInput: a wrong id is none of a solved training question, nothing is solved, or the budget is too small for
            the minimum of every subject.
    """
    solved = {question.id: question for question in training.questions if question.answer is not None}
    if not solved:
        raise BadInput(f"none of the {len(training.questions)} questions in the training folds has an answer")
    if strangers := sorted(set(wrong) - set(solved)):
        raise BadInput(f"{len(strangers)} wrong answers are not to solved training questions: {list_some(strangers)}")
    subjects = _subjects_of(list(solved.values()), wrong)
    misses = len(set(wrong))
    weak = {each.name: len(each.wrong) for each in subjects if len(each.wrong) * len(solved) > misses * len(each.ids)}
    size = {each.name: len(each.ids) for each in subjects}
    quotas = share_out(settings.budget, size, weak, settings.weak_share, settings.least)
    why: dict[str, str] = {}
    for each in subjects:
        why |= _drawn_of(each, quotas[each.name], settings)
    rows = [(id, subject_of(question), why[id]) for id, question in solved.items() if id in why]
    told = [_told_of(each, quotas[each.name], each.name in weak, why) for each in subjects]
    return DrawnSample(pl.DataFrame(rows, schema=DRAWN, orient="row"), pl.DataFrame(told, schema=QUOTAS, orient="row"))


def subject_of(question: Question) -> str:
    """The question's subject, or what stands for one: its number of choices."""
    return question.subject or (f"{len(question.choices)} choices" if question.choices else "open")


def find_wrong_answers(training: TrainingFolds, ballots: Mapping[str, Ballot]) -> set[str]:
    """Return the ids of solved training questions whose ballot is wrong; an unread one is wrong, as in scoring.

    Raises:
        BadInput: a solved training question has no ballot.
    """
    solved = {question.id: question.answer for question in training.questions if question.answer is not None}
    if lost := [id for id in solved if id not in ballots]:
        raise BadInput(
            f"out-of-fold answers are missing for {len(lost)} of {len(solved)} training questions: {list_some(lost)}"
        )
    return {id for id, answer in solved.items() if not is_right(ballots[id], answer)}


def write_sample_file(drawn: pl.DataFrame, path: Path) -> None:
    """Writes the questions of a draw as CSV, whole or not at all."""
    with replace_file(path) as part:
        drawn.write_csv(part)


def read_sample_file(path: Path) -> list[str]:
    """The ids of a draw: the column `id` of a CSV file.

    Raises:
        BadInput: it is no CSV file, it has no such column, or an id stands twice.
    """
    try:
        ids = pl.read_csv(path, infer_schema=False).get_column("id").drop_nulls().to_list()
    except pl.exceptions.PolarsError as error:
        raise BadInput(f"{path}: no CSV file with a column id: {str(error).splitlines()[0]}") from None
    if twice := [id for id, count in Counter(ids).items() if count > 1]:
        raise BadInput(f"{path}: an id stands there more than once: {list_some(twice)}")
    return ids


def _subjects_of(questions: list[Question], wrong: Collection[str]) -> list[_Subject]:
    ids: dict[str, list[str]] = {}
    for question in questions:
        ids.setdefault(subject_of(question), []).append(question.id)
    return [_Subject(name, tuple(sorted(ids[name])), frozenset(ids[name]) & set(wrong)) for name in sorted(ids)]


def _drawn_of(subject: _Subject, quota: Quota, settings: SamplingStrategy) -> dict[str, str]:
    """The ids drawn of one subject, and why."""
    chance = random.Random(f"{settings.seed}/{subject.name}")
    ids = chance.sample(subject.ids, len(subject.ids))
    if settings.wrong_first:
        ids.sort(key=lambda id: id not in subject.wrong)  # stable: chance decides among the wrong
    weak, rest = ids[: quota.weakness], sorted(ids[quota.weakness :])
    spread = dict.fromkeys(chance.sample(rest, quota.spread), "spread")
    return {id: "weak and wrong" if id in subject.wrong else "weak" for id in weak} | spread


def _told_of(subject: _Subject, quota: Quota, weak: bool, why: Collection[str]) -> tuple[str | float | bool, ...]:
    """The subject's row in the table of quotas."""
    count, wrong = len(subject.ids), len(subject.wrong)
    drawn_wrong = len(subject.wrong.intersection(why))
    drawn = quota.weakness + quota.spread
    return (subject.name, count, wrong, 1 - wrong / count, weak, quota.weakness, quota.spread, drawn, drawn_wrong)
