"""Public benchmarks' layouts with invented rows: every role, choice and answer is read as it is meant."""

from collections import Counter

import pytest

from quorum.data.read import read_records
from quorum.data.table.columns import list_unused
from tests.data.layouts import CASES, LayoutCase


def read(tmp_path, found: LayoutCase):
    path = tmp_path / found.file
    path.write_text(found.content, encoding="utf-8", newline="")
    return read_records(path)


@pytest.mark.parametrize("found", CASES, ids=lambda found: found.name)
def test_a_benchmarks_layout_is_read_as_it_is_meant(tmp_path, found):
    table = read(tmp_path, found)
    assert {role: getattr(table.layout, role) for role in found.roles} == found.roles
    assert len(table.records) == len(found.rows)
    for number, (record, row) in enumerate(zip(table.records, found.rows, strict=True)):
        assert record.text == found.asked(row)
        if found.shared:
            assert (record.choices, record.answer) == (found.shared, found.answers[number])
        else:
            assert sorted(record.choices) == sorted(row.choices)
            assert record.choices["ABCDEFGHIJ".index(record.answer)] == row.answer
        assert not found.passages or record.context.startswith(f"Report {row.number // 3}.")
    assert tuple(list_unused(table.layout, table.columns)) == found.unused


@pytest.mark.parametrize("found", CASES, ids=lambda found: found.name)
def test_the_right_answers_are_not_all_in_one_place(tmp_path, found):
    counts = Counter(record.answer for record in read(tmp_path, found).records)
    assert max(counts.values()) <= 0.7 * len(found.rows)


def test_there_are_at_least_25_layouts():
    assert len({found.name for found in CASES}) == len(CASES) >= 25
