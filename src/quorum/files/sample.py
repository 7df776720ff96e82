"""Read a sample submission: the format of every legal submission."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from quorum.errors import BadInput, list_some
from quorum.files.cells import Cells, find_id_column, is_null, read_cells
from quorum.files.form_setting import Form, RankedStyle, format_form, parse_form
from quorum.files.label_style import LabelStyle
from quorum.files.sample_columns import find_answer_columns
from quorum.files.sample_form import FoundForm, apply_setting, decide_form
from quorum.files.train_answers import AnswerEvidence
from quorum.question import MOST_CHOICES, letters

_FORM_STYLES: Mapping[str, LabelStyle] = {
    "index0": LabelStyle("0"),
    "index1": LabelStyle("1"),
    "text": LabelStyle("text"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The format of a legal submission.

    Attributes:
        columns: the columns in order, the id column included.
        id_column: the name of the id column.
        ids: the ids in row order.
        form: how an answer is written; "any": not known, and only the sample's structure can be checked.
        k: the largest number of labels in a ranked answer.
        labels: the labels of the probability or one-hot columns, in the order of `answer_columns`; the label whose
            probability a single column holds.
        style: how one label is written.
        ranked: how a cell lists labels.
        copied: the cells of columns that do not hold the answer, which a submission copies, by column.
        floats: whether whole numbers are written as 18.0.
        decimal_comma: whether probabilities are written as 0,5.
        reason: why this form was chosen, for the report.
        source: the cells of the sample submission; None for a sample without a file.

    Raises:
        BadInput: the columns do not fit the form.
    """

    columns: tuple[str, ...]
    id_column: str
    ids: tuple[str, ...]
    form: Form | Literal["any"]
    k: int = 1
    labels: tuple[str, ...] = ()
    style: LabelStyle = LabelStyle()
    ranked: RankedStyle = RankedStyle()
    copied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    floats: bool = False
    decimal_comma: bool = False
    reason: str = ""
    source: Cells | None = None

    def __post_init__(self) -> None:
        if self.form not in (*get_args(Form), "any"):
            raise BadInput(f"form {self.form!r} is not among {', '.join(get_args(Form))}")
        if self.id_column not in self.columns:
            raise BadInput(f"id column {self.id_column!r} is not among {', '.join(self.columns)}")
        if not self.ids:
            raise BadInput("there are no ids")
        self._check_columns()
        if not 1 <= self.k <= MOST_CHOICES:
            raise BadInput(f"k is {self.k}; allowed are 1 to {MOST_CHOICES}")

    def _check_columns(self) -> None:
        count = len(self.answer_columns)
        expected = {"probabilities": len(self.labels), "onehot": len(self.labels), "any": count}.get(self.form, 1)
        if self.form == "ranked" and count > 1:
            expected = self.k
        one_label = self.form == "probability" and len(self.labels) != 1
        if count != expected or one_label or len(set(self.labels)) != len(self.labels):
            raise BadInput(
                f"form {self.form!r} does not fit the answer columns {', '.join(self.answer_columns)}"
                f" with labels {', '.join(self.labels) or 'none'}"
            )

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """The columns that hold the answer, in the sample's order."""
        return tuple(column for column in self.columns if column != self.id_column and column not in self.copied)

    @property
    def setting(self) -> str:
        """The value of the setting `form` that gives this form without train; empty if the form is not known."""
        if self.form == "any":
            return ""
        ranked_style = self.ranked if len(self.answer_columns) == 1 else None
        return format_form(self.form, self.style, ranked_style, self.k, self.labels)

    @property
    def metric(self) -> str | None:
        """The metric that this form suggests; None if any metric of one label may be meant."""
        if self.form == "ranked" and self.k > 1:
            return f"map@{self.k}"
        return "log-loss" if self.form in ("probability", "probabilities") else None

    def describe(self) -> str:
        """Return one line on how answers are written, and why."""
        examples = {
            "text": "the text of an option or of an open answer",
            "any": "not known",
            "probability": f"the probability of {', '.join(self.labels)}",
            "probabilities": f"a probability for each of {', '.join(self.labels)}",
            "onehot": f"1 or 0 for each of {', '.join(self.labels)}",
            "ranked": self.ranked.join(list(self.style.write_all(letters(self.k)))),
        }
        shown = examples.get(self.form) or ", ".join(self.style.words or self.style.write_all(letters(3))) + " …"
        copied = f"; {', '.join(self.copied)} copied from the sample" if self.copied else ""
        return f"answers as {self.form} ({shown}){f', {self.reason}' if self.reason else ''}{copied}"


def make_sample(ids: Sequence[str], form: Form = "letter", k: int = 1, labels: tuple[str, ...] = ()) -> Sample:
    """Return a sample for a competition without one: columns id and answer, or id and one column per label."""
    columns = labels if form in ("probabilities", "onehot") else ("answer",)
    return Sample(
        columns=("id", *columns),
        id_column="id",
        ids=tuple(ids),
        form=form,
        k=k,
        labels=labels,
        style=_FORM_STYLES.get(form, LabelStyle()),
    )


def make_default_sample(ids: Sequence[str], form: str | None, evidence: AnswerEvidence) -> Sample:
    """Return the sample of a competition without one: id and an answer as train writes it, else a letter.

    Args:
        form: a setting `form`, which wins.
    """
    columns = {"answer": ("",) * len(ids)}
    found = apply_setting(columns, parse_form(form), evidence) if form else decide_form(columns, ids, evidence)
    if found.conflict:
        return make_sample(ids)
    return Sample(
        columns=("id", "answer"),
        id_column="id",
        ids=tuple(ids),
        form=found.form,
        k=found.k,
        labels=found.labels,
        style=found.style,
        ranked=found.ranked or RankedStyle(),
    )


def read_sample(
    path: Path,
    form: str | None = None,
    evidence: AnswerEvidence | None = None,
    *,
    id_column: str | None = None,
    structure_only: bool = False,
) -> Sample:
    """Read the sample submission, and decide how answers are written.

    The kind of the sample's cells and train's own answers decide; the value of a constant sample is a placeholder.

    Args:
        form: a setting `form` (see `parse_form`); it is not decided then.
        evidence: what train and the test questions show.
        structure_only: accept a sample whose form is not known, and ids that are empty or repeated, to check a file
            against it.

    Raises:
        BadInput: the file is not a legal sample, or its form is ambiguous and has to be named.
    """
    evidence = evidence or AnswerEvidence()
    table = read_cells(path)
    rows = table.check_rows()
    id_column = find_id_column(table.header) if id_column is None else id_column
    if id_column not in table.header:
        raise BadInput(f"{path}: no id column {id_column!r}; the columns are {', '.join(table.header)}")
    if len(table.header) < 2:
        raise BadInput(f"{path}: column {id_column!r} is the only one; an id and an answer column are expected")
    if not rows:
        raise BadInput(f"{path}: no rows below the header")
    columns = dict(zip(table.header, zip(*rows, strict=True), strict=True))
    ids = columns.pop(id_column)
    if not structure_only:
        _check_sample_ids(path, ids)
    found = apply_setting(columns, parse_form(form), evidence) if form else decide_form(columns, ids, evidence)
    if found.conflict and not structure_only:
        raise BadInput(_describe_conflict(path, found))
    try:
        return _build_sample(table, id_column, ids, columns, found)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def _build_sample(
    table: Cells,
    id_column: str,
    ids: Sequence[str],
    columns: Mapping[str, tuple[str, ...]],
    found: FoundForm,
) -> Sample:
    names = found.columns or find_answer_columns(columns, AnswerEvidence())
    cells = [cell.strip() for name in names for cell in columns[name] if not is_null(cell)]
    return Sample(
        columns=table.header,
        id_column=id_column,
        ids=tuple(ids),
        form="any" if found.conflict else found.form,
        k=found.k,
        labels=found.labels,
        style=found.style,
        ranked=found.ranked or RankedStyle(),
        copied={name: cells for name, cells in columns.items() if name not in names},
        floats=bool(cells) and all(re.fullmatch(r"[+-]?\d+\.0+", cell) for cell in cells),
        decimal_comma=any("," in cell for cell in cells) and found.form.startswith("probabilit"),
        reason=found.reason,
        source=table,
    )


def _check_sample_ids(path: Path, ids: Sequence[str]) -> None:
    repeated = [repr(id) for id, count in Counter(ids).items() if count > 1]
    if repeated:
        raise BadInput(f"{path}: id {list_some(repeated)} occurs more than once; ids must be unique")
    if "" in ids:
        raise BadInput(f"{path}: an id is empty")


def _describe_conflict(path: Path, found: FoundForm) -> str:
    hints = found.hints or get_args(Form)
    return (
        f"{path}: the form of answers is ambiguous: {found.conflict}; set form to one of"
        f" {', '.join(map(repr, hints)) if found.hints else ', '.join(hints)}, in quorum.toml, in the kernel's settings"
        " or as --form"
    )
