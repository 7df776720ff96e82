"""What Kaggle takes: a CSV with the sample submission's columns, ids and row order."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from quorum.ballot import Ballot, heaviest, normalised, ranked
from quorum.errors import BadInput, list_some
from quorum.files.cells import cell_number, find_id_column, is_null, read_cells, write_cells
from quorum.question import MOST_CHOICES, letters

# letter: B; ranked: B A C; probabilities: a column a label; index0, index1: B is 1 or 2; text: the answer as it stands
Form = Literal["letter", "ranked", "probabilities", "index0", "index1", "text"]
NO_ANSWER = "0"  # to an open question of which nothing is known: legal, and counted as unread


@dataclass(frozen=True, slots=True)
class Sample:
    """What a legal submission looks like: its columns, its ids in row order and how an answer is written.

    `k` is how many letters a ranked answer may list; `labels` are what the probability columns stand for, in the order
    of `answer_columns`.

    Raises:
        BadInput: no ids, an empty or repeated id, columns that do not suit the form.
    """

    columns: tuple[str, ...]
    id_column: str
    ids: tuple[str, ...]
    form: Form
    k: int = 1
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise BadInput(f"form {self.form!r} is not among {', '.join(get_args(Form))}")
        if self.id_column not in self.columns:
            raise BadInput(f"id column {self.id_column!r} is not among {', '.join(self.columns)}")
        twice = [repr(id) for id, count in Counter(self.ids).items() if count > 1]
        if twice or not self.ids or "" in self.ids:
            raise BadInput(
                f"ids must be there, filled and different; found {list_some(twice) or 'none, or an empty one'}"
            )
        count = len(self.answer_columns)
        if count != (len(self.labels) if self.form == "probabilities" else 1) or len(set(self.labels)) != len(
            self.labels
        ):
            raise BadInput(
                f"form {self.form!r} does not suit the answer columns {', '.join(self.answer_columns)}"
                f" and labels {', '.join(self.labels)}"
            )
        if not 1 <= self.k <= MOST_CHOICES:
            raise BadInput(f"k is {self.k}; allowed are 1 to {MOST_CHOICES}")

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """The columns besides the id, in the sample's order."""
        return tuple(column for column in self.columns if column != self.id_column)


@dataclass(frozen=True, slots=True)
class FilledSubmission:
    """What was written: the number of rows, and the ids whose answer was unread and filled from the prior."""

    rows: int
    unread: tuple[str, ...]


def make_sample(ids: Sequence[str], form: Form = "letter", k: int = 1, labels: tuple[str, ...] = ()) -> Sample:
    """A sample for a competition that gives none: columns id and answer, or id and one column a label."""
    return Sample(("id", *(labels or ("answer",))), "id", tuple(ids), form, k, labels)


def read_sample(
    path: Path,
    form: Form | None = None,
    id_column: str | None = None,
    k: int | None = None,
    labels: tuple[str, ...] | None = None,
) -> Sample:
    """The sample submission in a CSV file; what an argument does not say is read off its columns and cells.

    One answer column of letters is "letter", of several letters a cell "ranked" (k is the most in one cell), of whole
    numbers with a 0 among them "index0"; several columns of numbers are "probabilities", their labels taken from names
    that end in a letter ("A", "prob_a"), otherwise A, B … by position. Nothing else is guessed.

    Raises:
        BadInput: not a CSV file, not a legal sample, or its form cannot be told and must be named.
    """
    table = read_cells(path)
    rows = table.whole_rows()
    id_column = find_id_column(table.header) if id_column is None else id_column
    if id_column not in table.header:
        raise BadInput(f"{path}: no id column {id_column!r}; the columns are {', '.join(table.header)}")
    if len(table.header) < 2:
        raise BadInput(f"{path}: only a column {id_column!r}, where an id and an answer are expected")
    at = table.header.index(id_column)
    answers = [cell for row in rows for column, cell in enumerate(row) if column != at]
    names = [name for name in table.header if name != id_column]
    form = _detect_form(answers, len(names), path) if form is None else form
    if k is None:
        k = max((len(cell.split()) for cell in answers), default=1) if form == "ranked" else 1
    try:
        labels = () if form != "probabilities" else find_column_labels(names) if labels is None else labels
        return Sample(table.header, id_column, tuple(row[at] for row in rows), form, k, labels)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def find_column_labels(names: Sequence[str]) -> tuple[str, ...]:
    """The labels of probability columns: the letters that their names end in ("A", "prob_a"), else A, B … by position.

    Raises:
        BadInput: there are more than 26.
    """
    ends = [re.fullmatch(r"(?:.*[^A-Za-z])?([A-Za-z])", name) for name in names]
    found = tuple(end[1].upper() for end in ends if end)
    return found if len(set(found)) == len(names) else letters(len(names))


def write_submission(
    path: Path,
    answers: Mapping[str, Ballot],
    labels: Mapping[str, tuple[str, ...]],
    sample: Sample,
    prior: Mapping[str, float],
) -> FilledSubmission:
    """Writes a submission, whole or not at all, and returns what had to be filled.

    Unread is a question without a ballot, with a ballot that has no weight, or with a text that reads as null. The one
    rule for it: it gets the train prior (label -> share) among its own labels, or over the whole prior where its
    labels are not known (an open question without a prior: `NO_ANSWER`). Ranked answers are filled up in the order of
    the prior. A tie goes to the first label in the alphabet.

    Args:
        answers: question id -> ballot; ids that it lacks are unread.
        labels: question id -> the labels of that question; empty for an open one.

    Raises:
        BadInput: a ballot for an id that the sample lacks, a label that the question or the form does not have, a
            weight that is no finite number.
    """
    _all_finite("the prior", prior)
    strange = sorted(map(repr, answers.keys() - set(sample.ids)))
    if strange:
        raise BadInput(f"answers to {list_some(strange)}, which the sample submission does not have")
    rows, unread = [], []
    for id in sample.ids:
        own = labels.get(id, ())
        ballot = _legal_ballot(id, answers.get(id, {}), own, sample)
        if not ballot:
            unread.append(id)
        among = _prior_among(own, prior, sample)
        cells = dict(zip(sample.answer_columns, _answer_cells(ballot or among, among, sample), strict=True))
        rows.append([id if column == sample.id_column else cells[column] for column in sample.columns])
    write_cells(path, sample.columns, rows)
    return FilledSubmission(len(rows), tuple(unread))


def _detect_form(answers: Sequence[str], columns: int, path: Path) -> Form:
    filled = [cell for cell in answers if cell]
    if columns > 1:
        if filled and all(cell_number(cell) is not None for cell in answers):
            return "probabilities"
    elif filled and all(re.fullmatch(r"[A-Z]( [A-Z])*", cell) for cell in filled):
        return "letter" if max(map(len, filled)) == 1 else "ranked"
    elif "0" in filled and all(re.fullmatch(r"[0-9]{1,2}", cell) for cell in filled):
        return "index0"
    raise BadInput(
        f"{path}: {columns} answer columns with {list_some(sorted(set(map(repr, filled)))) or 'nothing'}:"
        f" the form of an answer cannot be told; name it: form = {', '.join(get_args(Form))} (or name id_column)"
    )


def _all_finite(where: str, weights: Mapping[str, float]) -> None:
    for label, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise BadInput(f"{where}: the weight of {label} is {weight}, where a finite number from 0 on is allowed")


def _labels_of_form(sample: Sample) -> tuple[str, ...]:
    """All labels that the sample's form can write."""
    return sample.labels if sample.form == "probabilities" else letters(MOST_CHOICES)


def _legal_ballot(id: str, ballot: Ballot, own: tuple[str, ...], sample: Sample) -> Ballot:
    """The part of a ballot that has weight, once it is known that question and form have its labels."""
    _all_finite(f"question {id}", ballot)
    weighty = {label: weight for label, weight in ballot.items() if weight > 0}
    if sample.form == "text":
        return {text: weight for text, weight in weighty.items() if not is_null(text)}
    allowed = _labels_of_form(sample)
    if not set(own) <= set(allowed):
        raise BadInput(f"question {id}: its labels are {', '.join(own)}; the submission can say {', '.join(allowed)}")
    if not weighty.keys() <= set(own or allowed):
        raise BadInput(
            f"question {id}: answered {list_some(sorted(weighty))}, which are not among {', '.join(own or allowed)}"
        )
    return weighty


def _prior_among(own: tuple[str, ...], prior: Mapping[str, float], sample: Sample) -> Ballot:
    """The prior among a question's own labels, or whole where they are not known; all alike where it is silent."""
    if sample.form == "text":
        labels = own or tuple(prior) or (NO_ANSWER,)
    else:
        allowed = _labels_of_form(sample)
        labels = own or tuple(label for label in prior if label in allowed) or allowed
    among = {label: prior.get(label, 0.0) for label in labels}
    return among if any(among.values()) else dict.fromkeys(labels, 1.0)


def _answer_cells(ballot: Ballot, among: Ballot, sample: Sample) -> list[str]:
    """The cells of one row, in the order of `sample.answer_columns`."""
    match sample.form:
        case "letter" | "text":
            return [heaviest(ballot)]
        case "index0" | "index1":
            return [str(letters(MOST_CHOICES).index(heaviest(ballot)) + int(sample.form[-1]))]
        case "ranked":
            return [" ".join(list(dict.fromkeys(ranked(ballot) + ranked(among)))[: sample.k])]
        case "probabilities":
            shares = normalised(ballot)
            return [repr(shares.get(label, 0.0)) for label in sample.labels]
