"""Files as people make them: inch marks, rows cut short, other separators, no header; seen from the command line."""

import json

import pytest

from quorum.data.read import read_questions, read_records
from tests.support.verb import run_verb


def doctor(tmp_path, name, text, *options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return run_verb("doctor", path, *options)


def test_an_unquoted_inch_mark_swallows_no_row(tmp_path):
    lines = ["id,question,A,B,C", '1,"Thick, or not?",3" pipe,four,five', '2,Which one?,four,3" pipe,"four, five"']
    done = doctor(
        tmp_path, "test.csv", "\n".join([*lines, "3,Which one?,five,four,five"]), "--repair", tmp_path / "o.csv"
    )
    assert done.returncode == 0
    assert [(q.text, q.choices) for q in read_questions(tmp_path / "o.csv")] == [
        ("Thick, or not?", ('3" pipe', "four", "five")),
        ("Which one?", ("four", '3" pipe', "four, five")),
        ("Which one?", ("five", "four", "five")),
    ]


def test_inch_marks_in_one_row_glue_no_cells(tmp_path):
    lines = ["id,question,A,B,C,D", '1,"One, or two?","3, 4",7" rod,foot,7" rod', '2,"One, or three?",2,1,foot,2']
    (tmp_path / "test.csv").write_text("\n".join(lines), encoding="utf-8")
    assert [record.choices for record in read_records(tmp_path / "test.csv").records] == [
        ("3, 4", '7" rod', "foot", '7" rod'),
        ("2", "1", "foot", "2"),
    ]


def test_a_quoted_cell_that_is_never_closed_is_refused_with_its_line(tmp_path):
    done = doctor(tmp_path, "test.csv", 'id,question,A,B\n1,Which?,x,y\n2,"Which?,x,y\n3,Which?,x,y\n')
    assert done.returncode == 2
    assert "test.csv, lines 3 to 4: not a CSV file: a quote is opened and never closed" in done.stderr


def test_a_row_that_a_download_cut_short_is_found(tmp_path):
    done = doctor(tmp_path, "test.csv", "id,question,A,B,C,D\n1,1+2?,1,2,3,4\n2,2+2?,1,2,3,4\n3,0+1?,1,2", "--json")
    assert done.returncode == 1
    (finding,) = (one for one in json.loads(done.stdout)["findings"] if one["code"] == "ragged")
    assert finding["what"] == "rows with more or fewer cells than the header"
    assert [place["what"] for place in finding["places"]] == ["line 4: 4 cells, but the header has 6"]


def test_a_file_with_semicolons_says_so(tmp_path):
    done = doctor(tmp_path, "train.csv", "id;question;A;B;answer\n1;1, or 2?;1;2;A\n2;3?;3;4;B\n")
    assert done.returncode == 0
    assert done.stdout.startswith("train.csv: separated by ';', 2 rows\n")


def test_a_table_with_tabs_and_bare_quotes_says_so(tmp_path):
    lines = ["id\tquestion\tA\tB\tanswer", '1\t"So be it" is by whom?\tx\ty\tA', '2\t"Never mind means what?\tx\ty\tB']
    done = doctor(tmp_path, "train.tsv", "\n".join(lines))
    assert done.returncode == 0
    assert done.stdout.startswith("train.tsv: separated by tabs, quotes are part of the text, 2 rows\n")


def test_bare_quotes_between_tabs_that_leave_rows_of_different_length_are_refused_with_their_line(tmp_path):
    done = doctor(tmp_path, "train.tsv", 'id\tquestion\tA\tB\n1\tq\tx\ty\n2\t"So" it is\tx\n')
    assert done.returncode == 2
    assert "train.tsv, line 3: not a CSV file: a closing quote is followed by text" in done.stderr


def test_a_file_without_a_header_is_read_although_a_row_has_no_letter(tmp_path):
    lines = ["Who is tall?,Ann,Bob,Cy,Di,A", "Who is old?,Ann,Bob,Cy,Di,C", "Who is here?,Ann,Bob,Cy,Di,"]
    done = doctor(tmp_path, "train.csv", "\n".join([*lines, "Who is away?,Ann,Bob,Cy,Di,D"]), "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["source"] == "train.csv: no header line (header = false), 4 rows"
    assert [(one["code"], one["places"][0]["row"]) for one in document["findings"][:1]] == [("missing_answer", 3)]


@pytest.mark.parametrize(
    "header", ["number,task,A,B,C,D", "질문,A,B,C,D,정답", "Which planet is red?,A,B,C,D,answer", "q,w,x,y,z,key"]
)
def test_a_header_is_not_taken_for_a_row(tmp_path, header):
    from quorum.data.table.columns import is_headerless

    rows = [header.split(","), ["1", "Who?", "Ann", "Bob", "Cy", "Di"], ["2", "Why?", "p", "q", "r", "s"]]
    assert not is_headerless(rows)


def test_a_packed_excel_export_is_answered_from_doctor_to_split(tmp_path):
    rows = "".join(f"{n};Welche Größe hat Körper {n}?;{n},5;{n + 1},0;{'AB'[n % 2]}\r\n" for n in range(12))
    path = tmp_path / "train.csv"
    path.write_bytes(f"id;frage;A;B;lösung\r\n{rows}".encode("cp1252"))
    done = run_verb("split", path, "--out", tmp_path / "split", "--folds", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["questions"] == 12
    parts = [read_questions(tmp_path / "split" / f"{name}.parquet") for name in ("train", "heldout")]
    assert sorted(q.choices for part in parts for q in part) == sorted((f"{n},5", f"{n + 1},0") for n in range(12))
