"""Read a competition's train and test file, and describe in a line each what was repaired in them."""

import shlex
from dataclasses import replace

from quorum.competition.folder import Competition
from quorum.data.read import Table, read_records
from quorum.data.repair import RepairedTable, answer_to_label, hide_answers
from quorum.data.repeats import check_against_train
from quorum.errors import BadInput
from quorum.files.cells import read_sample_ids


def read_train_and_test(competition: Competition) -> tuple[Table, Table]:
    """Read the train and the test file; the sample submission decides which column of both holds the ids.

    Raises:
        BadInput: a file cannot be read, or train has no answers.
    """
    train = require_answers(read_records(competition.train, competition.layout))
    ids = read_sample_ids(competition.sample) if competition.sample else frozenset[str]()
    test = hide_answers(read_records(competition.test, competition.layout, like=train.layout, ids=ids))
    if test.layout.id != train.layout.id and test.layout.id in train.columns:
        train = read_records(competition.train, replace(competition.layout, id=test.layout.id))
    return train, test


def require_answers(train: Table) -> Table:
    """Return a train file that has answers.

    Raises:
        BadInput: no column holds answers; the columns that could are listed.
    """
    if train.labelled:
        return train
    column = train.layout.answer
    found = "no column of answers was recognised" if column is None else f"column {column!r} holds no answers"
    unused = ", ".join(map(repr, train.unused)) or "none"
    raise BadInput(
        f"{train.path}: {found}; columns without a role: {unused}; name the right one in quorum.toml: "
        '[layout] answer = "…"'
    )


def drop_passages(train: Table) -> Table:
    """Return a train file without the passages of its questions, which the test file does not have."""
    records = tuple(replace(record, context=None) for record in train.records)
    return replace(train, records=records, layout=replace(train.layout, context=None))


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
