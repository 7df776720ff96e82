"""A submission is written as train writes its answers and as the sample submission writes its cells."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.data.layout import Layout
from quorum.data.read import read_records
from quorum.data.repair import read_clean_questions
from quorum.errors import BadInput
from quorum.files.cells import read_cells
from quorum.files.check import check_submission
from quorum.files.form_setting import parse_form
from quorum.files.sample import Sample, read_sample
from quorum.files.submission import write_submission
from quorum.files.train_answers import collect_evidence
from quorum.question import Question

# Four questions whose answers are A, B, C and D, and the option texts of each.
OPTIONS = [["moor", "vale", "reef", "dune"], ["oak", "elm", "ash", "yew"], ["tin", "zinc", "lead", "gold"]]
OPTIONS += [["lark", "wren", "rook", "kite"]]
LETTERS = "ABCD"
TRAIN = {
    "letter": "ABCD",
    "lower": "abcd",
    "bracket": ["(A)", "(B)", "(C)", "(D)"],
    "dot": ["A.", "B.", "C.", "D."],
    "index0": "0123",
    "index1": "1234",
    "float1": ["1.0", "2.0", "3.0", "4.0"],
    "text": [own[number] for number, own in enumerate(OPTIONS)],
}


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return path


def write_train(folder: Path, kind: str) -> Path:
    """Write 20 questions with four options each, whose answers are written in a style of `TRAIN`."""
    rows = [["id", "question", *LETTERS, "answer"]]
    for number in range(20):
        options, answer = OPTIONS[number % 4], TRAIN[kind][number % 4]
        rows.append([f"t{number}", f"Which word number {number} is meant here?", *options, answer])
    return write_csv(folder / "train.csv", rows)


def write_test(folder: Path) -> Path:
    rows = [["id", "question", *LETTERS]]
    rows += [[f"s{n}", f"Which thing number {n} is asked for?", *own] for n, own in enumerate(OPTIONS)]
    return write_csv(folder / "test.csv", rows)


def write_boolean(folder: Path, words: tuple[str, str]) -> tuple[Path, Path]:
    """Write a train and a test file of yes/no questions over a passage."""
    train = [["id", "question", "passage", "answer"]]
    train += [[f"t{n}", f"is claim number {n} right", f"passage {n} on the claim", words[n % 2]] for n in range(20)]
    test = [["id", "question", "passage"]] + [[f"s{n}", f"is thing {n} so", f"passage {n} again"] for n in range(4)]
    return write_csv(folder / "train.csv", train), write_csv(folder / "test.csv", test)


def submit(folder: Path, sample_text: str, train: Path, test: Path, form: str | None = None) -> tuple[Sample, str]:
    """Read the sample, answer A, B, C, D (or A, B, A, B of two labels), and check what is written."""
    path = folder / "sample_submission.csv"
    path.write_text(sample_text, encoding="utf-8")
    questions = read_questions_like(test, train)
    evidence = collect_evidence(read_records(train), choices={q.id: q.choices for q in questions if q.choices})
    sample = read_sample(path, form, evidence)
    labels = {question.id: question.labels for question in questions}
    choices = {question.id: question.choices for question in questions}
    ballots = {question.id: {str(18 + n): 1.0} for n, question in enumerate(questions)}
    if questions[0].labels:
        answers = [question.labels[n % len(question.labels)] for n, question in enumerate(questions)]
        ballots = {q.id: {answer: 0.75, "A": 0.25} for q, answer in zip(questions, answers, strict=True)}
        ballots["s0"] = {"A": 1.0}
    out = folder / "submission.csv"
    write_submission(out, ballots, labels, sample, {}, choices)
    assert check_submission(out, sample, labels, choices) == []
    assert check_submission(path, sample, labels, choices) == [], "the sample itself is legal"
    again = read_sample(path, sample.setting)  # what a kernel without train gets
    write_submission(folder / "again.csv", ballots, labels, again, {}, choices)
    assert (folder / "again.csv").read_bytes() == out.read_bytes()
    return sample, "|".join(",".join(row[1:]) for row in read_cells(out).rows)


def read_questions_like(test: Path, train: Path) -> list[Question]:
    found = read_records(train).layout
    boolean = found.answer_kind == "boolean" and not found.choices
    return read_clean_questions(test, Layout(answer_kind="boolean") if boolean else Layout())


def column(*cells: str, name: str = "answer") -> str:
    """Return a sample submission of four rows with these cells, or one of them in every row."""
    own = cells if len(cells) == 4 else cells * 4
    quoted = ['"' + cell.replace('"', '""') + '"' if "," in cell or '"' in cell else cell for cell in own]
    return f"id,{name}\n" + "".join(f"s{n},{cell}\n" for n, cell in enumerate(quoted))


def table(header: str, row: str) -> str:
    """Return a sample submission of four equal rows in several columns."""
    return f"id,{header}\n" + "".join(f"s{n},{row}\n" for n in range(4))


TEXTS = "|".join(TRAIN["text"])
SHARES = "1.0,0.0,0.0,0.0|0.25,0.75,0.0,0.0|0.25,0.0,0.75,0.0|0.25,0.0,0.0,0.75"
HOT = "1,0,0,0|0,1,0,0|0,0,1,0|0,0,0,1"
ACCEPTED = [
    # train, sample, form, what is written
    ("letter", column("A"), "letter", "A|B|C|D"),
    ("letter", column("A", "C", "D", "B"), "letter", "A|B|C|D"),
    ("letter", column("a"), "letter", "a|b|c|d"),
    ("letter", column("(A)"), "letter", "(A)|(B)|(C)|(D)"),
    ("letter", column("A."), "letter", "A.|B.|C.|D."),
    ("letter", column("[B]"), "letter", "[A]|[B]|[C]|[D]"),
    ("letter", column("Option A"), "letter", "Option A|Option B|Option C|Option D"),
    ("letter", column(""), "letter", "A|B|C|D"),
    ("letter", column("nan"), "letter", "A|B|C|D"),
    ("letter", column("-"), "letter", "A|B|C|D"),
    ("index1", column("???"), "index1", "1|2|3|4"),
    ("text", column("_"), "text", TEXTS),
    ("letter", column("0", "3", "1", "2"), "index0", "0|1|2|3"),
    ("letter", column("1", "4", "2", "2"), "index1", "1|2|3|4"),
    ("lower", column(""), "letter", "a|b|c|d"),
    ("bracket", column(""), "letter", "(A)|(B)|(C)|(D)"),
    ("dot", column(""), "letter", "A.|B.|C.|D."),
    ("lower", column("A"), "letter", "A|B|C|D"),
    ("index1", column("0"), "index1", "1|2|3|4"),
    ("index1", column("1"), "index1", "1|2|3|4"),
    ("index1", column("4", "1", "3", "2"), "index1", "1|2|3|4"),
    ("index1", column(""), "index1", "1|2|3|4"),
    ("index1", column("-1"), "index1", "1|2|3|4"),
    ("index1", column("A"), "letter", "A|B|C|D"),
    ("index1", column("0.0"), "index1", "1.0|2.0|3.0|4.0"),
    ("float1", column("0"), "index1", "1|2|3|4"),
    ("index1", column("(1)"), "index1", "(1)|(2)|(3)|(4)"),
    ("index0", column("0"), "index0", "0|1|2|3"),
    ("index0", column("1"), "index0", "0|1|2|3"),
    ("index0", column("2", "0", "3", "1"), "index0", "0|1|2|3"),
    ("index0", column(""), "index0", "0|1|2|3"),
    ("text", column(""), "text", TEXTS),
    ("text", column("moor", "elm", "tin", "kite"), "text", TEXTS),
    ("text", column("your answer"), "text", TEXTS),
    ("letter", column("moor", "elm", "tin", "kite"), "text", TEXTS),
    ("letter", column("A B C", name="prediction"), "ranked", "A B C|B A C|C A B|D A B"),
    ("letter", column("A,B,C"), "ranked", "A,B,C|B,A,C|C,A,B|D,A,B"),
    ("letter", column("A, B"), "ranked", "A, B|B, A|C, A|D, A"),
    ("letter", column("['A', 'B']"), "ranked", "['A', 'B']|['B', 'A']|['C', 'A']|['D', 'A']"),
    ("letter", column("a b"), "ranked", "a b|b a|c a|d a"),
    ("index0", column("0 1 2"), "ranked", "0 1 2|1 0 2|2 0 1|3 0 1"),
    ("index1", column("1 2"), "ranked", "1 2|2 1|3 1|4 1"),
    ("letter", table("pred_1,pred_2,pred_3", "A,B,C"), "ranked", "A,B,C|B,A,C|C,A,B|D,A,B"),
    ("letter", table("A,B,C,D", "0.25,0.25,0.25,0.25"), "probabilities", SHARES),
    ("letter", table("prob_a,prob_b,prob_c,prob_d", "0.1,0.2,0.3,0.4"), "probabilities", SHARES),
    ("index0", table("0,1,2,3", "0.25,0.25,0.25,0.25"), "probabilities", SHARES),
    ("index1", table("class_1,class_2,class_3,class_4", "0.5,0.5,0.5,0.5"), "probabilities", SHARES),
    ("letter", table("ending0,ending1,ending2,ending3", "0.25,0.25,0.25,0.25"), "probabilities", SHARES),
    ("letter", table("A,B,C,D", "1,0,0,0"), "onehot", HOT),
    ("letter", table("A,B,C,D", "0,0,0,0"), "onehot", HOT),
    ("letter", table("answer,model", "A,none"), "letter", "A,none|B,none|C,none|D,none"),
    ("index1", table("Usage,answer", "Public,0"), "index1", "Public,1|Public,2|Public,3|Public,4"),
    ("letter", table("answer,confidence", "A,0.5"), "letter", "A,0.5|B,0.5|C,0.5|D,0.5"),
]


@pytest.mark.parametrize(("train", "sample", "form", "expected"), ACCEPTED)
def test_a_sample_is_understood_beside_train_and_written_in_its_style(tmp_path, train, sample, form, expected):
    found, text = submit(tmp_path, sample, write_train(tmp_path, train), write_test(tmp_path))
    assert (found.form, text.replace('"', "")) == (form, expected)


BOOLEAN = [
    (("True", "False"), column("False"), "words", "True|False|True|False"),
    (("True", "False"), column("True"), "words", "True|False|True|False"),
    (("True", "False"), column("0"), "words", "1|0|1|0"),
    (("True", "False"), column("no"), "words", "yes|no|yes|no"),
    (("yes", "no"), column("yes"), "words", "yes|no|yes|no"),
    (("yes", "no"), column("No"), "words", "Yes|No|Yes|No"),
    (("yes", "no"), column("FALSE"), "words", "TRUE|FALSE|TRUE|FALSE"),
    (("yes", "no"), column(""), "words", "yes|no|yes|no"),
    (("yes", "no"), column("Y"), "words", "Y|N|Y|N"),
    (("yes", "no"), column("0.5"), "probability", "1.0|0.25|1.0|0.25"),
    (("correct", "incorrect"), column("0.5"), "probability", "1.0|0.25|1.0|0.25"),
    (("O", "X"), column("X"), "words", "O|X|O|X"),
    (("True", "False"), column("0.5"), "probability", "1.0|0.25|1.0|0.25"),
    (("True", "False"), table("no,yes", "0.5,0.5"), "probabilities", "0.0,1.0|0.75,0.25|0.0,1.0|0.75,0.25"),
    (("yes", "no"), table("p_yes,p_no", "0.5,0.5"), "probabilities", "1.0,0.0|0.25,0.75|1.0,0.0|0.25,0.75"),
]


@pytest.mark.parametrize(("words", "sample", "form", "expected"), BOOLEAN)
def test_yes_and_no_are_written_as_the_sample_or_else_train_writes_them(tmp_path, words, sample, form, expected):
    found, text = submit(tmp_path, sample, *write_boolean(tmp_path, words))
    assert (found.form, text) == (form, expected)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (column("0"), "18|19|20|21"),
        (column("0.0"), "18.0|19.0|20.0|21.0"),
        (column("42"), "18|19|20|21"),
        (column(""), "18|19|20|21"),
        (column("1,200"), "18|19|20|21"),
    ],
)
def test_numbers_answer_open_questions(tmp_path, sample, expected):
    rows = [["id", "question", "answer"], *([f"t{n}", f"What is {n} and {n}?", str(2 * n)] for n in range(20))]
    train = write_csv(tmp_path / "train.csv", rows)
    test = write_csv(tmp_path / "test.csv", [["id", "question"], *([f"s{n}", f"What is {n}?"] for n in range(4))])
    assert submit(tmp_path, sample, train, test)[1] == expected


@pytest.mark.parametrize(
    ("train", "sample", "hint"),
    [
        ("letter", column("0"), "'index0', 'index1'"),  # indices, but from which number?
        ("letter", column("1"), "'index0', 'index1'"),
        ("text", column("0"), "'index0', 'index1'"),
        ("index1", column("0", "1", "2", "3"), "'index0', 'index1'"),  # the sample counts from another number
        ("index0", column("1", "2", "3", "4"), "'index0', 'index1'"),
        ("letter", column("0.25"), "probability"),
        ("letter", column("your answer"), "set form"),
        ("letter", column("1 2"), "'ranked: 0 1', 'ranked: 1 2'"),
        ("letter", table("one,two", "x,y"), "2 columns could hold the answer"),
    ],
)
def test_train_and_a_sample_that_disagree_are_refused_until_form_says_which(tmp_path, train, sample, hint):
    with pytest.raises(BadInput, match="the form of answers is ambiguous") as raised:
        submit(tmp_path, sample, write_train(tmp_path, train), write_test(tmp_path))
    assert hint in str(raised.value)
    assert "quorum.toml" in str(raised.value)


@pytest.mark.parametrize(
    ("sample", "form", "expected"),
    [
        (column("0"), "index0", "0|1|2|3"),
        (column("0"), "index1", "1|2|3|4"),
        (column("0.0"), "index1", "1.0|2.0|3.0|4.0"),
        (column("0"), "letter", "A|B|C|D"),
        (column("x"), "letter: (a)", "(a)|(b)|(c)|(d)"),
        (column("0"), "index1: 1.0", "1.0|2.0|3.0|4.0"),
        (column("?"), "text", TEXTS),
        (column("?"), "words: w | x | y | z", "w|x|y|z"),
        (column(""), "ranked: A, B", "A, B|B, A|C, A|D, A"),
        (column("1 2"), "ranked: 1 2", "1 2|2 1|3 1|4 1"),
        (table("w,x,y,z", "0,0,0,0"), "probabilities", SHARES),
        (table("w,x,y,z", "0.25,0.25,0.25,0.25"), "onehot", HOT),
        (table("w,x,y,z", "0,0,0,0"), "onehot: D C B A", "0,0,0,1|0,0,1,0|0,1,0,0|1,0,0,0"),
    ],
)
def test_a_form_that_is_set_wins(tmp_path, sample, form, expected):
    _, text = submit(tmp_path, sample, write_train(tmp_path, "letter"), write_test(tmp_path), form)
    assert text.replace('"', "") == expected


@pytest.mark.parametrize(
    "form",
    [
        "",
        "number",
        "letter:",
        "letter: 1",
        "index1: A",
        "words",
        "words: yes",
        "words: a | a",
        "probability",
        "text: x",
    ],
)
def test_a_form_that_cannot_be_parsed_is_refused(form):
    with pytest.raises(BadInput, match="form"):
        parse_form(form)


def test_the_probability_of_a_letter_has_to_be_named(tmp_path):
    rows = [["id", "question", "A", "B", "answer"]]
    rows += [[f"t{n}", f"Which of these two, number {n}?", "left", "right", "AB"[n % 2]] for n in range(20)]
    train = write_csv(tmp_path / "train.csv", rows)
    asked = [["id", "question", "A", "B"], *([f"s{n}", f"Which two, {n}?", "left", "right"] for n in range(4))]
    test = write_csv(tmp_path / "test.csv", asked)
    with pytest.raises(BadInput, match="'probability: A', 'probability: B'"):
        submit(tmp_path, column("0.5"), train, test)
    assert submit(tmp_path, column("0.5"), train, test, "probability: B")[1] == "0.0|0.75|0.0|0.75"


@pytest.mark.parametrize(
    "text",
    [
        "id,p_up,p_down\ng0,0.333,0.333\ng1,0.333,0.333\n",
        "id,answer\na,\nb,\n",
        "id,answer\na,A\na,B\n",
        "id,answer\na,0\nb,0\n",
        "id,answer\na,100\nb,-1\n",
        "id,A,B\na,2,3\nb,-1,0.5\n",
        "id,answer\na,A A A\nb,B\n",
        "\ufeffid,answer\na,A\nb,B\n",
        "id,answer,why\na,B,x\nb,A,\n",
        "id,answer\n,A\nb,B\n",
        "id;answer\na;A\nb;B\n",
        "id\tA\tB\na\t0.5\t0.5\nb\t0.5\t0.5\n",
    ],
)
def test_every_sample_is_clean_against_itself(tmp_path, text):
    path = tmp_path / "sample.csv"
    path.write_text(text, encoding="utf-8")
    assert check_submission(path, read_sample(path, structure_only=True)) == []


def test_what_the_sample_does_is_allowed_and_its_placeholder_is_not(tmp_path):
    sample, own = tmp_path / "sample.csv", tmp_path / "own.csv"
    sample.write_text("id,p_up,p_down\ng0,0.333,0.333\ng1,0.333,0.333\n")
    own.write_text("id,p_up,p_down\ng0,0.2,0.3\ng1,0.9,0.4\n")
    assert check_submission(own, read_sample(sample)) == []
    sample.write_text("id,answer\na,0\nb,0\n")
    own.write_text("id,answer\na,0\nb,3\n")  # one too low
    found = check_submission(own, read_sample(sample, "index1"))
    assert [(problem.code, problem.count) for problem in found] == [("label-unknown", 1)]


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("id;answer\ns0;0\ns1;0\ns2;0\ns3;0\n", "id;answer\ns0;1\ns1;2\ns2;3\ns3;4\n"),
        (
            "id;A;B;C;D\n" + "".join(f"s{n};0,25;0,25;0,25;0,25\n" for n in range(4)),
            "id;A;B;C;D\ns0;1,0;0,0;0,0;0,0\ns1;0,25;0,75;0,0;0,0\ns2;0,25;0,0;0,75;0,0\ns3;0,25;0,0;0,0;0,75\n",
        ),
        ("id\tanswer\ns0\tA\ns1\tA\ns2\tA\ns3\tA\n", "id\tanswer\ns0\tA\ns1\tB\ns2\tC\ns3\tD\n"),
    ],
)
def test_a_submission_has_the_separator_and_the_decimal_mark_of_the_sample(tmp_path, sample, expected):
    submit(tmp_path, sample, write_train(tmp_path, "index1"), write_test(tmp_path))
    assert (tmp_path / "submission.csv").read_bytes().decode() == expected


@settings(deadline=None, max_examples=300)
@given(
    st.text(alphabet='id,A1"\n0.5bE-% ()é;|', max_size=60).map(lambda rows: f"id,answer\n{rows}")
    | st.text(alphabet='id,A1"\n0.5bE-% ()é;|', max_size=60).map(lambda rows: f"id,A,B\n{rows}")
    | st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from(["A", "0", "", "0.5", "(a)", "A B", "yes", "1.0", "x y"])),
        min_size=1,
        max_size=6,
    ).map(lambda rows: "id,answer\n" + "".join(f"{id},{cell}\n" for id, cell in rows))
)
def test_any_sample_that_can_be_read_is_clean_against_itself(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("s") / "sample.csv"
    path.write_text(text, encoding="utf-8")
    try:
        sample = read_sample(path, structure_only=True)
    except BadInput:
        return
    assert check_submission(path, sample) == []
