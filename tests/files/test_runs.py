import pytest

from quorum.errors import BadInput
from quorum.files.answers import ballots_from_answers, make_answers, write_answers
from quorum.files.label_style import LabelStyle
from quorum.files.runs import ReadingOptions, read_ballots, read_labels, read_runs
from quorum.files.solution import read_solution


def written(path, text):
    path.write_bytes(text.encode())
    return path


def runs_of(*paths):
    frames = read_runs(paths).partition_by("run", maintain_order=True)
    return {frame["run"][0]: ballots_from_answers(frame) for frame in frames}


def test_one_label_column_is_one_run_named_after_its_file(tmp_path):
    path = written(tmp_path / "mine.csv", "\ufeffid,label\r\n007,b\r\nq2, A \r\nq3,\r\n")
    assert runs_of(path) == {"mine": {"007": {"B": 1.0}, "q2": {"A": 1.0}, "q3": {}}}


def test_several_label_columns_are_a_run_each(tmp_path):
    path = written(tmp_path / "all.csv", "question_id,x,y\nq1,A,\nq2,B,Z\n")
    assert runs_of(path) == {"x": {"q1": {"A": 1.0}, "q2": {"B": 1.0}}, "y": {"q1": {}, "q2": {"Z": 1.0}}}


@pytest.mark.parametrize(
    "header", ["A,B,C", "prob_a,prob_b,prob_c", "p_C,p_B,p_A", "PROB_A,PROB_B,PROB_C", "P(A),P(B),P(C)", "A_p,B_p,C_p"]
)
def test_a_probability_column_a_choice_is_one_run(tmp_path, header):
    path = written(tmp_path / "p.csv", f"id,{header}\nq1,0.2,0.3,0.5\nq2,,,\nq3,0,1,0\n")
    last = "A" if header.startswith("p_C") else "C"
    ballots = runs_of(path)["p"]
    assert ballots["q1"][last] == 0.5
    assert (ballots["q2"], ballots["q3"]) == ({}, {"B": 1.0})


@pytest.mark.parametrize("rows", ["0.2,0.3\nq2,1.0,0", "-0.1,-2.5\nq2,-1,-1", "30%,70%\nq2,,", "1e-9,1.0\nq2,0,0"])
def test_numbers_in_columns_without_labels_are_refused(tmp_path, rows):
    path = written(tmp_path / "p.csv", f"id,0,1\nq1,{rows}\n")
    with pytest.raises(BadInput, match="columns 0, 1 hold numbers, and their names are not labels"):
        read_runs([path])


def test_numbers_in_columns_without_labels_are_probabilities_if_they_sum_to_one(tmp_path):
    path = written(tmp_path / "p.csv", "id,0,1\nq1,0.2,0.8\nq2,1.0,0\n")
    assert runs_of(path) == {"p": {"q1": {"A": 0.2, "B": 0.8}, "q2": {"A": 1.0}}}
    path = written(tmp_path / "p.csv", "id,0,1\nq1,1e-9,1.0\nq2,0,1\n")
    assert runs_of(path) == {"p": {"q1": {"A": 1e-9, "B": 1.0}, "q2": {"B": 1.0}}}


def test_labels_that_agree_with_the_probabilities_beside_them_are_not_another_run(tmp_path):
    path = written(tmp_path / "p.csv", "id,answer,A,B\nq1,A,0.8,0.2\nq2,B,0.1,0.9\n")
    assert runs_of(path) == {"p": {"q1": {"A": 0.8, "B": 0.2}, "q2": {"A": 0.1, "B": 0.9}}}


def test_whole_numbers_in_several_columns_are_labels(tmp_path):
    path = written(tmp_path / "p.csv", "id,x,y\nq1,0,1\nq2,1,1\nq3,1,0\n")
    assert runs_of(path)["x"] == {"q1": {"0": 1.0}, "q2": {"1": 1.0}, "q3": {"1": 1.0}}


def test_the_column_called_id_holds_the_ids(tmp_path):
    path = written(tmp_path / "m.csv", "model_id,answer,id\nm1,a,q1\nm1,b,q2\n")
    assert set(runs_of(path)["m"]) == {"q1", "q2"}


def test_letters_in_an_answers_file_are_read_in_upper_case(tmp_path):
    write_answers(make_answers("mine", {"q1": {"a": 0.5, "B": 0.5}}), tmp_path / "mine.parquet")
    assert runs_of(tmp_path / "mine.parquet") == {"mine": {"q1": {"A": 0.5, "B": 0.5}}}


def test_twenty_six_choices_are_read(tmp_path):
    letters = [chr(65 + number) for number in range(26)]
    path = written(tmp_path / "p.csv", f"id,{','.join(letters)}\nq1,{','.join(['0'] * 25 + ['1'])}\n")
    assert runs_of(path) == {"p": {"q1": {"Z": 1.0}}}


def test_runs_called_a_and_b_that_hold_letters_are_no_probabilities(tmp_path):
    path = written(tmp_path / "two.csv", "id,A,B\nq1,C,D\n")
    assert runs_of(path) == {"A": {"q1": {"C": 1.0}}, "B": {"q1": {"D": 1.0}}}


def test_numbers_are_labels_of_open_questions(tmp_path):
    path = written(tmp_path / "open.csv", "id,x,y\nq1,42,7\n")
    assert runs_of(path) == {"x": {"q1": {"42": 1.0}}, "y": {"q1": {"7": 1.0}}}


def test_an_answers_file_and_a_csv_are_read_together(tmp_path):
    write_answers(make_answers("ours", {"q1": {"A": 0.6, "B": 0.4}}), tmp_path / "a.parquet")
    path = written(tmp_path / "theirs.csv", "id,answer\nq1,B\n")
    assert runs_of(tmp_path / "a.parquet", path) == {"ours": {"q1": {"A": 0.6, "B": 0.4}}, "theirs": {"q1": {"B": 1.0}}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\nq1\n", "only a column of ids"),
        ("id,x\n", "no rows"),
        ("id,x\nq1,A\nq1,B\n", "row 2: id 'q1' is repeated"),
        ("id,x\n ,A\n", "row 1: id ' ' is empty"),
        ("id,A,B\nq1,0.5,-1\n", r"row 1 \(q1\): '-1' for B"),
        ("id,A,B\nq1,0.5,x\n", "'x' for B"),
        ("id,answer,A,B\nq1,A,0.2,0.8\n", "column answer and the probabilities of A, B are different answers"),
        ("id,A,C\nq1,0.5,0.5\n", "for each of A, B"),
    ],
)
def test_a_file_that_is_no_run_is_refused(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        read_runs([written(tmp_path / "x.csv", text)])


def test_runs_of_files_with_the_same_name_get_their_folders_names(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    paths = [written(tmp_path / folder / "r.csv", "id,x\nq1,A\n") for folder in ("one", "two")]
    assert [name[-5:] for name in runs_of(*paths)] == ["one/r", "two/r"]


def test_two_runs_of_one_name_are_refused(tmp_path):
    path = written(tmp_path / "r.csv", "id,x,y\nq1,A,B\n")
    with pytest.raises(BadInput, match="both hold answers of run x, which would vote twice"):
        read_runs([path, path])


def test_one_run_s_answers_to_different_questions_may_be_in_two_files(tmp_path):
    first = written(tmp_path / "first.csv", "id,x,y\nq1,A,B\n")
    second = written(tmp_path / "second.csv", "id,y,x\nq2,A,B\n")
    x, y = {"q1": {"A": 1.0}, "q2": {"B": 1.0}}, {"q1": {"B": 1.0}, "q2": {"A": 1.0}}
    assert runs_of(first, second) == {"x": x, "y": y}


def test_runs_over_other_questions_are_refused_and_a_lost_question_is_not(tmp_path):
    first = written(tmp_path / "a.csv", "id,x\nq1,A\nq2,B\nq3,C\n")
    lost = written(tmp_path / "b.csv", "id,x\nq1,A\nq2,B\n")
    other = written(tmp_path / "c.csv", "id,x\nq3,A\nq4,B\nq5,B\n")
    assert set(runs_of(first, lost)) == {"a", "b"}
    with pytest.raises(BadInput, match="share 1 of 5 questions"):
        read_runs([first, other])


def test_labels_are_read_by_their_column(tmp_path):
    path = written(tmp_path / "dev.csv", "id,subject,Answer\nq1,law,a\nq2,,\n")
    assert read_labels(path, "answer") == {"q1": "a"}
    assert read_labels(path, "subject") == {"q1": "law"}
    with pytest.raises(BadInput, match="no column 'group'"):
        read_labels(path, "group")


@pytest.mark.parametrize("alphabet", ["A", "text", "words"])
def test_small_numbers_are_no_indices_where_the_submission_is_not_written_in_indices(tmp_path, alphabet):
    path = written(tmp_path / "open.csv", "id,answer\nq1,3\nq2,5\nq3,12\n")
    solution = read_solution(written(tmp_path / "gold.csv", "id,answer\nq1,3\nq2,5\nq3,11\n"))
    ballots, rows = read_ballots(path, solution, ReadingOptions(style=LabelStyle(alphabet), choices={}))
    assert ballots == {"q1": {"3": 1.0}, "q2": {"5": 1.0}, "q3": {"12": 1.0}}
    assert [row.answer for row in rows] == ["3", "5", "11"]
