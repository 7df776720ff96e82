"""Check a submission against the sample submission before Kaggle does."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from quorum.errors import BadInput
from quorum.files.cells import Cells, is_null, parse_cell_number, read_cells
from quorum.files.submission import Sample
from quorum.question import MOST_CHOICES, letters

SUM_TOLERANCE = 1e-3  # accepts probabilities that were rounded to four decimals
_MAX_PLACES = 5  # per problem

PROBLEMS = {
    "unreadable": "the file cannot be read as UTF-8 CSV",
    "bom": "the file starts with a byte order mark",
    "format": "the file is not UTF-8 CSV with commas",
    "columns-missing": "columns of the sample submission are missing",
    "columns-extra": "columns that the sample submission does not have",
    "columns-twice": "columns occur more than once",
    "ragged": "rows have more or fewer cells than the header",
    "id-missing": "ids of the sample submission are missing",
    "id-unknown": "ids that the sample submission does not have",
    "id-twice": "ids occur more than once",
    "null": 'answers are empty, or read as null ("nan", "none", "NA" …)',
    "label-unknown": "answers are not among the labels of their question",
    "label-repeated": "rows repeat a label",
    "too-many": "rows list more labels than the sample submission",
    "not-a-number": "probabilities are not numbers",
    "out-of-range": "probabilities are below 0 or above 1",
    "sum": f"probabilities of a row do not sum to 1 (within {SUM_TOLERANCE})",
}


@dataclass(frozen=True, slots=True)
class ProblemPlace:
    """Location of a problem and the offending value; row 1 is the first below the header, None: the whole file."""

    row: int | None
    id: str | None
    found: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem (a key of `PROBLEMS`), how often it occurs, and its first five places."""

    code: str
    message: str
    count: int
    places: tuple[ProblemPlace, ...]


_Found = tuple[str, ProblemPlace]  # a key of `PROBLEMS` and a place


def check_submission(path: Path, sample: Sample, labels: Mapping[str, tuple[str, ...]] | None = None) -> list[Problem]:
    """Return all problems of a submission, in the order of `PROBLEMS`; an empty list if it is legal.

    Rows and columns may be in any order, as on Kaggle. For a question that is not in `labels` (question id -> labels)
    every letter from A to Z, or every probability column of the sample, is allowed.

    Raises:
        OSError: the file cannot be opened.
    """
    try:
        table = read_cells(path)
    except BadInput as error:
        return _collect_problems(iter([("unreadable", ProblemPlace(None, None, str(error)))]))
    return _collect_problems(_find_problems(table, sample, labels or {}))


def _collect_problems(found: Iterator[_Found]) -> list[Problem]:
    counts: Counter[str] = Counter()
    places: dict[str, list[ProblemPlace]] = {}
    for code, place in found:
        counts[code] += 1
        if counts[code] <= _MAX_PLACES:
            places.setdefault(code, []).append(place)
    return [Problem(code, PROBLEMS[code], counts[code], tuple(places[code])) for code in PROBLEMS if code in counts]


def _find_problems(table: Cells, sample: Sample, labels: Mapping[str, tuple[str, ...]]) -> Iterator[_Found]:
    if table.has_bom:
        yield "bom", ProblemPlace(None, None, "EF BB BF")
    if table.notes:
        yield "format", ProblemPlace(None, None, ", ".join(table.notes))
    yield from _check_columns(table.header, sample)
    column = {name: number for number, name in enumerate(table.header)}
    has_answers = all(name in column for name in sample.answer_columns)
    known, seen = set(sample.ids), set[str]()
    for number, row in enumerate(table.rows, 1):
        if len(row) != len(table.header):
            yield "ragged", ProblemPlace(number, None, f"{len(row)} cells, header {len(table.header)}")
            if sample.id_column not in column or len(row) <= column[sample.id_column]:
                continue
        id = row[column[sample.id_column]] if sample.id_column in column else None
        if id is not None:
            if id not in known:
                yield "id-unknown", ProblemPlace(number, id, repr(id))
            if id in seen:
                yield "id-twice", ProblemPlace(number, id, repr(id))
            seen.add(id)
        if has_answers and len(row) == len(table.header):
            cells = [row[column[name]] for name in sample.answer_columns]
            for code, value in _check_answer(cells, labels.get(id or "", ()), sample):
                yield code, ProblemPlace(number, id, value)
    if sample.id_column in column:
        for id in sample.ids:
            if id not in seen:
                yield "id-missing", ProblemPlace(None, id, "no row")


def _check_columns(header: tuple[str, ...], sample: Sample) -> Iterator[_Found]:
    for name in sample.columns:
        if name not in header:
            yield "columns-missing", ProblemPlace(None, None, repr(name))
    for name, count in Counter(header).items():
        if name not in sample.columns:
            yield "columns-extra", ProblemPlace(None, None, repr(name))
        if count > 1:
            yield "columns-twice", ProblemPlace(None, None, repr(name))


def _check_answer(cells: list[str], labels: tuple[str, ...], sample: Sample) -> Iterator[tuple[str, str]]:
    """Yield the problems of one row's answer cells as keys of `PROBLEMS` with the offending values."""
    nulls = [repr(cell) for cell in cells if is_null(cell)]
    if nulls:
        yield "null", ", ".join(nulls)
    elif sample.form == "probabilities":
        yield from _check_probabilities(cells, labels, sample)
    elif sample.form != "text":
        given = cells[0].split(" ") if sample.form == "ranked" else [cells[0]]
        legal = set(_format_labels(labels or letters(MOST_CHOICES), sample))
        unknown = [repr(label) for label in given if label not in legal]
        if unknown:
            yield "label-unknown", ", ".join(unknown)
        if len(set(given)) < len(given):
            yield "label-repeated", repr(cells[0])
        if sample.form == "ranked" and len(given) > sample.k:
            yield "too-many", f"{len(given)} labels, at most {sample.k}"


def _format_labels(labels: tuple[str, ...], sample: Sample) -> tuple[str, ...]:
    """Return the labels as they are written in the sample's form: B is 1 as index0 and 2 as index1."""
    if sample.form in ("index0", "index1"):
        return tuple(str(number + int(sample.form[-1])) for number in range(len(labels)))
    return labels


def _check_probabilities(cells: list[str], labels: tuple[str, ...], sample: Sample) -> Iterator[tuple[str, str]]:
    numbers = [parse_cell_number(cell) for cell in cells]
    invalid = [repr(cell) for cell, number in zip(cells, numbers, strict=True) if number is None]
    if invalid:
        yield "not-a-number", ", ".join(invalid)
        return
    values = [number for number in numbers if number is not None]
    outside = [cell for cell, value in zip(cells, values, strict=True) if not 0 <= value <= 1]
    if outside:
        yield "out-of-range", ", ".join(outside)
    total = sum(values)
    if abs(total - 1) > SUM_TOLERANCE:
        yield "sum", f"{total:.6g}"
    for label, value in zip(sample.labels, values, strict=True):
        if labels and label not in labels and value > SUM_TOLERANCE:
            yield "label-unknown", f"{label}: {value:g}"
