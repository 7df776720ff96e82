"""What is wrong with a file of questions, row by row, and what it is like."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quorum.console import Progress
from quorum.data.duplicates import exact_key, find_duplicates, text_key
from quorum.data.read import Record, Table
from quorum.data.repair import Remark, answer_to_label, describe_choice_count
from quorum.data.table.options import cites_letters, is_all_or_none
from quorum.question import MOST_CHOICES, Question, fold_text, letters

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing that was found, and every place of it.

    An error keeps rows from being questions; a warning may mislead; a note is good to know. `groups` counts the groups
    of equal questions, where the places are in such groups.
    """

    code: str
    severity: Severity
    what: str
    places: tuple[Remark, ...]
    groups: int | None = None

    @property
    def count(self) -> int:
        return len(self.places)


@dataclass(frozen=True, slots=True)
class Spread:
    """How long texts are, in characters: the shortest, the middle one, one longer than 95 %, the longest."""

    least: int
    median: int
    most_of_95: int
    most: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a file is like: rows, rows with a label, each label's share among these, how many questions have how many
    choices, and how long questions and choices are."""

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

    @property
    def errors(self) -> int:
        """How many places are errors."""
        return sum(finding.count for finding in self.findings if finding.severity == "error")


def examine(table: Table, train: Table | None = None, progress: Progress | None = None) -> Report:
    """What is found in a table, and, given the train table, which rows of this one stand there, exactly or nearly.

    Two questions are duplicates if passage, text and choices are the same but for the choices' order, for case and for
    blanks (`fold_text`); they conflict if their answers' texts differ. Punctuation counts: in code it is the question.
    """
    found = [*_check_rows(table), *_check_duplicates(table)]
    if train is not None:
        found += _check_against_train(table, train, progress)
    order: Sequence[Severity] = ("error", "warning", "note")
    findings = sorted((finding for finding in found if finding.places), key=lambda f: order.index(f.severity))
    return Report(table.path, tuple(findings), _compute_statistics(table))


def _check_rows(table: Table) -> list[Finding]:
    """What a row shows by itself (or by its id)."""
    ids = Counter(record.id for record in table.records)

    def finding(code: str, severity: Severity, what: str, told: Callable[[Record], str | None]) -> Finding:
        places = ((record, told(record)) for record in table.records)
        return Finding(
            code, severity, what, tuple(_make_remark(record, text) for record, text in places if text is not None)
        )

    return [
        finding("missing_id", "error", "rows without an id", lambda r: None if r.id else "no id"),
        finding(
            "duplicate_id",
            "error",
            "rows whose id stands more than once",
            lambda r: f"{ids[r.id]} rows" if r.id and ids[r.id] > 1 else None,
        ),
        finding("missing_text", "error", "questions without a text", lambda r: None if r.text.strip() else "no text"),
        finding("unreadable", "error", "rows that can not be read", lambda r: r.problem),
        finding(
            "choice_count", "error", f"questions without 2 to {MOST_CHOICES} choices", _make_choice_count_check(table)
        ),
        finding(
            "no_choices",
            "warning",
            "rows without choices among others that have them: asked as open questions",
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
            "answers that mean a label and are written otherwise",
            _describe_repairable_answer,
        ),
        finding("unknown_answer", "error", "answers that are none of the row's choices", _describe_unknown_answer),
        finding("empty_answer", "warning", "questions whose answer is an empty choice", _describe_empty_answer),
        finding("equal_choices", "warning", "questions with equal choices", _describe_equal_choices),
        finding(
            "all_or_none", "note", 'choices like "all of the above": they have to stay last', _describe_all_or_none
        ),
        finding("cites_letters", "note", 'choices like "A and B": these can not be permuted', _describe_cited_letters),
    ]


def _make_remark(record: Record, what: str) -> Remark:
    return Remark(record.row, record.id, what)


def _make_choice_count_check(table: Table) -> Callable[[Record], str | None]:
    def told(record: Record) -> str | None:
        open_question = table.open or not (table.labelled or record.choices)
        fine = open_question or record.problem or 2 <= len(record.choices) <= MOST_CHOICES
        return None if fine else describe_choice_count(record)

    return told


def _describe_choices(record: Record, marks: Callable[[str], bool]) -> str | None:
    """The labels of the choices that `marks` is true of, with the first one's text; None where there are none."""
    if len(record.choices) > MOST_CHOICES:
        return None
    labelled = zip(letters(len(record.choices)), record.choices, strict=True)
    hits = [(label, choice) for label, choice in labelled if marks(choice)]
    if not hits:
        return None
    return f"{', '.join(label for label, _ in hits)} of {len(record.choices)}: {hits[0][1][:40]!r}"


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
    """Equal to the letter: case and blanks can be what a question on code asks."""
    counts = Counter(record.choices)
    return _describe_choices(record, lambda choice: counts[choice] > 1)


def _describe_all_or_none(record: Record) -> str | None:
    return _describe_choices(record, is_all_or_none)


def _describe_cited_letters(record: Record) -> str | None:
    labels = letters(min(len(record.choices), MOST_CHOICES))
    return _describe_choices(record, lambda choice: cites_letters(choice, labels))


def _check_duplicates(table: Table) -> list[Finding]:
    texts, alike = _group_rows(table, text_key), _group_rows(table, exact_key)
    conflicting = [rows for rows in alike if len({answer for r in rows if (answer := _fold_answer_text(r))}) > 1]
    return [
        Finding(
            "conflicting_answers",
            "warning",
            "rows of equal questions whose answers differ",
            tuple(
                _make_remark(r, f"with row {_list_other_rows(r, rows)}: {r.raw_answer!r}")
                for rows in conflicting
                for r in rows
            ),
            len(conflicting),
        ),
        _make_repeat_finding("duplicate_question", "warning", "rows that repeat a question and its choices", alike),
        _make_repeat_finding(
            "duplicate_text", "note", "rows that repeat a question's text, with whatever choices", texts
        ),
    ]


def _make_repeat_finding(code: str, severity: Severity, what: str, groups: Sequence[Sequence[Record]]) -> Finding:
    places = (_make_remark(r, f"repeats row {rows[0].row} ({rows[0].id})") for rows in groups for r in rows[1:])
    return Finding(code, severity, what, tuple(sorted(places, key=lambda place: place.row)), len(groups))


def _group_rows(table: Table, key: Callable[[Question], str]) -> list[list[Record]]:
    """The groups of two or more rows with the same key."""
    groups: dict[str, list[Record]] = {}
    for record in table.records:
        if record.text.strip():
            groups.setdefault(key(_make_comparable_question(record)), []).append(record)
    return [rows for rows in groups.values() if len(rows) > 1]


def _list_other_rows(record: Record, rows: Iterable[Record]) -> str:
    return ", ".join(str(other.row) for other in rows if other is not record)


def _fold_answer_text(record: Record) -> str | None:
    """What the answer says, so that equal questions with their choices in another order can agree."""
    label = answer_to_label(record)
    return label if label is None or not record.choices else fold_text(record.choices[ord(label) - ord("A")])


def _make_comparable_question(record: Record) -> Question:
    """What is needed to compare a record that may be no valid question."""
    choices = record.choices if 2 <= len(record.choices) <= MOST_CHOICES else ()
    return Question(str(record.row), record.text, choices, group=record.group, context=record.context)


def _check_against_train(table: Table, train: Table, progress: Progress | None) -> list[Finding]:
    here = [record for record in table.records if record.text.strip()]
    there = [record for record in train.records if record.text.strip()]
    found = find_duplicates(
        [_make_comparable_question(r) for r in here], [_make_comparable_question(r) for r in there], progress=progress
    )
    kinds: Mapping[tuple[bool, bool], list[Remark]] = {(True, True): [], (True, False): [], (False, False): []}
    for twin in found:
        other = there[twin.other]
        told = f"row {other.row} ({other.id}) of train, similarity {twin.similarity:.2f}"
        kinds[twin.exact, twin.exact and twin.same_choices].append(_make_remark(here[twin.question], told))
    return [
        Finding("in_train", "warning", "questions that stand in train, choices and all", tuple(kinds[True, True])),
        Finding("text_in_train", "warning", "questions whose text stands in train", tuple(kinds[True, False])),
        Finding("near_train", "warning", "questions that nearly stand in train", tuple(kinds[False, False])),
    ]


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
