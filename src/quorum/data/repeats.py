"""Find the rows of a question file that repeat another row, in the same file or in train."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from quorum.console import Progress
from quorum.data.duplicates import cluster_duplicates, exact_key, find_duplicates, text_key
from quorum.data.findings import Finding, Severity, make_remark
from quorum.data.read import Table
from quorum.data.records import Record
from quorum.data.repair import Remark, answer_to_label
from quorum.question import MOST_CHOICES, Question, fold_text


def check_duplicates(table: Table) -> list[Finding]:
    """Find the rows that repeat another row's text or question, and equal questions whose answers differ."""
    same_text, equal = _group_rows(table, text_key), _group_rows(table, exact_key)
    conflicting = [rows for rows in equal if len({answer for r in rows if (answer := _fold_answer_text(r))}) > 1]
    return [
        Finding(
            code="conflicting_answers",
            severity="warning",
            what="rows of equal questions whose answers differ",
            places=tuple(
                make_remark(r, f"with row {_list_other_rows(r, rows)}: {r.raw_answer!r}")
                for rows in conflicting
                for r in rows
            ),
            groups=len(conflicting),
        ),
        _make_repeat_finding(
            "duplicate_question", "warning", "rows that repeat another row's question and choices", equal
        ),
        _make_repeat_finding(
            "duplicate_text",
            "note",
            "rows that repeat another row's question text (normal for templated questions)",
            same_text,
        ),
    ]


def check_near_duplicates(table: Table, progress: Progress | None) -> Finding:
    """Find the rows whose text nearly repeats that of an earlier row, but is not equal to it."""
    records = [record for record in table.records if record.text.strip()]
    questions = list(map(_make_comparable_question, records))
    texts: dict[int, dict[str, Record]] = {}  # by cluster: the first row of each text
    for record, question, cluster in zip(records, questions, cluster_duplicates(questions, progress), strict=True):
        texts.setdefault(cluster, {}).setdefault(text_key(question), record)
    return _make_repeat_finding(
        "near_duplicate",
        "note",
        "rows that nearly repeat another row's question",
        [list(rows.values()) for rows in texts.values() if len(rows) > 1],
    )


def _make_repeat_finding(code: str, severity: Severity, what: str, groups: Sequence[Sequence[Record]]) -> Finding:
    places = (make_remark(r, f"repeats row {rows[0].row} ({rows[0].id})") for rows in groups for r in rows[1:])
    return Finding(
        code=code,
        severity=severity,
        what=what,
        places=tuple(sorted(places, key=lambda place: place.row)),
        groups=len(groups),
    )


def _group_rows(table: Table, key: Callable[[Question], str]) -> list[list[Record]]:
    """Return the groups of two or more rows with the same key."""
    groups: dict[str, list[Record]] = {}
    for record in table.records:
        if record.text.strip():
            groups.setdefault(key(_make_comparable_question(record)), []).append(record)
    return [rows for rows in groups.values() if len(rows) > 1]


def _list_other_rows(record: Record, rows: Iterable[Record]) -> str:
    return ", ".join(str(other.row) for other in rows if other is not record)


def _fold_answer_text(record: Record) -> str | None:
    """Return the folded text of the answer, which does not depend on the order of the choices."""
    label = answer_to_label(record)
    return label if label is None or not record.choices else fold_text(record.choices[ord(label) - ord("A")])


def _make_comparable_question(record: Record) -> Question:
    """Make a question from a record that may not be a valid one, to compare its text, choices and passage."""
    choices = record.choices if 2 <= len(record.choices) <= MOST_CHOICES else ()
    return Question(id=str(record.row), text=record.text, choices=choices, context=record.context)


def check_against_train(table: Table, train: Table, progress: Progress | None = None) -> list[Finding]:
    """Find the rows whose question, or its text, is in train too, or has a near-duplicate there."""
    here = [record for record in table.records if record.text.strip()]
    there = [record for record in train.records if record.text.strip()]
    duplicates = find_duplicates(
        [_make_comparable_question(r) for r in here], [_make_comparable_question(r) for r in there], progress=progress
    )
    kinds: Mapping[tuple[bool, bool], list[Remark]] = {(True, True): [], (True, False): [], (False, False): []}
    for duplicate in duplicates:
        other = there[duplicate.other]
        what = f"row {other.row} ({other.id}) of train, similarity {duplicate.similarity:.2f}"
        kinds[duplicate.exact, duplicate.exact and duplicate.same_choices].append(
            make_remark(here[duplicate.question], what)
        )
    return [
        Finding(
            code="in_train",
            severity="warning",
            what="questions that are in train with the same choices",
            places=tuple(kinds[True, True]),
        ),
        Finding(
            code="text_in_train",
            severity="warning",
            what="questions whose text is in train",
            places=tuple(kinds[True, False]),
        ),
        Finding(
            code="near_train",
            severity="warning",
            what="questions with a near-duplicate in train",
            places=tuple(kinds[False, False]),
        ),
    ]
