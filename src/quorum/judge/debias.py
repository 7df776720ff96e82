"""The letters' prior of a model: found as the settings say, and taken out of ballots."""

import random
from collections.abc import Callable, Mapping, Sequence
from math import ceil

from quorum.ask.shuffle import count_movable, make_cyclic_orders
from quorum.judge.letter_prior import (
    LetterPrior,
    estimate_corpus_prior,
    estimate_pride_prior,
    make_content_free_questions,
    remove_prior,
)
from quorum.judge.settings import CalibrateSettings
from quorum.question import Ballot, Question

_FEWEST_FOR_A_PRIOR = 20  # questions of each number of options, where there are so many


def estimate_prior(
    settings: CalibrateSettings,
    questions: Sequence[Question],
    first: Mapping[str, Ballot],
    answered: Callable[[Sequence[Question]], list[Ballot]],
) -> LetterPrior:
    """The letters' prior by each number of options that `questions` have; of none, where none is wanted.

    `first` are the answers to the questions as they stand; `answered` asks further ones. Only ballots over all labels
    of their question count: a text that names one letter says nothing of the others.
    """
    match settings.prior:
        case "none":
            return LetterPrior({})
        case "corpus":
            return estimate_corpus_prior(
                [first[question.id] for question in questions if _knows_all(first[question.id], question)]
            )
        case "content-free":
            counts = sorted({len(question.choices) for question in questions if question.choices})
            empty = [question for count in counts for question in make_content_free_questions(count)]
            replied = zip(answered(empty), empty, strict=True)
            return estimate_corpus_prior([ballot for ballot, question in replied if _knows_all(ballot, question)])
        case "pride":
            rotated = [
                make_cyclic_orders(question).list_variants()
                for question in sample_for_pride(questions, settings.share, settings.seed)
            ]
            others = iter(answered([question for one in rotated for question in one[1:]]))
            orders = [[first[one[0].id], *(next(others) for _ in one[1:])] for one in rotated]
            pairs = zip(orders, rotated, strict=True)
            return estimate_pride_prior(
                [[ballot for ballot in found if _knows_all(ballot, one[0])] for found, one in pairs]
            )


def sample_for_pride(questions: Sequence[Question], share: float, seed: int = 42) -> list[Question]:
    """The questions that PriDe asks in every rotation: `share` of those of each number of options, drawn by chance.

    At least 20 of each, where there are so many. Questions whose options may not all change places tell nothing.
    """
    by_count: dict[int, list[Question]] = {}
    for question in questions:
        if question.choices and count_movable(question) == len(question.choices):
            by_count.setdefault(len(question.choices), []).append(question)
    chance = random.Random(seed)
    return [
        question
        for _, free in sorted(by_count.items())
        for question in chance.sample(free, min(len(free), max(_FEWEST_FOR_A_PRIOR, ceil(share * len(free)))))
    ]


def remove_known_prior(ballot: Ballot, prior: LetterPrior) -> Ballot:
    """The ballot without the prior of just its labels; as it is, where there is none."""
    known = prior.by_count.get(len(ballot), {})
    return remove_prior(ballot, prior) if ballot and known.keys() == ballot.keys() else dict(ballot)


def _knows_all(ballot: Ballot, question: Question) -> bool:
    return bool(ballot) and ballot.keys() == set(question.labels)
