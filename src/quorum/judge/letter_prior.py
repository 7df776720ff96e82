"""What a model thinks of letters, and ballots freed of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

from quorum.errors import BadInput
from quorum.judge.calibrate import LEAST, heaviest, normalised
from quorum.question import Ballot, Question

CONTENT_FREE = ("N/A", "[MASK]", "...")  # Zhao et al. (2021) average over such texts


@dataclass(frozen=True, slots=True)
class LetterPrior:
    """How likely a model finds each letter before it has seen a question, by the number of options: sums to 1."""

    by_count: Mapping[int, Ballot]


def estimate_pride_prior(asked: Sequence[Sequence[Ballot]]) -> LetterPrior:
    """The letters' prior from questions asked in every rotation of their options; a few per cent of them will do.

    `asked[question][order]` are ballots over the letters as they were shown. A question's prior is the softmax of its
    mean log-probabilities over the orders; the mean of the questions' priors is the prior. PriDe, Zheng et al. (2024),
    "Large Language Models Are Not Robust Multiple Choice Selectors", arXiv:2309.03882, eq. 7 and section 4.
    """
    priors = [_geometric_mean(read) for orders in asked if (read := [ballot for ballot in orders if ballot])]
    return _mean_prior(priors)


def estimate_corpus_prior(ballots: Sequence[Ballot]) -> LetterPrior:
    """The letters' prior from questions asked once: the softmax of their mean log-probabilities over the questions.

    It rests on every letter being right as often as any other: where the answers are uneven, that is levelled too.
    The mean of logarithms, unlike that of probabilities (batch calibration, arXiv:2309.17249), takes a
    bias that is added to the logits out exactly.
    """
    read = [ballot for ballot in ballots if ballot]
    counts = sorted({len(ballot) for ballot in read})
    return LetterPrior({n: _geometric_mean([ballot for ballot in read if len(ballot) == n]) for n in counts})


def make_content_free_questions(count: int) -> list[Question]:
    """Questions without content, of `count` options: what a model answers to them is its prior alone.

    Contextual calibration, Zhao et al. (2021), "Calibrate Before Use", arXiv:2102.09690: `estimate_corpus_prior`
    of the replies.
    """
    return [Question(f"content-free {text}", text, (text,) * count) for text in CONTENT_FREE]


def remove_prior(ballot: Ballot, prior: LetterPrior) -> Ballot:
    """The ballot divided by the prior, summing to 1; unread stays unread.

    Raises:
        BadInput: no prior is known for so many options.
    """
    if not ballot:
        return {}
    if len(ballot) not in prior.by_count:
        known = ", ".join(map(str, sorted(prior.by_count)))
        raise BadInput(f"no letter prior for {len(ballot)} options; known are {known or 'none'}")
    letter_prior = prior.by_count[len(ballot)]
    return normalised({label: weight / max(letter_prior[label], LEAST) for label, weight in ballot.items()})


def mean_ballot(ballots: Sequence[Ballot]) -> Ballot:
    """The mean of what was read, over the labels of all of it; empty where nothing was."""
    read = [normalised(ballot) for ballot in ballots if ballot]
    labels = sorted({label for ballot in read for label in ballot})
    return {label: sum(ballot.get(label, 0.0) for ballot in read) / len(read) for label in labels}


def count_letter_shares(ballots: Sequence[Ballot], labels: Sequence[str]) -> dict[str, float]:
    """How often each letter is the heaviest, as a share of what is read: beside the answers' it shows bias."""
    tops = [heaviest(ballot) for ballot in ballots if ballot]
    return {label: tops.count(label) / len(tops) if tops else 0.0 for label in labels}


def measure_order_sensitivity(undone: Sequence[Sequence[Ballot]]) -> float:
    """The share of questions whose answer hangs on the order; `undone[question][order]` are over its own letters."""
    changed = [len({heaviest(ballot) for ballot in orders if ballot}) > 1 for orders in undone]
    return sum(changed) / len(changed) if changed else 0.0


def _geometric_mean(ballots: Sequence[Ballot]) -> Ballot:
    logs = {
        label: sum(log(max(normalised(ballot).get(label, 0.0), LEAST)) for ballot in ballots) / len(ballots)
        for label in ballots[0]
    }
    top = max(logs.values())
    return normalised({label: exp(height - top) for label, height in logs.items()})


def _mean_prior(priors: Sequence[Ballot]) -> LetterPrior:
    counts = sorted({len(prior) for prior in priors})
    return LetterPrior({count: mean_ballot([prior for prior in priors if len(prior) == count]) for count in counts})
