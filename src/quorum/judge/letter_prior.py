"""A model's preference for some letters (its letter prior): estimated, and removed from ballots."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from quorum.ask.shuffle import count_movable, make_cyclic_orders
from quorum.ballot import (
    PROBABILITY_FLOOR,
    Ballot,
    average_ballots,
    average_ballots_geometrically,
    find_heaviest,
    normalise_ballot,
)
from quorum.errors import BadInput
from quorum.judge.settings import CalibrateSettings
from quorum.question import Question

CONTENT_FREE = ("N/A", "[MASK]", "...")  # Zhao et al. (2021) average over such texts
_FEWEST_FOR_A_PRIOR = 20  # questions of each number of options, where there are as many


@dataclass(frozen=True, slots=True)
class LetterPrior:
    """The probability of each letter before a question is seen, by the number of options: each ballot sums to 1."""

    by_count: Mapping[int, Ballot]


def estimate_prior(
    settings: CalibrateSettings,
    questions: Sequence[Question],
    first: Mapping[str, Ballot],
    ask: Callable[[Sequence[Question]], list[Ballot]],
) -> LetterPrior:
    """Estimate the letter prior for each number of options among `questions`; an empty one for `prior = "none"`.

    Only ballots over all labels of their question count: a text that names one letter tells nothing about the others.

    Args:
        first: the ballots of the questions as they are, by question id.
        ask: returns the ballots of further questions.
    """
    match settings.prior:
        case "none":
            return LetterPrior({})
        case "corpus":
            return estimate_corpus_prior(
                [first[question.id] for question in questions if _has_all_labels(first[question.id], question)]
            )
        case "content-free":
            counts = sorted({len(question.choices) for question in questions if question.choices})
            empty = [question for count in counts for question in make_content_free_questions(count)]
            replied = zip(ask(empty), empty, strict=True)
            return estimate_corpus_prior([ballot for ballot, question in replied if _has_all_labels(ballot, question)])
        case "pride":
            drawn = sample_for_pride(questions, settings.share, settings.seed)
            rotated = [make_cyclic_orders(question).list_variants() for question in drawn]
            others = iter(ask([question for one in rotated for question in one[1:]]))
            orders = [[first[one[0].id], *(next(others) for _ in one[1:])] for one in rotated]
            pairs = zip(orders, rotated, strict=True)
            return estimate_pride_prior(
                [[ballot for ballot in found if _has_all_labels(ballot, one[0])] for found, one in pairs]
            )


def estimate_pride_prior(asked: Sequence[Sequence[Ballot]]) -> LetterPrior:
    """Estimate the letter prior from questions asked in every rotation of their options; a few per cent are enough.

    A question's prior is the softmax of its mean log-probabilities over the orders; the prior is the mean over the
    questions. PriDe, Zheng et al. (2024), "Large Language Models Are Not Robust Multiple Choice Selectors",
    arXiv:2309.03882, equation 7 and section 4.

    Args:
        asked: `asked[question][order]` is a ballot over the letters as they were shown.
    """
    priors = [
        average_ballots_geometrically(read) for orders in asked if (read := [ballot for ballot in orders if ballot])
    ]
    counts = sorted({len(prior) for prior in priors})
    return LetterPrior({count: average_ballots(prior for prior in priors if len(prior) == count) for count in counts})


def estimate_corpus_prior(ballots: Sequence[Ballot]) -> LetterPrior:
    """Estimate the letter prior from questions asked once: the softmax of their mean log-probabilities.

    This assumes that every letter is right equally often: where the answers are uneven, removing the prior levels that
    too. The mean of logarithms, unlike that of probabilities (batch calibration, arXiv:2309.17249), removes a bias that
    is added to the logits exactly.
    """
    read = [ballot for ballot in ballots if ballot]
    counts = sorted({len(ballot) for ballot in read})
    return LetterPrior(
        {n: average_ballots_geometrically([ballot for ballot in read if len(ballot) == n]) for n in counts}
    )


def make_content_free_questions(count: int) -> list[Question]:
    """Return questions without content, with `count` options: the replies to them show the prior alone.

    Contextual calibration, Zhao et al. (2021), "Calibrate Before Use", arXiv:2102.09690: `estimate_corpus_prior`
    of the replies.
    """
    return [Question(id=f"content-free {text}", text=text, choices=(text,) * count) for text in CONTENT_FREE]


def sample_for_pride(questions: Sequence[Question], share: float, seed: int = 42) -> list[Question]:
    """Draw the questions that PriDe asks in every rotation: `share` of those of each number of options, 20 at least.

    Questions with options that must keep their place are left out: their rotations are not complete.
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


def remove_prior(ballot: Ballot, prior: LetterPrior) -> Ballot:
    """Return the ballot divided by the prior, summing to 1; an empty ballot stays empty.

    Raises:
        BadInput: there is no prior for this number of options.
    """
    if not ballot:
        return {}
    if len(ballot) not in prior.by_count:
        known = ", ".join(map(str, sorted(prior.by_count)))
        raise BadInput(f"no letter prior for {len(ballot)} options; known are {known or 'none'}")
    letter_prior = prior.by_count[len(ballot)]
    return normalise_ballot(
        {label: weight / max(letter_prior[label], PROBABILITY_FLOOR) for label, weight in ballot.items()}
    )


def remove_known_prior(ballot: Ballot, prior: LetterPrior) -> Ballot:
    """Return the ballot without the prior of exactly its labels, or a copy where there is no such prior."""
    known = prior.by_count.get(len(ballot), {})
    return remove_prior(ballot, prior) if ballot and known.keys() == ballot.keys() else dict(ballot)


def count_letter_shares(ballots: Sequence[Ballot], labels: Sequence[str]) -> dict[str, float]:
    """Return how often each letter is the heaviest, as a share of the ballots that are not empty.

    Compared with the shares of the right answers, this shows letter bias.
    """
    tops = [find_heaviest(ballot) for ballot in ballots if ballot]
    return {label: tops.count(label) / len(tops) if tops else 0.0 for label in labels}


def is_order_sensitive(ballots: Sequence[Ballot]) -> bool:
    """Return whether the answer to a question depends on the order of its options.

    Args:
        ballots: one for each order, over the question's own letters; empty ones do not count.
    """
    return len({find_heaviest(ballot) for ballot in ballots if ballot}) > 1


def _has_all_labels(ballot: Ballot, question: Question) -> bool:
    return bool(ballot) and ballot.keys() == set(question.labels)
