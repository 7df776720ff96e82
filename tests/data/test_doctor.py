import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.data.choice_text import cites_letters, is_all_or_none
from quorum.data.doctor import examine
from quorum.data.layout import Layout
from quorum.data.read import Table, make_question, read_questions, read_records, write_questions
from quorum.data.records import Record
from quorum.data.repair import Remark, repair_table
from quorum.question import fold_text, letters
from tests.support.real import real_data
from tests.support.verb import run_verb


def table(*records, labelled=True):
    numbered = tuple(
        Record(row=row, **({"id": f"q{row}", "text": f"text {row}", "choices": ("x", "y", "z")} | given))
        for row, given in enumerate(records, 1)
    )
    return Table(path=Path("q.csv"), records=numbered, labelled=labelled, columns=("id", "question"), layout=Layout())


def unlabelled(*records):
    return table(*records, labelled=False)


def found(report):
    return {finding.code: [remark.row for remark in finding.places] for finding in report.findings}


def fine(label="A", **more):
    return {"answer": label, "raw_answer": label} | more


# What is found


def test_a_clean_table_has_no_findings():
    report = examine(table(fine("A"), fine("C")))
    assert (report.findings, report.errors) == ((), 0)


@pytest.mark.parametrize(
    ("code", "record"),
    [
        ("missing_id", fine(id="")),
        ("missing_text", fine(text=" \n")),
        ("choice_count", fine(choices=("x",))),
        ("choice_count", {"choices": (), "raw_answer": "A"}),
        ("choice_count", fine(choices=("x",) * 27)),
        ("missing_choice", fine(choices=("x", " ", "z"))),
        ("missing_answer", {}),
        ("answer_to_repair", {"raw_answer": "ANSWER: C"}),
        ("unknown_answer", {"raw_answer": "D"}),
        ("unreadable", {"problem": "column 'choices': 'x;y' is not a list of choices", "choices": ()}),
    ],
)
def test_an_error_is_found_with_its_row(code, record):
    report = examine(table(fine(), record))
    assert found(report)[code] == [2]
    assert report.errors >= 1


@pytest.mark.parametrize(
    ("code", "record"),
    [
        ("equal_choices", fine(choices=("x", "y", "x"))),
        ("empty_answer", fine(choices=("", "y", "z"))),
        ("all_or_none", fine(choices=("x", "y", "None of the above."))),
        ("cites_letters", fine(choices=("x", "y", "Both A and B"))),
    ],
)
def test_misleading_rows_are_warnings_and_not_errors(code, record):
    report = examine(table(fine(), record))
    assert found(report)[code] == [2]
    assert all(finding.severity != "error" for finding in report.findings if finding.code == code)


def test_choices_that_differ_in_case_are_not_equal():
    assert "equal_choices" not in found(examine(table(fine(choices=("True", "true", "z")))))


def test_all_rows_of_an_id_are_found():
    assert found(examine(table(fine(id="k"), fine(), fine(id="k"))))["duplicate_id"] == [1, 3]


def test_duplicates_agree_or_conflict_by_the_text_of_their_answers():
    same = {"text": "Why?"}
    agree = fine("A", **same, choices=("x", "y")), fine("B", **same, choices=("Y", "X "))
    conflict = fine("A", text="How?"), fine("B", text="how? ")
    report = examine(table(*agree, *conflict))
    assert found(report)["duplicate_question"] == [2, 4]
    assert found(report)["conflicting_answers"] == [3, 4]


def test_the_same_text_with_other_choices_is_a_duplicate_text_only():
    report = examine(table(fine(text="Why?"), fine(text="Why?", choices=("p", "q"))))
    assert found(report) == {"duplicate_text": [2]}


def test_rows_of_test_that_are_in_train_are_found():
    long = "the quick brown fox jumps over the lazy dog and sleeps under the old oak tree until the morning comes"
    train = table(fine(text="Why?"), fine(text="How?"), fine(text=long))
    test = unlabelled({"text": "why? "}, {"text": "How?", "choices": ("p", "q")}, {"text": f"{long} again"}, {})
    report = examine(test, train)
    assert found(report) == {"in_train": [1], "text_in_train": [2], "near_train": [3]}
    assert "row 1 (q1) of train" in report.findings[0].places[0].what


def test_an_test_file_has_no_missing_answers():
    assert examine(unlabelled({}, {})).findings == ()


def test_a_row_of_test_without_choices_is_an_open_question_and_not_an_error():
    report = examine(unlabelled({}, {"choices": ()}, {"choices": ("x",)}))
    assert found(report) == {"no_choices": [2], "choice_count": [3]}
    assert report.errors == 1


def test_an_open_table_has_no_missing_choices():
    assert examine(table(fine("72", choices=()))).findings == ()


def test_statistics_count_repaired_labels():
    like = examine(table(fine("A"), {"raw_answer": "answer: c"}, fine(choices=("p", "q")), {})).statistics
    assert like.letter_prior == {"A": pytest.approx(2 / 3), "C": pytest.approx(1 / 3)}
    assert (like.rows, like.answered, like.choices) == (4, 3, {2: 1, 3: 3})
    assert (like.text_length.least, like.choice_length.most) == (6, 1)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("All of the above", True),
        ("none of these.", True),
        ("None of the mentioned", True),
        ("Both of the above", True),
        ("NONE OF THE OTHER OPTIONS", True),
        ("None", False),
        ("it covers all of the given points", False),
        ("[None] * n", False),
        ("all vertices", False),
    ],
)
def test_all_or_none_choices_are_recognized(choice, expected):
    assert is_all_or_none(choice) is expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("Both A and B", True),
        ("(a), (b) and (c) only", True),
        ("A & C", True),
        ("Neither A nor D", True),
        ("A and B are true; C is false", True),
        ("Only C, A", True),
        ("A", False),
        ("a cat and a dog", False),
        ("A and E", False),  # the question has no E
        ("+,-,*,a,b,c", False),
        ("Vitamin A and B", False),
        ("a" + ", " * 5_000 + "!", False),
    ],
)
def test_choices_that_cite_letters_are_recognized(choice, expected):
    assert cites_letters(choice, "ABCD") is expected


# What is repaired


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("ANSWER: C", "C"),
        ("ANSWER:  C", "C"),
        ("answer is (b).", "B"),
        ("The correct answer is A", "A"),
        ("(c)", "C"),
        ("B.", "B"),
        ("Y", "B"),  # the text of B
        ("A or B", None),
        ("D", None),
        ("ANSWER: D", None),
        ("Cat", None),
        ("none", None),
    ],
)
def test_an_unusual_label_is_repaired_only_if_it_is_unambiguous(raw, label):
    repair = repair_table(table({"raw_answer": raw}))
    assert [question.answer for question in repair.questions] == ([label] if label else [])
    assert len(repair.changes) == bool(label)
    assert len(repair.dropped) == (not label)


def test_unusable_rows_of_train_are_dropped_and_listed():
    repair = repair_table(table(fine(), {}, fine(text=""), fine(choices=("x",)), {"raw_answer": "D"}))
    assert [question.id for question in repair.questions] == ["q1"]
    assert repair.dropped == [
        Remark(2, "q2", "no answer"),
        Remark(3, "q3", "the text is empty"),
        Remark(4, "q4", "1 choice"),
        Remark(5, "q5", "answer 'D' with 3 choices"),
    ]


def test_no_row_of_test_is_dropped():
    repair = repair_table(
        unlabelled({}, {"choices": ()}, {"choices": ("x",)}, {"choices": ("x",) * 27}, {"text": ""}, {"problem": "p"})
    )
    assert [question.id for question in repair.questions] == ["q1", "q2", "q3", "q4", "q5", "q6"]
    assert [len(question.choices) for question in repair.questions] == [3, 0, 0, 0, 3, 0]
    assert (repair.dropped, [remark.row for remark in repair.changes]) == ([], [2, 3, 4, 5, 6])


def test_a_missing_choice_keeps_its_letter():
    (question,) = repair_table(table(fine("C", choices=("x", "", "z")))).questions
    assert (question.choices, question.answer) == (("x", "(missing choice)", "z"), "C")


def test_a_missing_id_is_the_row_number_and_a_repeated_one_gets_it_appended():
    repair = repair_table(table(fine(id=""), fine(id="k"), fine(id="k")))
    assert [question.id for question in repair.questions] == ["1", "k", "k-row3"]
    assert [remark.row for remark in repair.changes] == [1, 3]


records = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["", "k", "k-row2", "1", "j"]),
        "text": st.text(max_size=5),
        "choices": st.lists(st.sampled_from(["", " ", "x", "X", "A", "both a and b", "é"]), max_size=28).map(tuple),
        "raw_answer": st.none() | st.sampled_from(["A", "ANSWER: B", "x", "?", "é", "Z"]) | st.text(max_size=4),
        "problem": st.none() | st.just("column 'choices': no list"),
    }
)


def read_as_letters(record):
    raw = record["raw_answer"]
    return record | {"answer": raw if raw in letters(min(26, len(record["choices"]))) else None}


@settings(deadline=None, max_examples=100)
@given(st.lists(records.map(read_as_letters), max_size=6), st.booleans())
def test_every_table_gets_a_report_and_valid_questions(rows, labelled):
    if not labelled:
        rows = [row | {"answer": None, "raw_answer": None} for row in rows]
    given_table = table(*rows, labelled=labelled)
    report, repair = examine(given_table, given_table), repair_table(given_table)
    assert len(repair.questions) + len(repair.dropped) == len(rows)
    assert all(question.answer for question in repair.questions) or not labelled
    assert labelled or not repair.dropped
    if not report.errors:
        assert [make_question(record, labelled) for record in given_table.records] == repair.questions
    if labelled:
        assert len({question.id for question in repair.questions}) == len(repair.questions)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(records.map(read_as_letters), min_size=1, max_size=4, unique_by=lambda row: row["id"] or "1"),
    st.booleans(),
)
def test_repaired_questions_can_be_read_strictly_and_have_no_errors(tmp_path_factory, rows, labelled):
    if not labelled:
        rows = [row | {"answer": None, "raw_answer": None} for row in rows]
    questions = repair_table(table(*rows, labelled=labelled)).questions
    if questions:
        path = tmp_path_factory.mktemp("repaired") / "q.parquet"
        write_questions(questions, path)
        assert read_questions(path) == questions
        assert examine(read_records(path)).errors == 0


# At the door


def doctor(*arguments):
    return run_verb("doctor", *arguments)


def test_the_script_refuses_a_dirty_file_and_repairs_it_on_request(tmp_path):
    (tmp_path / "q.csv").write_text("id,question,A,B,answer\n1,p,x,y,A\n2,[q],x,y,ANSWER: B\n3,r,x,y,\n")
    refused = doctor(tmp_path / "q.csv")
    assert refused.returncode == 1
    assert "2 errors" in refused.stdout
    assert "'ANSWER: B' means B" in " ".join(refused.stdout.split())
    repaired = doctor(tmp_path / "q.csv", "--repair", tmp_path / "clean.csv", "--json")
    repair = json.loads(repaired.stdout)["repair"]
    assert repaired.returncode == 0
    assert [remark["row"] for remark in repair["changes"]] == [2]
    assert repair["dropped"] == [{"row": 3, "id": "3", "what": "no answer"}]
    assert [question.answer for question in read_questions(tmp_path / "clean.csv")] == ["A", "B"]
    assert doctor(tmp_path / "clean.csv").returncode == 0


def test_the_script_takes_a_layout_and_a_train_file(tmp_path):
    (tmp_path / "layout.toml").write_text('question = "frage"\n')
    (tmp_path / "q.csv").write_text("id,frage,A,B\n1,warum?,x,y\n")
    arguments = (tmp_path / "q.csv", "--train", tmp_path / "q.csv", "--layout", tmp_path / "layout.toml", "--json")
    report = json.loads(doctor(*arguments).stdout)
    assert [finding["code"] for finding in report["findings"]] == ["in_train"]
    assert report["errors"] == 0


@pytest.mark.parametrize("text", ["", "kolumna\n1\n"])
def test_the_script_reports_an_unreadable_file_in_one_line(tmp_path, text):
    (tmp_path / "q.csv").write_text(text)
    refused = doctor(tmp_path / "q.csv")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: {tmp_path / 'q.csv'}: ")
    assert len(refused.stderr.splitlines()) == 1


# CodeMMLU, counted by hand before (notes on the field, section 2)


@pytest.fixture(scope="module")
def code():
    folder = real_data("codemmlu_kaggle")
    return read_records(folder / "b6_train_data.csv"), read_records(folder / "b6_test_data.csv")


def counts(report):
    return {finding.code: finding.count for finding in report.findings}


def test_the_findings_in_codemmlus_train_file_equal_the_counts_by_hand(code):
    report = examine(code[0])
    assert report.statistics.choices == {0: 14, 1: 1, 2: 69, 3: 158, 4: 3703, 5: 16, 6: 1, 7: 1}
    prior = {label: round(share, 3) for label, share in report.statistics.letter_prior.items()}
    assert {label: prior[label] for label in "ABCD"} == {"A": 0.270, "B": 0.262, "C": 0.254, "D": 0.212}
    assert {label: round(prior[label] * 3948) for label in "EG"} == {"E": 8, "G": 0}  # 7 and 1, rounded to .001
    assert counts(report) == {
        "choice_count": 15,
        "missing_choice": 20,
        "missing_answer": 14,
        "answer_to_repair": 253,
        "unknown_answer": 1,
        "empty_answer": 17,
        "equal_choices": 27,
        # by hand, with all punctuation left out: 147, 113 and 2 groups; here punctuation counts, since in code "a+b" is
        # not "a-b", and two of the conflicting rows differ in it
        "duplicate_text": 140,
        "duplicate_question": 112,
        "conflicting_answers": 2,
        # by hand 322: without "both of the above"
        "all_or_none": 339,
        # by hand .6 to .7 %, 24 to 28: without sentences such as "A and B are true"
        "cites_letters": 31,
        # beside the duplicate texts; by hand 14 % of the rows have a neighbour at TF-IDF cosine .9, exact ones included
        "near_duplicate": 98,
    }


def test_the_findings_in_codemmlus_test_file_equal_the_counts_by_hand(code):
    train, test = code
    report = examine(test, train)
    assert report.statistics.choices == {2: 12, 3: 53, 4: 1183, 5: 5}
    found_here = counts(report)
    assert found_here["equal_choices"] == 11
    assert found_here["all_or_none"] == 85
    # by hand, without punctuation: 50 with their choices, 63 with or without
    assert (found_here["in_train"], found_here["in_train"] + found_here["text_in_train"]) == (48, 58)


def test_all_and_none_of_the_above_are_last_in_codemmlu(code):
    for part, last, of in ((code[0], 0.95, 339), (code[1], 0.96, 85)):
        rows = [r.choices for r in part.records if any(map(is_all_or_none, r.choices))]
        assert len(rows) == of
        assert sum(is_all_or_none(choices[-1]) for choices in rows) / of > last


def test_without_punctuation_codemmlus_duplicates_are_those_counted_by_hand(code):
    def words(text):
        return " ".join(re.findall(r"\w+", fold_text(text).removeprefix("question:")))

    train, test = ([(words(r.text), (words(r.text), *sorted(map(words, r.choices)))) for r in t.records] for t in code)
    for which, repeated, groups, in_train in ((0, 147, 115, 63), (1, 113, 87, 50)):
        keys = [key[which] for key in train]
        rows = Counter(keys)
        assert len(keys) - len(rows) == repeated
        assert sum(count > 1 for count in rows.values()) == groups
        assert sum(key[which] in rows for key in test) == in_train


def test_codemmlus_files_become_questions(code):
    repair = repair_table(code[0])
    assert (len(repair.questions), len(repair.dropped)) == (3947, 16)
    assert [question.id for question in repair_table(code[1]).questions] == [record.id for record in code[1].records]
