"""What is wrong with a submission, before Kaggle says so."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from quorum.errors import BadInput
from quorum.files.cells import Cells, cell_number, is_null, read_cells
from quorum.files.submission import Sample
from quorum.question import MOST_CHOICES, letters

SUM_TOLERANCE = 1e-3  # lets probabilities through that were rounded to four decimals
PLACES_SHOWN = 5

PROBLEMS = {
    "unreadable": "the file cannot be read as UTF-8 CSV",
    "bom": "the file starts with a byte order mark",
    "columns-missing": "columns of the sample submission are missing",
    "columns-extra": "columns that the sample submission does not have",
    "columns-twice": "columns stand more than once",
    "ragged": "rows have more or fewer cells than the header",
    "id-missing": "ids of the sample submission are missing",
    "id-unknown": "ids that the sample submission does not have",
    "id-twice": "ids stand more than once",
    "null": 'answers are empty, or read as null ("nan", "none", "NA" …)',
    "label-unknown": "answers are not among the labels of their question",
    "label-repeated": "rows repeat a label",
    "too-many": "rows list more labels than the sample submission",
    "not-a-number": "probabilities are not numbers",
    "out-of-range": "probabilities are below 0 or above 1",
    "sum": f"probabilities of a row do not sum to 1 (within {SUM_TOLERANCE})",
}


@dataclass(frozen=True, slots=True)
class FaultyPlace:
    """Where a problem stands and what was found; row 1 is the first below the header, None the file as a whole."""

    row: int | None
    id: str | None
    found: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem (a key of `PROBLEMS`), how often it was found, and the first five places."""

    code: str
    message: str
    count: int
    places: tuple[FaultyPlace, ...]


Found = tuple[str, FaultyPlace]


def check_submission(path: Path, sample: Sample, labels: Mapping[str, tuple[str, ...]] | None = None) -> list[Problem]:
    """Everything that is wrong with a submission, in the order of `PROBLEMS`; empty where it is legal.

    Row order and column order are free, as on Kaggle. Where the labels of a question are not known (`labels`: question
    id -> labels), letters A to Z and the sample's probability columns are what may be answered.

    Raises:
        OSError: the file cannot be opened.
    """
    try:
        table = read_cells(path)
    except BadInput as error:
        return _problems(iter([("unreadable", FaultyPlace(None, None, str(error)))]))
    return _problems(_walk(table, sample, labels or {}))


def _problems(found: Iterator[Found]) -> list[Problem]:
    counts: Counter[str] = Counter()
    places: dict[str, list[FaultyPlace]] = {}
    for code, place in found:
        counts[code] += 1
        if counts[code] <= PLACES_SHOWN:
            places.setdefault(code, []).append(place)
    return [Problem(code, PROBLEMS[code], counts[code], tuple(places[code])) for code in PROBLEMS if code in counts]


def _walk(table: Cells, sample: Sample, labels: Mapping[str, tuple[str, ...]]) -> Iterator[Found]:
    if table.has_bom:
        yield "bom", FaultyPlace(None, None, "EF BB BF")
    yield from _wrong_columns(table.header, sample)
    column = {name: number for number, name in enumerate(table.header)}
    answers_stand = all(name in column for name in sample.answer_columns)
    known, seen = set(sample.ids), set[str]()
    for number, row in enumerate(table.rows, 1):
        if len(row) != len(table.header):
            yield "ragged", FaultyPlace(number, None, f"{len(row)} cells, header {len(table.header)}")
            if sample.id_column not in column or len(row) <= column[sample.id_column]:
                continue
        id = row[column[sample.id_column]] if sample.id_column in column else None
        if id is not None:
            if id not in known:
                yield "id-unknown", FaultyPlace(number, id, repr(id))
            if id in seen:
                yield "id-twice", FaultyPlace(number, id, repr(id))
            seen.add(id)
        if answers_stand and len(row) == len(table.header):
            cells = [row[column[name]] for name in sample.answer_columns]
            for code, what in _wrong_answer(cells, labels.get(id or "", ()), sample):
                yield code, FaultyPlace(number, id, what)
    if sample.id_column in column:
        for id in sample.ids:
            if id not in seen:
                yield "id-missing", FaultyPlace(None, id, "no row")


def _wrong_columns(header: tuple[str, ...], sample: Sample) -> Iterator[Found]:
    for name in sample.columns:
        if name not in header:
            yield "columns-missing", FaultyPlace(None, None, repr(name))
    for name, count in Counter(header).items():
        if name not in sample.columns:
            yield "columns-extra", FaultyPlace(None, None, repr(name))
        if count > 1:
            yield "columns-twice", FaultyPlace(None, None, repr(name))


def _wrong_answer(cells: list[str], labels: tuple[str, ...], sample: Sample) -> Iterator[tuple[str, str]]:
    """What is wrong with one row's answer cells, and what was found there."""
    nulls = [repr(cell) for cell in cells if is_null(cell)]
    if nulls:
        yield "null", ", ".join(nulls)
    elif sample.form == "probabilities":
        yield from _wrong_probabilities(cells, labels, sample)
    elif sample.form != "text":
        given = cells[0].split(" ") if sample.form == "ranked" else [cells[0]]
        legal = set(_written_labels(labels or letters(MOST_CHOICES), sample))
        strange = [repr(label) for label in given if label not in legal]
        if strange:
            yield "label-unknown", ", ".join(strange)
        if len(set(given)) < len(given):
            yield "label-repeated", repr(cells[0])
        if sample.form == "ranked" and len(given) > sample.k:
            yield "too-many", f"{len(given)} labels, at most {sample.k}"


def _written_labels(labels: tuple[str, ...], sample: Sample) -> tuple[str, ...]:
    """The labels as the sample's form writes them: B is 1 as index0 and 2 as index1."""
    if sample.form in ("index0", "index1"):
        return tuple(str(number + int(sample.form[-1])) for number in range(len(labels)))
    return labels


def _wrong_probabilities(cells: list[str], labels: tuple[str, ...], sample: Sample) -> Iterator[tuple[str, str]]:
    numbers = [cell_number(cell) for cell in cells]
    bad = [repr(cell) for cell, number in zip(cells, numbers, strict=True) if number is None]
    if bad:
        yield "not-a-number", ", ".join(bad)
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
