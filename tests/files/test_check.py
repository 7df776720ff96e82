import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.files.check import PROBLEMS, ProblemPlace, check_submission
from quorum.files.sample import make_sample
from tests.support.verb import run_verb

LETTERS = make_sample(["q1", "q2", "q3"])
RANKED = make_sample(["q1"], "ranked", k=2)
SHARES = make_sample(["q1"], "probabilities", labels=("A", "B", "C"))


def codes(folder, text, sample, labels=None):
    path = folder / "submission.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [problem.code for problem in check_submission(path, sample, labels)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id,answer\nq1,A\nq2,B\nq3,Z\n", []),
        ("answer,id\nA,q3\nA,q2\nA,q1\n", []),  # rows and columns may be in any order
        ("id,answer\r\nq1,A\r\nq2,A\r\nq3,A\r\n\r\n", []),
        ("", ["unreadable"]),
        (b"id,answer\nq1,\xff\n", ["unreadable"]),
        ('id,answer\nq1,"A\n', ["unreadable"]),
        ("\ufeffid,answer\nq1,A\nq2,A\nq3,A\n", ["bom"]),
        ("id,guess\nq1,A\nq2,A\nq3,A\n", ["columns-missing", "columns-extra"]),
        ("id,answer,why\nq1,A,x\nq2,A,x\nq3,A,x\n", ["columns-extra"]),
        ("id,answer,answer\nq1,A,A\nq2,A,A\nq3,A,A\n", ["columns-twice"]),
        ("ID,answer\nq1,A\n", ["columns-missing", "columns-extra"]),
        ("id,answer\nq1,A\nq2,A,B\nq3\n", ["ragged"]),
        ("id,answer\nq1,A\nq2,A\n", ["id-missing"]),
        ("id,answer\nq1,A\nq2,A\nq3,A\n007,A\n", ["id-unknown"]),
        ("id,answer\nq1,A\nq2,A\nq3,A\nq3,B\n", ["id-twice"]),
        ("id,answer\nq1,\nq2,nan\nq3,None\n", ["null"]),
        ("id,answer\nq1,a\nq2,AB\nq3, A\n", ["label-unknown"]),
    ],
)
def test_each_fault_of_a_file_is_found_under_its_name(tmp_path, text, found):
    assert codes(tmp_path, text, LETTERS) == found


@pytest.mark.parametrize(
    ("sample", "row", "found"),
    [
        (RANKED, "A B", []),
        (RANKED, "A", []),
        (RANKED, "A A", ["label-repeated"]),
        (RANKED, "A B C", ["too-many"]),
        (RANKED, "A  B", ["label-unknown", "too-many"]),
        (SHARES, "0.2,0.3,0.5", []),
        (SHARES, "0.3333,0.3333,0.3333", []),
        (SHARES, "0.2,x,0.5", ["not-a-number"]),
        (SHARES, "0.2,inf,0.5", ["not-a-number"]),
        (SHARES, "1e999,-1e999,0", ["not-a-number"]),
        (SHARES, "-0.5,1,0.5", ["out-of-range"]),
        (SHARES, "0.2,0.3,0.4", ["sum"]),
        (SHARES, "0.2,,0.8", ["null"]),
        (make_sample(["q1"], "index0"), "0", []),
        (make_sample(["q1"], "index1"), "0", ["label-unknown"]),
        (make_sample(["q1"], "text"), "any thing", []),
    ],
)
def test_each_form_has_its_own_faults(tmp_path, sample, row, found):
    assert codes(tmp_path, f"{','.join(sample.columns)}\nq1,{row}\n", sample) == found


@pytest.mark.parametrize(
    ("sample", "row"),
    [
        (RANKED, "C A"),
        (SHARES, "0.2,0.3,0.5"),
        (make_sample(["q1"], "index0"), "2"),
        (make_sample(["q1"], "index1"), "3"),
    ],
)
def test_a_label_that_the_question_does_not_have_is_found_once_labels_are_known(tmp_path, sample, row):
    text = f"{','.join(sample.columns)}\nq1,{row}\n"
    assert codes(tmp_path, text, sample) == []
    assert codes(tmp_path, text, sample, {"q1": ("A", "B")}) == ["label-unknown"]


def test_the_first_five_places_are_named_and_all_are_counted(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("id,answer\n" + "".join(f"q{n},{'A' if n < 3 else '?'}\n" for n in range(10)))
    (problem,) = check_submission(path, make_sample([f"q{n}" for n in range(10)]))
    assert (problem.code, problem.count) == ("label-unknown", 7)
    assert problem.places == tuple(ProblemPlace(n + 1, f"q{n}", "'?'") for n in range(3, 8))


@settings(deadline=None, max_examples=150)
@given(
    st.binary(max_size=80)
    | st.text(alphabet='id,q1Aanswer"\n\r0.5- \x00é', max_size=80).map(lambda rows: f"id,answer\n{rows}".encode())
    | st.text(alphabet='q1,e9"\n\r0.5- ', max_size=80).map(lambda rows: f"id,A,B,C\n{rows}".encode()),
    st.sampled_from([LETTERS, RANKED, SHARES]),
)
def test_hostile_bytes_get_a_verdict(tmp_path_factory, raw, sample):
    path = tmp_path_factory.mktemp("c") / "s.csv"
    path.write_bytes(raw)
    for problem in check_submission(path, sample, {"q1": ("A", "B")}):
        assert problem.code in PROBLEMS
        assert problem.count >= len(problem.places) >= 1


def run(*arguments):
    return run_verb("check", *arguments)


def test_the_script_says_clean_faulty_or_unreadable_by_its_exit_code(tmp_path):
    sample, good, bad = tmp_path / "sample.csv", tmp_path / "good.csv", tmp_path / "bad.csv"
    sample.write_text("id,answer\nq1,A\nq2,A\n")
    good.write_text("id,answer\nq2,B\nq1,C\n")
    bad.write_text("id,answer\nq2,none\n")
    assert run(good, sample).returncode == 0
    answer = run(bad, sample, "--json")
    assert answer.returncode == 1
    assert [problem["code"] for problem in json.loads(answer.stdout)["problems"]] == ["id-missing", "null"]
    missing = run(tmp_path / "absent.csv", sample)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "absent.csv" in missing.stderr
    assert "Traceback" not in missing.stderr
