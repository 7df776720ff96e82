"""Describe a competition's files in a line each."""

import shlex

from quorum.data.read import Table
from quorum.data.repair import RepairedTable, answer_to_label
from quorum.data.repeats import check_against_train


def describe_train(table: Table, repaired: RepairedTable) -> str:
    """Return one line on a train file: the numbers of usable, repaired and dropped rows, and a command for details."""
    dropped = {remark.row for remark in repaired.dropped}
    changed = {remark.row for remark in repaired.changes}
    labels = {
        record.row
        for record in table.records
        if record.row not in dropped and record.answer is None and answer_to_label(record) is not None
    }
    return _describe_table(
        table,
        repaired,
        [
            (len(labels), "labels repaired"),
            (len(changed - labels), "rows repaired otherwise"),
            (len(dropped), "dropped"),
        ],
    )


def describe_test(table: Table, repaired: RepairedTable, train: Table) -> str:
    """Return one line on a test file: the numbers of repaired rows and of duplicates or near-duplicates in train."""
    in_train = {place.row for finding in check_against_train(table, train) for place in finding.places}
    counts = [
        (len({remark.row for remark in repaired.changes}), "rows repaired"),
        (len(in_train), "duplicated in train"),
        (len(repaired.dropped), "dropped"),
    ]
    return f"{_describe_table(table, repaired, counts)} --train {shlex.quote(str(train.path))}"


def _describe_table(table: Table, repaired: RepairedTable, counts: list[tuple[int, str]]) -> str:
    parts = [f"{len(table.records):,} rows", f"{len(repaired.questions):,} usable"]
    parts += [f"{count:,} {what}" for count, what in counts if count]
    return f"{table.path.name}: {', '.join(parts)}; details: quorum doctor {shlex.quote(str(table.path))}"
