"""Check a question file row by row and summarize it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorum.console import Progress
from quorum.data.choice_text import cites_letters, is_all_or_none
from quorum.data.findings import Finding, Severity, make_remark
from quorum.data.read import Table
from quorum.data.records import Record, pause_collection
from quorum.data.repair import Remark, answer_to_label, describe_choice_count
from quorum.data.repeats import check_against_train, check_duplicates, check_near_duplicates
from quorum.question import MOST_CHOICES, letters

_SAME_ANSWERS = 20  # rows with one and the same label that cannot be chance


@dataclass(frozen=True, slots=True)
class Spread:
    """Length of texts in characters: minimum, median, 95th percentile and maximum."""

    least: int
    median: int
    most_of_95: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Summary of a file.

    `answered` counts rows with an answer, `letter_prior` is each label's share among these, and `choices` maps a number
    of choices to the number of questions that have it.
    """

    rows: int
    answered: int
    letter_prior: Mapping[str, float]
    choices: Mapping[int, int]
    text_length: Spread
    choice_length: Spread


@dataclass(frozen=True, slots=True)
class Report:
    """The doctor's findings, in order of severity, and the file's statistics."""

    path: Path
    findings: tuple[Finding, ...]
    statistics: Statistics
    columns: str = ""  # the role of each column, and the unused ones

    @property
    def errors(self) -> int:
        """Number of rows with an error, counted once per finding."""
        return sum(finding.count for finding in self.findings if finding.severity == "error")


@pause_collection()
def examine(table: Table, train: Table | None = None, progress: Progress | None = None) -> Report:
    """Check a table; with `train` also find the rows that have an exact or near duplicate there.

    Two questions are duplicates if passage, text and choices are equal except for the choices' order, case and white
    space (`fold_text`); they conflict if their answers' texts differ. Punctuation counts, because in code it matters.
    Near-duplicates are those that a split keeps on one side (`cluster_duplicates`).
    """
    findings = [
        *_check_file(table),
        *_check_rows(table),
        *check_duplicates(table),
        check_near_duplicates(table, progress),
    ]
    if train is not None:
        findings += check_against_train(table, train, progress)
    order: Sequence[Severity] = ("error", "warning", "note")
    findings = sorted((finding for finding in findings if finding.places), key=lambda f: order.index(f.severity))
    return Report(table.path, tuple(findings), _compute_statistics(table), table.roles)


def _check_file(table: Table) -> list[Finding]:
    """Check what only shows over the whole file; the places of these findings have row 0."""
    labels = [label for r in table.records if len(r.choices) > 1 and (label := answer_to_label(r)) is not None]
    same = f"{len(labels)} answers are {labels[0]}" if len(labels) >= _SAME_ANSWERS and len(set(labels)) == 1 else None
    answer = table.layout.answer
    empty = None if answer is None or table.labelled else f"column {answer!r} is empty (normal for a test file)"
    long = [f"column {column!r}; if it is the passage: context = {column!r}" for column in table.long_unused]

    def finding(code: str, severity: Severity, what: str, found: Iterable[str | None]) -> Finding:
        places = tuple(Remark(0, "", text) for text in found if text is not None)
        return Finding(code=code, severity=severity, what=what, places=places)

    return [
        finding("same_answer", "warning", "all answers have the same label", [same]),
        finding("no_answers", "warning", "the answer column holds no answers", [empty]),
        finding("unused_text", "note", "columns of long texts that models will not see", long),
    ]


def _check_rows(table: Table) -> list[Finding]:
    """Check each row by itself, and its id."""
    ids = Counter(record.id for record in table.records)

    def finding(code: str, severity: Severity, what: str, describe: Callable[[Record], str | None]) -> Finding:
        described = ((record, describe(record)) for record in table.records)
        places = tuple(make_remark(record, text) for record, text in described if text is not None)
        return Finding(code=code, severity=severity, what=what, places=places)

    return [
        finding("ragged", "error", "rows with more or fewer cells than the header", lambda r: r.ragged),
        finding("missing_id", "error", "rows without an id", lambda r: None if r.id else "no id"),
        finding(
            "duplicate_id",
            "error",
            "rows whose id is not unique",
            lambda r: f"{ids[r.id]} rows" if r.id and ids[r.id] > 1 else None,
        ),
        finding("missing_text", "error", "questions without a text", lambda r: None if r.text.strip() else "no text"),
        finding("unreadable", "error", "rows that cannot be read", lambda r: r.problem),
        finding(
            "choice_count", "error", f"questions without 2 to {MOST_CHOICES} choices", _make_choice_count_check(table)
        ),
        finding(
            "no_choices",
            "warning",
            "rows without choices in a file with choices; asked as open questions",
            lambda r: None if table.labelled or table.open or r.problem or r.choices else "0 choices",
        ),
        finding("missing_choice", "error", "questions with an empty choice", _describe_missing_choices),
        finding(
            "missing_answer",
            "error",
            "rows without an answer",
            lambda r: "no answer" if table.labelled and r.raw_answer is None else None,
        ),
        finding(
            "answer_to_repair",
            "error",
            "answers that can be repaired to a label",
            _describe_repairable_answer,
        ),
        finding("unknown_answer", "error", "answers that are none of the row's choices", _describe_unknown_answer),
        finding("empty_answer", "warning", "questions whose answer is an empty choice", _describe_empty_answer),
        finding("equal_choices", "warning", "questions with equal choices", _describe_equal_choices),
        finding(
            "all_or_none",
            "note",
            'choices such as "all of the above"; kept last when choices are shuffled',
            _describe_all_or_none,
        ),
        finding(
            "cites_letters",
            "note",
            'choices such as "A and B"; their questions are never shuffled',
            _describe_cited_letters,
        ),
    ]


def _make_choice_count_check(table: Table) -> Callable[[Record], str | None]:
    def describe(record: Record) -> str | None:
        open_question = table.open or not (table.labelled or record.choices)
        valid = open_question or record.problem or 2 <= len(record.choices) <= MOST_CHOICES
        return None if valid else describe_choice_count(record)

    return describe


def _describe_choices(record: Record, selects: Callable[[str], bool]) -> str | None:
    """Return the labels of the selected choices and the first one's text; None if none is selected."""
    if len(record.choices) > MOST_CHOICES:
        return None
    labelled = zip(letters(len(record.choices)), record.choices, strict=True)
    selected = [(label, choice) for label, choice in labelled if selects(choice)]
    if not selected:
        return None
    return f"{', '.join(label for label, _ in selected)} of {len(record.choices)}: {selected[0][1][:40]!r}"


def _describe_missing_choices(record: Record) -> str | None:
    return _describe_choices(record, lambda choice: not choice.strip())


def _describe_empty_answer(record: Record) -> str | None:
    label = answer_to_label(record)
    empty = label is not None and bool(record.choices) and not record.choices[ord(label) - ord("A")].strip()
    return f"answer {label}" if empty else None


def _describe_repairable_answer(record: Record) -> str | None:
    label = answer_to_label(record) if record.answer is None else None
    return None if label is None or record.raw_answer is None else f"{record.raw_answer[:40]!r} means {label}"


def _describe_unknown_answer(record: Record) -> str | None:
    if record.raw_answer is None or answer_to_label(record) is not None:
        return None
    return f"{record.raw_answer[:40]!r} with {describe_choice_count(record)}"


def _describe_equal_choices(record: Record) -> str | None:
    """Describe exactly equal choices; in questions about code, case and spaces can be the difference."""
    counts = Counter(record.choices)
    return _describe_choices(record, lambda choice: counts[choice] > 1)


def _describe_all_or_none(record: Record) -> str | None:
    return _describe_choices(record, is_all_or_none)


def _describe_cited_letters(record: Record) -> str | None:
    labels = letters(min(len(record.choices), MOST_CHOICES))
    return _describe_choices(record, lambda choice: cites_letters(choice, labels))


def _compute_statistics(table: Table) -> Statistics:
    labels = Counter(label for r in table.records if r.choices and (label := answer_to_label(r)) is not None)
    answered = sum(answer_to_label(record) is not None for record in table.records)
    return Statistics(
        rows=len(table.records),
        answered=answered,
        letter_prior={label: count / labels.total() for label, count in sorted(labels.items())},
        choices=dict(sorted(Counter(len(record.choices) for record in table.records).items())),
        text_length=_summarize_lengths([len(record.text) for record in table.records]),
        choice_length=_summarize_lengths([len(choice) for record in table.records for choice in record.choices]),
    )


def _summarize_lengths(lengths: Sequence[int]) -> Spread:
    if not lengths:
        return Spread(0, 0, 0, 0)
    ordered = sorted(lengths)
    last = len(ordered) - 1
    return Spread(ordered[0], ordered[last // 2], ordered[last * 95 // 100], ordered[last])
