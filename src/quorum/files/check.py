"""Check a submission against the sample submission before Kaggle does."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorum.errors import BadInput
from quorum.files.cells import Cells, is_null, read_cells
from quorum.files.sample import Sample
from quorum.files.sample_columns import parse_share
from quorum.files.train_answers import Choices
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
    "one-hot": "rows are not a 1 for the answer and 0 for every other label",
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


# What shows a rule of the competition where the sample does it: rows that need not sum to 1, repeated ids ...
_RULE_CODES = frozenset({"bom", "columns-twice", "id-twice", "sum", "out-of-range", "label-repeated"})
_ANSWER_CODES = frozenset(
    {"null", "label-unknown", "label-repeated", "too-many", "not-a-number", "out-of-range", "one-hot", "sum"}
)

_Found = tuple[str, ProblemPlace]  # a key of `PROBLEMS` and a place


def check_submission(
    path: Path,
    sample: Sample,
    labels: Mapping[str, tuple[str, ...]] | None = None,
    choices: Choices | None = None,
) -> list[Problem]:
    """Return all problems of a submission, in the order of `PROBLEMS`; an empty list if it is legal.

    Rows and columns may be in any order, as on Kaggle. For a question that is not in `labels` (question id -> labels)
    every letter from A to Z, or every probability column of the sample, is allowed; `choices` are the option texts.

    What the sample submission does is legal: a file that answers exactly like it has no problem in its answers, and
    probabilities need not sum to 1 if the sample's do not. A placeholder that is no label is legal in the sample alone.

    Raises:
        OSError: the file cannot be opened.
    """
    try:
        table = read_cells(path)
    except BadInput as error:
        return _collect_problems([("unreadable", ProblemPlace(None, None, str(error)))])
    found = list(_find_problems(table, sample, labels or {}, choices or {}))
    legal = set() if sample.source is None else _list_sample_codes(sample)
    if sample.source is not None and _answers_like(table, sample.source):
        legal |= _ANSWER_CODES
    return _collect_problems(each for each in found if each[0] not in legal)


def _list_sample_codes(sample: Sample) -> set[str]:
    """Return the problems that the sample submission has itself, as far as they show a rule, not a placeholder."""
    source = sample.source
    if source is None:
        return set()
    codes = {code for code, _ in _find_problems(source, sample, {}, {})}
    blank = all(is_null(cell) for cells in _answer_rows(source, sample) for cell in cells)
    return codes & _RULE_CODES | (codes & {"null"} if not blank else set())


def _answer_rows(table: Cells, sample: Sample) -> list[list[str]]:
    places = [table.header.index(name) for name in sample.answer_columns]
    return [[row[place] for place in places] for row in table.rows if len(row) == len(table.header)]


def _answers_like(table: Cells, source: Cells) -> bool:
    """Return whether a file has the sample's rows, in any order."""
    return table.header == source.header and sorted(table.rows) == sorted(source.rows)


def _collect_problems(found: Iterable[_Found]) -> list[Problem]:
    counts: Counter[str] = Counter()
    places: dict[str, list[ProblemPlace]] = {}
    for code, place in found:
        counts[code] += 1
        if counts[code] <= _MAX_PLACES:
            places.setdefault(code, []).append(place)
    return [Problem(code, PROBLEMS[code], counts[code], tuple(places[code])) for code in PROBLEMS if code in counts]


def _find_problems(
    table: Cells, sample: Sample, labels: Mapping[str, tuple[str, ...]], choices: Choices
) -> Iterator[_Found]:
    if table.has_bom:
        yield "bom", ProblemPlace(None, None, "EF BB BF")
    if table.notes and not (sample.source and table.notes == sample.source.notes):
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
            for code, value in _check_answer(cells, labels.get(id or "", ()), sample, choices.get(id or "", ())):
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


def _check_answer(
    cells: list[str], labels: tuple[str, ...], sample: Sample, choices: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield the problems of one row's answer cells as keys of `PROBLEMS` with the offending values."""
    nulls = [repr(cell) for cell in cells if is_null(cell)]
    if nulls:
        yield "null", ", ".join(nulls)
        return
    match sample.form:
        case "any":
            pass
        case "probability":
            yield from _check_probability(cells[0])
        case "probabilities":
            yield from _check_probabilities(cells, labels, sample)
        case "onehot":
            yield from _check_one_hot(cells, labels, sample)
        case "text":
            if choices and cells[0] not in choices:
                yield "label-unknown", repr(cells[0])
        case "ranked":
            given = sample.ranked.split(cells[0]) if len(cells) == 1 else cells
            yield from _check_ranked(given, labels, sample, choices)
        case _:
            if cells[0] not in _list_legal_words(labels, sample, choices):
                yield "label-unknown", repr(cells[0])


def _list_legal_words(labels: tuple[str, ...], sample: Sample, choices: Sequence[str]) -> tuple[str, ...]:
    """Return the labels as they are written in the sample's style: B is 1 as index0 and 2 as index1."""
    most = len(sample.style.words) if sample.form == "words" else MOST_CHOICES
    return sample.style.write_all(labels or letters(most), choices)


def _check_ranked(
    given: Sequence[str], labels: tuple[str, ...], sample: Sample, choices: Sequence[str]
) -> Iterator[tuple[str, str]]:
    legal = set(_list_legal_words(labels, sample, choices))
    unknown = [repr(label) for label in given if label not in legal]
    if unknown:
        yield "label-unknown", ", ".join(unknown)
    if len(set(given)) < len(given) and (len(sample.answer_columns) == 1 or len(labels) >= sample.k):
        yield "label-repeated", repr(sample.ranked.join(list(given)))
    if len(given) > sample.k:
        yield "too-many", f"{len(given)} labels, at most {sample.k}"


def _check_probability(cell: str) -> Iterator[tuple[str, str]]:
    number = parse_share(cell)
    if number is None:
        yield "not-a-number", repr(cell)
    elif not 0 <= number <= 1:
        yield "out-of-range", cell


def _check_one_hot(cells: list[str], labels: tuple[str, ...], sample: Sample) -> Iterator[tuple[str, str]]:
    chosen = [label for label, cell in zip(sample.labels, cells, strict=True) if cell == "1"]
    if not set(cells) <= {"0", "1"} or len(chosen) != 1:
        yield "one-hot", ", ".join(map(repr, cells))
    elif labels and chosen[0] not in labels:
        yield "label-unknown", chosen[0]


def _check_probabilities(cells: list[str], labels: tuple[str, ...], sample: Sample) -> Iterator[tuple[str, str]]:
    numbers = [parse_share(cell) for cell in cells]
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
