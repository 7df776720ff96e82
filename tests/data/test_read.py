import csv
import io
import json

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quorum.config import read_config
from quorum.data.layout import Layout
from quorum.data.read import read_questions, read_records, write_questions
from quorum.errors import BadInput
from quorum.question import MOST_CHOICES, Question, letters


def records(tmp_path, name, content, layout=None):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_records(path, layout).records


def jsonl(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def only(found):
    (record,) = found
    return record


# Layouts met in the wild, by their columns


def test_one_column_per_choice_in_any_column_order(tmp_path):
    record = only(records(tmp_path, "q.csv", "B,answer,A,question,C,id\nb,C,a,why?,c,007\n"))
    assert (record.id, record.text, record.choices, record.answer) == ("007", "why?", ("a", "b", "c"), "C")


@pytest.mark.parametrize(
    "names",
    [
        "option_a option_b option_c",
        "choice1 choice2 choice3",
        "opa opb opc",
        "ending0 ending1 ending2",
        "Option 1,Option 2,Option 3".replace(" ", "_"),
        "answerA answerB answerC",
        "AnswerAText AnswerBText AnswerCText",
        "a b c",
    ],
)
def test_columns_of_choices_are_recognized_by_their_names(tmp_path, names):
    header = ",".join(names.split()) if " " in names else names
    record = only(records(tmp_path, "q.csv", f"question,{header},label\nwhy?,x,y,z,C\n"))
    assert (record.choices, record.answer) == (("x", "y", "z"), "C")


def test_header_names_may_have_spaces(tmp_path):
    assert only(records(tmp_path, "q.csv", "Question , Option 1,Option 2\nwhy?,x,y\n")).choices == ("x", "y")


def test_26_and_2_choices_in_one_file(tmp_path):
    labels = letters(MOST_CHOICES)
    text = f"question,{','.join(labels)},answer\nq1,{','.join(labels)},Z\nq2,yes,no{',' * 25}B\n"
    many, few = records(tmp_path, "q.csv", text)
    assert (many.choices, many.answer) == (labels, "Z")
    assert (few.choices, few.answer) == (("yes", "no"), "B")


def test_an_empty_last_cell_is_an_absent_choice_and_an_empty_middle_one_a_missing_choice(tmp_path):
    record = only(records(tmp_path, "q.csv", "question,A,B,C,D,answer\nq,x,,z,,C\n"))
    assert (record.choices, record.answer) == (("x", "", "z"), "C")


@pytest.mark.parametrize(
    "cell",
    [
        "['it\\'s', \"b\", 'None']",
        '["it\'s", "b", "None"]',
        "('it\\'s', 'b', 'None')",
        "[\"it's\" 'b'\n 'None']",
        "array([\"it's\", 'b', 'None'], dtype=object)",
        "{'text': [\"it's\", 'b', 'None'], 'label': ['A', 'B', 'C']}",
        "{'text': array([\"it's\", 'b',\n 'None'], dtype=object), 'label': array(['A', 'B', 'C'], dtype=object)}",
        "{'A': \"it's\", 'B': 'b', 'C': 'None'}",
        '{"C": "None", "A": "it\'s", "B": "b"}',
        '[{"label": "2", "text": "b"}, {"label": "1", "text": "it\'s"}, {"label": "3", "text": "None"}]',
    ],
)
def test_a_list_may_be_written_in_one_cell(tmp_path, cell):
    frame = pl.DataFrame({"question": ["q"], "choices": [cell], "answer": ["B"]})
    record = only(records(tmp_path, "q.csv", frame.write_csv()))
    assert (record.choices, record.answer, record.problem) == (("it's", "b", "None"), "B", None)


def test_numbers_in_a_list_keep_their_text(tmp_path):
    text = 'question,choices\nq,"[1.10, -2, 1e3, True]"\nq,"[1.10, -2, 1e3, ""x""]"\n'
    python, as_json = records(tmp_path, "q.csv", text)
    assert python.choices == ("1.10", "-2", "1e3", "True")
    assert as_json.choices == ("1.10", "-2", "1e3", "x")


@pytest.mark.parametrize(
    "cell",
    [
        "[__import__('os').system('true'), 'b']",
        "['a', open('x')]",
        "[[['deep']]]",
        "[" * 100_000,
        "['a'," + "-" * 50_000 + "1]",
        "[" + "'x'," * 60_000 + "]",
        "f['a']",
        "a; b; c",
        "['a', 'b'",
        "[f'{1}', 'b']",
    ],
)
def test_a_cell_that_is_not_a_flat_list_is_a_problem_of_its_row_and_is_never_evaluated(tmp_path, cell):
    good = {"question": "q", "choices": "['a', 'b']"}
    rows = jsonl(good, {"question": "q", "choices": cell})
    fine, bad = records(tmp_path, "q.jsonl", rows)
    assert fine.problem is None
    assert bad.choices == ()
    assert bad.problem.startswith("column 'choices': ")
    with pytest.raises(BadInput, match="the choices cannot be read in any row"):
        records(tmp_path, "q.jsonl", jsonl({"question": "q", "choices": cell}))


def test_ai2_json_with_letters_in_one_row_and_numbers_in_the_next(tmp_path):
    def row(labels, key):
        choices = [{"text": f"text {label}", "label": label, "para": "p"} for label in labels]
        return {"id": f"q{key}", "question": {"stem": "why?", "choices": choices}, "answerKey": key}

    first, second = records(tmp_path, "q.jsonl", jsonl(row("ABC", "C"), row("1234", "2")))
    assert (first.text, first.choices, first.answer) == ("why?", ("text A", "text B", "text C"), "C")
    assert (second.id, second.answer, second.raw_answer) == ("q2", "B", "2")


def test_parquet_with_a_struct_of_lists(tmp_path):
    choices = {"text": ["x", "y"], "label": ["A", "B"]}
    pl.DataFrame({"question": ["q"], "choices": [choices], "answerKey": ["B"]}).write_parquet(tmp_path / "q.parquet")
    record = only(read_records(tmp_path / "q.parquet").records)
    assert (record.choices, record.answer) == (("x", "y"), "B")


def test_parquet_with_lists_and_an_index(tmp_path):
    frame = pl.DataFrame({"question": ["p", "q"], "choices": [["w", "x", "y", "z"], ["v", "w"]], "answer": [3, 0]})
    frame.write_parquet(tmp_path / "q.parquet")
    first, second = read_records(tmp_path / "q.parquet").records
    assert (first.answer, second.answer) == ("D", "A")


def test_options_as_a_dict_and_the_answer_as_text(tmp_path):
    row = {"question": "q", "options": {"A": "x", "B": "y"}, "answer": "y", "answer_idx": "B"}
    assert only(records(tmp_path, "q.jsonl", jsonl(row))).answer == "B"


def test_letters_before_the_choices_are_removed_if_every_choice_has_its_own(tmp_path):
    rows = jsonl(
        {"question": "q", "options": ["A)32400", "B) 6", "C)7"], "correct": "A"},
        {"question": "q", "options": ["A)x", "C)y"], "correct": "B"},
    )
    stripped, unchanged = records(tmp_path, "q.json", rows)
    assert (stripped.choices, stripped.answer) == (("32400", "6", "7"), "A")
    assert unchanged.choices == ("A)x", "C)y")


def test_a_boolean_answer_means_yes_or_no(tmp_path):
    rows = jsonl(*({"question": "is it", "passage": "p", "answer": answer} for answer in (True, False)))
    yes, no = records(tmp_path, "q.jsonl", rows)
    assert (yes.choices, yes.answer, no.answer, yes.context) == (("yes", "no"), "A", "B", "p")


def test_yes_no_questions_without_answers_need_the_layout(tmp_path):
    layout = Layout(answer_kind="boolean")
    assert only(records(tmp_path, "q.csv", "question,passage\nis it,p\n", layout)).choices == ("yes", "no")


def test_no_header_as_in_mmlu(tmp_path):
    first, second = records(tmp_path, "high_school_biology_test.csv", "What?,w,x,y,z,D\nWhy?,1,1,2,3,A\n")
    assert (first.text, first.choices, first.answer) == ("What?", ("w", "x", "y", "z"), "D")
    assert (first.id, second.id, second.subject) == ("1", "2", "high_school_biology")


def test_an_unnamed_index_column_is_the_id(tmp_path):
    record = only(records(tmp_path, "q.csv", ",Question,A,B,Answer,Subject\n0,why?,x,y,B,law\n"))
    assert (record.id, record.subject, record.answer) == ("0", "law", "B")


def test_a_dict_of_rows_is_keyed_by_id(tmp_path):
    text = json.dumps({"q7": {"question": "q", "A": "x", "B": "y", "answer": "A"}})
    assert only(records(tmp_path, "q.json", text)).id == "q7"


def test_an_open_question_has_its_number_and_its_solution(tmp_path):
    rows = jsonl({"question": "how much", "answer": "1000 + 200\n#### $1,200"}, {"question": "and", "answer": "72.0"})
    first, second = records(tmp_path, "q.jsonl", rows)
    assert (first.choices, first.answer, first.rationale) == ((), "1200", "1000 + 200")
    assert (second.answer, second.rationale) == ("72", None)


# How answers are written


@pytest.mark.parametrize(
    ("answers", "labels"),
    [
        ("ABC", "ABC"),
        ("abc", "ABC"),
        ("012", "ABC"),
        ("123", "ABC"),
        (["2.0", "1.0", "3.0"], "BAC"),
        (["x", "z", "Y "], "ACB"),
    ],
)
def test_answers_as_letters_indices_or_text(tmp_path, answers, labels):
    rows = "".join(f"q{number},x,y,z,{answer}\n" for number, answer in enumerate(answers))
    found = records(tmp_path, "q.csv", f"question,A,B,C,answer\n{rows}")
    assert "".join(record.answer for record in found) == labels


def test_indices_that_could_count_from_0_or_1_are_refused_unless_the_layout_sets_the_kind(tmp_path):
    text = "question,A,B,C,answer\np,x,y,z,1\nq,x,y,z,2\n"
    with pytest.raises(BadInput) as error:
        records(tmp_path, "q.csv", text)
    assert "column 'answer': 2 of 2 answers can be read as index1 and as index0" in str(error.value)
    assert 'answer_kind = "index1"' in str(error.value)
    settled = records(tmp_path, "q.csv", text, Layout(answer_kind="index0"))
    assert [record.answer for record in settled] == ["B", "C"]


def test_a_number_that_is_a_choice_and_an_index_is_refused(tmp_path):
    with pytest.raises(BadInput, match="can be read as index1 and as text"):
        records(tmp_path, "q.csv", "question,A,B,C,answer\nq,3,1,2,3\n")


def test_a_few_dirty_answers_do_not_change_the_kind(tmp_path):
    rows = "".join(f"q,w,x,y,z,{answer}\n" for answer in ("A", "B", "ANSWER: C", "E", "", "D"))
    found = records(tmp_path, "q.csv", f"question,A,B,C,D,answer\n{rows}")
    assert [record.answer for record in found] == ["A", "B", None, None, None, "D"]
    assert [record.raw_answer for record in found[2:5]] == ["ANSWER: C", "E", None]


def test_hidden_answers_count_as_missing(tmp_path):
    (tmp_path / "q.csv").write_text("question,A,B,label\np,x,y,-1\nq,x,y,-1\n")
    table = read_records(tmp_path / "q.csv")
    assert (table.labelled, [record.raw_answer for record in table.records]) == (False, [None, None])


# The bytes


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_line_endings_and_a_bom_do_not_matter(tmp_path, end, bom):
    text = end.join(["id,question,A,B,answer", "7,q,x,y,B", ""])
    record = only(records(tmp_path, "q.csv", bom + text.encode()))
    assert (record.id, record.answer) == ("7", "B")


def test_line_endings_inside_a_cell_are_kept(tmp_path):
    record = only(records(tmp_path, "q.csv", b'question,A,B\r\n"a\rb\r\nc\r\r\nd\ne",x,y\r\n'))
    assert record.text == "a\rb\r\nc\r\r\nd\ne"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(alphabet='ab,"\r\n é\t\0;', min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=6))
def test_quoted_cells_are_read_as_the_csv_module_does(tmp_path_factory, cells):
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["question", "A", "B"])
    writer.writerows([cell, "x", "y"] for cell in cells)
    found = records(tmp_path_factory.mktemp("csv"), "q.csv", text.getvalue())
    assert [record.text for record in found] == cells


def test_none_na_and_null_are_texts(tmp_path):
    record = only(records(tmp_path, "q.csv", "id,question,A,B,C,D\nNA,null,None,NA,null,nan\n"))
    assert (record.id, record.text, record.choices) == ("NA", "null", ("None", "NA", "null", "nan"))


def test_ids_keep_their_text(tmp_path):
    assert only(
        records(tmp_path, "q.jsonl", '{"id": 12345678901234567890, "question": "q", "A": 1.0, "B": 2}\n')
    ).id == ("12345678901234567890")


def test_a_lone_surrogate_becomes_a_replacement_character(tmp_path):
    record = only(records(tmp_path, "q.jsonl", r'{"question": "a\ud800b", "A": "x", "B": "y"}'))
    assert record.text == "a\ufffdb"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.csv", b"", "the file is empty"),
        ("q.csv", b"\xef\xbb\xbf\n\n", "the file is empty"),
        ("q.csv", b"question,A,B\n", "the file has no rows"),
        ("q.csv", b"question,A,B\n1,2,3\nx,\xff,y\n", "line 3: byte 0xff is not UTF-8"),
        ("q.csv", b"question,A,B\n1,2,3,4\n", "no row has as many cells as the first line; line 2: 4 cells, but"),
        ("q.csv", b'question,A,B\n"1,2,3\n', "not a CSV file"),
        ("q.csv", b"question,A,A\n1,2,3\n", "column names have to be unique; found more than once: 'A'"),
        (
            "q.csv",
            b"kolumna,x,y\n1,2,3\n",
            "no question column among 'kolumna', 'x', 'y'; expected one of question.stem",
        ),
        ("q.csv", b"question,wahl\n1,2\n", "no choices among the columns 'question', 'wahl'"),
        ("q.csv", b"question,A,B,D,answer\n1,2,3,4,A\n", "no choices among the columns"),
        ("q.csv", b"question,A,B,opa,opb\n1,2,3,4,5\n", "the choices could be ('A', 'B') or ('opa', 'opb')"),
        ("q.txt", b"question\n", "the file has no rows"),
        ("q.csv", b"question,A\0,B\n1,2,3\n", "line 1: a NUL byte"),
        ("q.json", b"[1, 2]", "row 1: found '1'; expected an object"),
        ("q.json", b"{}", "expected a JSON array of rows"),
        ("q.json", b"[]", "no rows"),
        ("q.json", b"[{}\n,{]", "not JSON: Expecting property name"),
        ("q.jsonl", b'{"question": "q"}\n{"question": \n', "line 2: not JSON"),
        ("q.jsonl", b"[" * 100_000, "not JSON"),
        ("q.parquet", b"PAR1", "not a Parquet file"),
    ],
)
def test_an_unreadable_file_is_refused_with_location_and_reason(tmp_path, name, content, message):
    with pytest.raises(BadInput) as error:
        records(tmp_path, name, content)
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / name))


# The layout in TOML


def test_a_layout_in_toml_overrides_detection(tmp_path):
    toml = tmp_path / "layout.toml"
    toml.write_text('question = "frage"\nchoices = ["r", "f"]\nanswer = "text"\nanswer_kind = "text"\nid = "nr"\n')
    text = "nr,id,frage,question,A,B,r,f,text\n5,6,warum?,why?,a,b,ja,nein,nein\n"
    record = only(records(tmp_path, "q.csv", text, read_config(Layout, toml)))
    assert (record.id, record.text, record.choices, record.answer) == ("5", "warum?", ("ja", "nein"), "B")


@pytest.mark.parametrize("layout", [Layout(question="x"), Layout(choices=("A", "x")), Layout(answer="x")])
def test_a_column_named_in_the_layout_must_exist(tmp_path, layout):
    with pytest.raises(BadInput, match="'x' is not among 'question', 'A', 'B'"):
        records(tmp_path, "q.csv", "question,A,B\nq,a,b\n", layout)


def test_the_layout_can_set_that_there_is_no_header(tmp_path):
    found = records(tmp_path, "q.csv", "question,A,B,A\n", Layout(header=False))
    assert (only(found).text, only(found).answer) == ("question", "A")


def test_the_layout_can_set_that_questions_are_open(tmp_path):
    assert only(records(tmp_path, "q.csv", "question,source\nq,s\n", Layout(choices=()))).choices == ()


# Questions in and out


def test_strict_reading_names_the_first_five_problems(tmp_path):
    rows = "".join(f"k{number},q,x,y,{answer}\n" for number, answer in enumerate("ACCCCCCA", 1))
    (tmp_path / "q.csv").write_text(f"id,question,A,B,answer\n{rows}k1,q,x,y,B\nk10,q,x,y,\n")
    with pytest.raises(BadInput) as error:
        read_questions(tmp_path / "q.csv")
    message = str(error.value)
    assert "8 of 10 rows are not valid questions: row 2 (k2): answer 'C' is not among A, B, row 3" in message
    assert "row 6 (k6): answer 'C' is not among A, B and 3 more; quorum doctor" in message


def test_strict_reading_refuses_a_missing_answer_and_a_repeated_id(tmp_path):
    (tmp_path / "q.csv").write_text("id,question,A,B,answer\nk,q,x,y,A\nk,q,x,y,B\nj,q,x,y,\n")
    with pytest.raises(BadInput, match=r"row 2 \(k\): the id is not unique, row 3 \(j\): no answer"):
        read_questions(tmp_path / "q.csv")


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
visible = texts.filter(str.strip)


@st.composite
def questions(draw):
    count = draw(st.sampled_from([0, 2, 3, 26]))
    answer = draw(st.none() | (st.sampled_from(letters(count)) if count else visible))
    return Question(
        id=draw(visible),
        text=draw(visible),
        choices=tuple(draw(st.lists(texts, min_size=count, max_size=count))),
        answer=answer,
        **{name: draw(st.none() | visible) for name in ("subject", "group", "context", "rationale")},
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(questions(), min_size=1, max_size=4, unique_by=lambda question: question.id), st.booleans())
@example(
    [
        Question(id="1", text="q", choices=("A)x", "B)y"), answer="B"),
        Question(id="2", text="q", choices=("B", "A"), answer="A"),
    ],
    True,
)
@example([Question(id="1", text="q\r\n\r", choices=("\r", "\r\r\n")), Question(id="2", text="open")], False)
@example([Question(id="1", text="a\0b", context="\0")], False)
def test_written_questions_are_read_back_unchanged(tmp_path_factory, several, labelled):
    several = [q for q in several if (q.answer is not None) == labelled] or [Question(id="1", text="q")]
    folder = tmp_path_factory.mktemp("questions")
    for suffix in (".csv", ".parquet"):
        write_questions(several, folder / f"q{suffix}")
        assert read_questions(folder / f"q{suffix}") == several


def test_questions_are_written_as_csv_or_parquet_only(tmp_path):
    with pytest.raises(BadInput, match="allowed are .csv, .parquet"):
        write_questions([], tmp_path / "q.json")


# Hostile files: always a result or BadInput

cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["A", "0", "1.0", "['a', 'b']", "[", "{'A': 1}", "####", "yes", "\ud800", "((", "['a' 'b']"]),
)
nested = st.recursive(
    cells,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "label", "stem", "A"]), inner),
    max_leaves=5,
)
names = st.sampled_from(
    ["id", "question", "choices", "options", "answer", "A", "B", "C", "label", "text", "passage", "x", ""]
)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.dictionaries(names, nested, max_size=7), max_size=4))
def test_hostile_rows_give_records_or_bad_input(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("hostile") / "q.jsonl"
    path.write_text(jsonl_ascii(rows))
    try:
        table = read_records(path)
    except BadInput:
        return
    if "JSON columns" in table.source:  # one object of lists of the same length
        (columns,) = rows
        assert {len(cell) for cell in columns.values()} == {len(table.records)}
    elif ": JSON, key " in table.source:  # one object with a list of objects, which are the rows
        (document,) = rows
        assert len(table.records) in {len(cell) for cell in document.values() if isinstance(cell, list)}
    else:
        assert len(table.records) == len(rows)
    for record in table.records:
        assert record.answer is None or not record.choices or record.answer in letters(len(record.choices))


def jsonl_ascii(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["csv", "tsv", "json", "jsonl", "parquet"]), st.binary(max_size=60))
@example("csv", b'question,A,B\n"')
@example("csv", b"\x00")
@example("parquet", b"PAR1" * 5)
def test_hostile_bytes_give_records_or_bad_input(tmp_path_factory, suffix, tail):
    for head in (b"", b"question,A,B,answer\n"):
        path = tmp_path_factory.mktemp("bytes") / f"q.{suffix}"
        path.write_bytes(head + tail)
        try:
            read_records(path)
        except BadInput:
            continue
