"""The CSV reader reads exactly what Python's csv module reads in strict mode, or refuses and names a line."""

import csv
import io
import random
import re

import pytest

from quorum.data.read import read_records
from quorum.data.repair import repair_table
from quorum.data.table.csv_reader import detect_separator, read_csv_lines
from quorum.data.table.open import read_raw_table
from quorum.errors import BadInput
from quorum.files.cells import read_cells
from tests.support.sloppy import HEADER, make_sloppy_file


def read_by_reference(text, separator=","):
    """The rows of Python's reader without blank lines; None if it refuses the text."""
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True) if row]
    except csv.Error:
        return None


def attempt(read, *arguments):
    """What `read` returns, or the message of its refusal; anything else fails the test."""
    try:
        return read(*arguments), ""
    except BadInput as error:
        return None, str(error)


def test_ten_thousand_sloppy_files_are_read_as_by_the_reference_or_refused_with_a_line():
    source = random.Random(14)
    refused = 0
    for _ in range(10_000):
        text = make_sloppy_file(source, source.randrange(1, 6))
        found, message = attempt(read_csv_lines, text, "q.csv")
        assert (found and found.rows) == read_by_reference(text)
        assert found is None or found.separator == ","
        assert found is not None or re.match(r"q\.csv, lines? \d+( to \d+)?: ", message)
        refused += found is None
    assert 1_000 < refused < 9_000


def test_no_cell_of_sloppy_rows_is_lost_between_the_reader_and_the_table(tmp_path):
    source, path, rows, width = random.Random(15), tmp_path / "q.csv", 0, len(HEADER.split(","))
    while rows < 5_000:
        text = make_sloppy_file(source, source.randrange(1, 30))
        path.write_bytes(text.encode())
        expected = read_by_reference(text)
        table, message = attempt(read_raw_table, path)
        if table is None:
            assert expected is None or "no row has as many cells" in message
            continue
        body = [row for row in expected[1:] if any(cell.strip() for cell in row)]
        assert [[cell or "" for cell in row.values()] for row in table.rows] == [row[:width] for row in body]
        assert [broken.row for broken in table.ragged] == [n for n, row in enumerate(body, 1) if len(row) != width]
        dropped = sum(len(row) > 1 for row in expected[1:]) - sum(len(row) > 1 for row in body)
        assert (f"empty rows left out: {dropped}" in table.notes) == bool(dropped)
        attempt(read_records, path)  # a traceback fails the test
        rows += len(body)


def test_submissions_are_read_by_the_same_reader(tmp_path):
    source, path = random.Random(16), tmp_path / "q.csv"
    for _ in range(300):
        text = make_sloppy_file(source, 4)
        path.write_bytes(text.encode())
        table, message = attempt(read_cells, path)
        assert (table and [list(table.header), *table.rows]) == read_by_reference(text)
        assert bool(message) == (table is None)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_row_knows_the_line_it_begins_on(end):
    text = end.join(["id,q", "", '1,"two', 'lines"', "2,x", "", "3"])
    assert read_csv_lines(text, "q.csv").numbers == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a;b;c\n1;2,5;3\n", ";"),
        ("a,b;c\n1,2;3\n", ","),
        ("a\tb\n1,2\t3,4\n", "\t"),
        ("one column\nx, y\n", ","),
        ("a|b|c\n1|2,3|4;5\n", "|"),
        ("", ","),
    ],
)
def test_a_separator_is_detected(text, separator):
    assert detect_separator(text) == separator


def test_an_answer_whose_choice_is_an_empty_cell_is_no_choice(tmp_path):
    (tmp_path / "q.csv").write_text("id,question,A,B,C,answer\n1,q,x,y,,C\n2,q,x,y,z,C\n", encoding="utf-8")
    assert [record.answer for record in read_records(tmp_path / "q.csv").records] == [None, "C"]


# Rows with too few or too many cells


def sheet(tmp_path, text):
    path = tmp_path / "q.csv"
    path.write_text(text, encoding="utf-8")
    return read_records(path)


def test_a_row_with_too_few_or_too_many_cells_is_left_out_of_train(tmp_path):
    table = sheet(tmp_path, 'id,question,A,B,answer\n1,q1,x,"y\nz",A\n2,q2,x,y\n3,q3,x,y,B,A\n4,q4,x,y,B\n')
    repaired = repair_table(table)
    assert [question.id for question in repaired.questions] == ["1", "4"]
    assert [(place.row, place.what) for place in repaired.dropped] == [
        (2, "line 4: 4 cells, but the header has 5"),
        (3, "line 5: 6 cells, but the header has 5"),
    ]


def test_a_row_with_too_few_or_too_many_cells_of_test_is_answered(tmp_path):
    table = sheet(tmp_path, "id,question,A,B,C\n1,q1,x,y,z\n2,q2,x,y\n3,q3,x,y,z,z\n")
    repaired = repair_table(table)
    assert [(q.id, q.choices) for q in repaired.questions] == [
        ("1", ("x", "y", "z")),
        ("2", ("x", "y")),
        ("3", ("x", "y", "z")),
    ]
    assert [(place.row, place.what) for place in repaired.changes] == [
        (2, "line 3: 4 cells, but the header has 5: the cells it has are kept"),
        (3, "line 4: 6 cells, but the header has 5: the cells it has are kept"),
    ]
