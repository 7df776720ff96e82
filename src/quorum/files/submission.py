"""Read sample submissions, and write submissions with the same columns, ids and row order."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from quorum.ballot import Ballot, find_heaviest, normalise_ballot, rank_labels
from quorum.errors import BadInput, list_some
from quorum.files.cells import find_id_column, is_null, parse_cell_number, read_cells, write_cells
from quorum.question import MOST_CHOICES, letters

# letter: B; ranked: B A C; probabilities: a column per label; index0, index1: B is 1 or 2; text: the answer verbatim
Form = Literal["letter", "ranked", "probabilities", "index0", "index1", "text"]
NO_ANSWER = "0"  # fills an unread open question without a prior: legal, and counted as unread


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The format of a legal submission.

    Attributes:
        columns: the columns in order, the id column included.
        id_column: the name of the id column.
        ids: the ids in row order.
        form: how an answer is written.
        k: the largest number of letters in a ranked answer.
        labels: the labels of the probability columns, in the order of `answer_columns`.

    Raises:
        BadInput: there are no ids, an id is empty or repeated, or the columns do not fit the form.
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
        repeated = [repr(id) for id, count in Counter(self.ids).items() if count > 1]
        if repeated:
            raise BadInput(f"id {list_some(repeated)} occurs more than once; ids must be unique")
        if not self.ids or "" in self.ids:
            raise BadInput("an id is empty" if self.ids else "there are no ids")
        count = len(self.answer_columns)
        if count != (len(self.labels) if self.form == "probabilities" else 1) or len(set(self.labels)) != len(
            self.labels
        ):
            raise BadInput(
                f"form {self.form!r} does not fit the answer columns {', '.join(self.answer_columns)}"
                f" with labels {', '.join(self.labels) or 'none'}"
            )
        if not 1 <= self.k <= MOST_CHOICES:
            raise BadInput(f"k is {self.k}; allowed are 1 to {MOST_CHOICES}")

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """The columns without the id column, in the sample's order."""
        return tuple(column for column in self.columns if column != self.id_column)


@dataclass(frozen=True, slots=True)
class FilledSubmission:
    """The number of rows written, and the ids of unread questions, whose answers were filled from the prior."""

    rows: int
    unread: tuple[str, ...]


def make_sample(ids: Sequence[str], form: Form = "letter", k: int = 1, labels: tuple[str, ...] = ()) -> Sample:
    """Return a sample for a competition without one: columns id and answer, or id and one column per label."""
    return Sample(
        columns=("id", *(labels or ("answer",))), id_column="id", ids=tuple(ids), form=form, k=k, labels=labels
    )


def read_sample(
    path: Path,
    form: Form | None = None,
    id_column: str | None = None,
    k: int | None = None,
    labels: tuple[str, ...] | None = None,
) -> Sample:
    """Read the sample submission in a CSV file, and detect what the arguments leave open.

    The form is detected from the answer cells: one column of letters is "letter"; with several letters in a cell it is
    "ranked", and k is the largest number of letters in a cell; whole numbers with a 0 among them are "index0"; several
    columns of numbers are "probabilities", with the labels of `find_column_labels`. Nothing else is guessed.

    Raises:
        BadInput: the file is not a CSV file or not a legal sample, or its form is ambiguous and has to be named.
    """
    table = read_cells(path)
    rows = table.check_rows()
    id_column = find_id_column(table.header) if id_column is None else id_column
    if id_column not in table.header:
        raise BadInput(f"{path}: no id column {id_column!r}; the columns are {', '.join(table.header)}")
    if len(table.header) < 2:
        raise BadInput(f"{path}: column {id_column!r} is the only one; an id and an answer column are expected")
    at = table.header.index(id_column)
    answers = [cell for row in rows for column, cell in enumerate(row) if column != at]
    names = [name for name in table.header if name != id_column]
    form = _detect_form(answers, len(names), path) if form is None else form
    if k is None:
        k = max((len(cell.split()) for cell in answers), default=1) if form == "ranked" else 1
    try:
        labels = () if form != "probabilities" else find_column_labels(names) if labels is None else labels
        return Sample(
            columns=table.header, id_column=id_column, ids=tuple(row[at] for row in rows), form=form, k=k, labels=labels
        )
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def find_column_labels(names: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of probability columns: the last letters of names ("A", "prob_a"), else A, B … by position.

    Raises:
        BadInput: there are more than 26 columns.
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
    """Write a submission atomically; return the number of rows and which of them were filled.

    A question is unread if its ballot is missing or has no weight, or if its text reads as null. It is filled with the
    prior among its own labels, or with the whole prior if its labels are not known (an open question without a prior:
    `NO_ANSWER`). Ranked answers are filled up in the order of the prior. A tie goes to the first label in the alphabet.

    Args:
        answers: ballots by question id; missing ids are unread.
        labels: labels by question id; empty for an open question.
        prior: the share of each label in train.

    Raises:
        BadInput: an id is not in the sample, a label is not one of the question or of the form, or a weight is not a
            finite number from 0 on.
    """
    _check_weights("the prior", prior)
    unknown = sorted(map(repr, answers.keys() - set(sample.ids)))
    if unknown:
        raise BadInput(f"the sample submission has no id {list_some(unknown)}, but there are answers to it")
    rows, unread = [], []
    for id in sample.ids:
        own = labels.get(id, ())
        ballot = _check_ballot(id, answers.get(id, {}), own, sample)
        if not ballot:
            unread.append(id)
        among = _restrict_prior(own, prior, sample)
        cells = dict(zip(sample.answer_columns, _format_answer(ballot or among, among, sample), strict=True))
        rows.append([id if column == sample.id_column else cells[column] for column in sample.columns])
    write_cells(path, sample.columns, rows)
    return FilledSubmission(len(rows), tuple(unread))


def _detect_form(answers: Sequence[str], columns: int, path: Path) -> Form:
    filled = [cell for cell in answers if cell]
    if columns > 1:
        if filled and all(parse_cell_number(cell) is not None for cell in answers):
            return "probabilities"
    elif filled and all(re.fullmatch(r"[A-Z]( [A-Z])*", cell) for cell in filled):
        return "letter" if max(map(len, filled)) == 1 else "ranked"
    elif "0" in filled and all(re.fullmatch(r"[0-9]{1,2}", cell) for cell in filled):
        return "index0"
    raise BadInput(
        f"{path}: the form of answers is ambiguous: {columns} answer columns with"
        f" {list_some(sorted(set(map(repr, filled)))) or 'empty cells'}; set form to one of"
        f" {', '.join(get_args(Form))}, or set id_column"
    )


def _check_weights(where: str, weights: Mapping[str, float]) -> None:
    for label, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise BadInput(f"{where}: the weight of {label} is {weight}; allowed are finite numbers from 0 on")


def _list_form_labels(sample: Sample) -> tuple[str, ...]:
    """Return all labels that can be written in the sample's form."""
    return sample.labels if sample.form == "probabilities" else letters(MOST_CHOICES)


def _check_ballot(id: str, ballot: Ballot, own: tuple[str, ...], sample: Sample) -> Ballot:
    """Return the labels with weight, after checking that they are labels of the question and of the form."""
    _check_weights(f"question {id}", ballot)
    positive = {label: weight for label, weight in ballot.items() if weight > 0}
    if sample.form == "text":
        return {text: weight for text, weight in positive.items() if not is_null(text)}
    allowed = _list_form_labels(sample)
    if not set(own) <= set(allowed):
        raise BadInput(f"question {id}: its labels are {', '.join(own)}; the submission allows {', '.join(allowed)}")
    if not positive.keys() <= set(own or allowed):
        raise BadInput(f"question {id}: answer {list_some(sorted(positive))} is not among {', '.join(own or allowed)}")
    return positive


def _restrict_prior(own: tuple[str, ...], prior: Mapping[str, float], sample: Sample) -> Ballot:
    """Return the prior among a question's own labels, or all of it if they are not known; equal weights if it is 0."""
    if sample.form == "text":
        labels = own or tuple(prior) or (NO_ANSWER,)
    else:
        allowed = _list_form_labels(sample)
        labels = own or tuple(label for label in prior if label in allowed) or allowed
    among = {label: prior.get(label, 0.0) for label in labels}
    return among if any(among.values()) else dict.fromkeys(labels, 1.0)


def _format_answer(ballot: Ballot, among: Ballot, sample: Sample) -> list[str]:
    """Return the answer cells of one row, in the order of `sample.answer_columns`."""
    match sample.form:
        case "letter" | "text":
            return [find_heaviest(ballot)]
        case "index0" | "index1":
            return [str(letters(MOST_CHOICES).index(find_heaviest(ballot)) + int(sample.form[-1]))]
        case "ranked":
            return [" ".join(list(dict.fromkeys(rank_labels(ballot) + rank_labels(among)))[: sample.k])]
        case "probabilities":
            shares = normalise_ballot(ballot)
            return [repr(shares.get(label, 0.0)) for label in sample.labels]
