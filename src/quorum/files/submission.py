"""Write submissions with the columns, ids and row order of the sample submission."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorum.ballot import Ballot, find_heaviest, normalise_ballot, rank_labels
from quorum.errors import BadInput, list_some
from quorum.files.cells import is_null, write_cells
from quorum.files.sample import Sample
from quorum.files.train_answers import Choices
from quorum.question import MOST_CHOICES, letters

NO_ANSWER = "0"  # fills an unread open question without a prior: legal, and counted as unread


@dataclass(frozen=True, slots=True)
class FilledSubmission:
    """The number of rows written, and the ids of unread questions, whose answers were filled from the prior."""

    rows: int
    unread: tuple[str, ...]


def write_submission(
    path: Path,
    answers: Mapping[str, Ballot],
    labels: Mapping[str, tuple[str, ...]],
    sample: Sample,
    prior: Mapping[str, float] | Callable[[str], Mapping[str, float]],
    choices: Choices | None = None,
) -> FilledSubmission:
    """Write a submission atomically; return the number of rows and which of them were filled.

    A question is unread if its ballot is missing or has no weight, or if its text reads as null. It is filled with the
    prior among its own labels, or with the whole prior if its labels are not known (an open question without a prior:
    `NO_ANSWER`). Ranked answers are filled up in the order of the prior. A tie goes to the first label in the alphabet.

    Args:
        answers: ballots by question id; missing ids are unread.
        labels: labels by question id; empty for an open question.
        prior: the share of each label in train, for all questions or by question id.
        choices: the options by question id; without them a "text" answer is written as the ballot has it.

    Raises:
        BadInput: the form is not known, an id is not in the sample, a label is not one of the question or of the form,
            option texts are needed and not known, or a weight is not a finite number from 0 on.
    """
    if sample.form == "any":
        raise BadInput("the form of the submission's answers is not known")
    unknown = sorted(map(repr, answers.keys() - set(sample.ids)))
    if unknown:
        raise BadInput(f"the sample submission has no id {list_some(unknown)}, but there are answers to it")
    rows, unread = [], []
    for number, id in enumerate(sample.ids):
        own = labels.get(id, ())
        ballot = _check_ballot(id, answers.get(id, {}), own, sample)
        if not ballot:
            unread.append(id)
        among = _restrict_prior(own, prior(id) if callable(prior) else prior, sample)
        options = (choices or {}).get(id, ())
        if sample.form == "text" and own and not options:
            raise BadInput(f"question {id}: its option texts are not known, and the submission holds them")
        answer = _format_answer(ballot or among, among, sample, options)
        cells = {name: own[number] for name, own in sample.copied.items()} | {sample.id_column: id}
        cells |= zip(sample.answer_columns, answer, strict=True)
        rows.append([cells[column] for column in sample.columns])
    write_cells(path, sample.columns, rows, sample.source.separator if sample.source else ",")
    return FilledSubmission(len(rows), tuple(unread))


def _check_weights(where: str, weights: Mapping[str, float]) -> None:
    for label, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise BadInput(f"{where}: the weight of {label} is {weight}; allowed are finite numbers from 0 on")


def _list_form_labels(sample: Sample) -> tuple[str, ...]:
    """Return all labels that can be written in the sample's form."""
    if sample.form in ("probabilities", "onehot"):
        return sample.labels
    if sample.form == "probability":
        return letters(2)
    return letters(len(sample.style.words) if sample.form == "words" else MOST_CHOICES)


def _check_ballot(id: str, ballot: Ballot, own: tuple[str, ...], sample: Sample) -> Ballot:
    """Return the labels with weight, after checking that they are labels of the question and of the form."""
    _check_weights(f"question {id}", ballot)
    positive = {label: weight for label, weight in ballot.items() if weight > 0}
    if sample.form == "text" and not own:
        return {text: weight for text, weight in positive.items() if not is_null(text)}
    allowed = letters(MOST_CHOICES) if sample.form == "text" else _list_form_labels(sample)
    if not set(own) <= set(allowed):
        raise BadInput(f"question {id}: its labels are {', '.join(own)}; the submission allows {', '.join(allowed)}")
    if not positive.keys() <= set(own or allowed):
        raise BadInput(f"question {id}: answer {list_some(sorted(positive))} is not among {', '.join(own or allowed)}")
    return positive


def _restrict_prior(own: tuple[str, ...], prior: Mapping[str, float], sample: Sample) -> Ballot:
    """Return the prior among a question's own labels, or all of it if they are not known; equal weights if it is 0."""
    _check_weights("the prior", prior)
    if sample.form == "text":
        labels = own or tuple(prior) or (NO_ANSWER,)
    else:
        allowed = _list_form_labels(sample)
        labels = own or tuple(label for label in prior if label in allowed) or allowed
    among = {label: prior.get(label, 0.0) for label in labels}
    return among if any(among.values()) else dict.fromkeys(labels, 1.0)


def _format_answer(ballot: Ballot, among: Ballot, sample: Sample, choices: Sequence[str]) -> list[str]:
    """Return the answer cells of one row, in the order of `sample.answer_columns`."""
    match sample.form:
        case "ranked":
            order = list(dict.fromkeys(rank_labels(ballot) + rank_labels(among)))[: sample.k]
            words = list(sample.style.write_all(order, choices))
            if len(sample.answer_columns) == 1:
                return [sample.ranked.join(words)]
            return words + words[:1] * (sample.k - len(words))  # a question with fewer options than columns
        case "probabilities" | "probability":
            shares = normalise_ballot(ballot)
            cells = [repr(shares.get(label, 0.0)) for label in sample.labels]
            return [cell.replace(".", ",") for cell in cells] if sample.decimal_comma else cells
        case "onehot":
            answer = find_heaviest(ballot)
            return ["1" if label == answer else "0" for label in sample.labels]
    text = sample.style.write(find_heaviest(ballot), choices)
    return [f"{text}.0" if sample.floats and text.removeprefix("-").isdigit() else text]
