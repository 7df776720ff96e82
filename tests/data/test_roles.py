"""Columns are told apart by their contents; names are hints, and doubt ends in a question to the user."""

from collections import Counter

import pytest

from quorum.data.doctor import examine
from quorum.data.layout import Layout
from quorum.data.read import read_records
from quorum.data.repair import read_clean_questions, repair_table
from quorum.errors import BadInput
from tests.data.layouts import as_csv, as_lines, lettered, rows

ROWS = rows(30)
RIGHT = [row.letter for row in ROWS]
SHIFTED = ["ABCD"["ABCD".index(letter) - 3] for letter in RIGHT]


def read(tmp_path, build, *, like=None, layout=None, several=ROWS, lines=False):
    path = tmp_path / ("q.jsonl" if lines else "q.csv")
    built = [build(row) for row in several]
    path.write_text(as_lines(built) if lines else as_csv(built), encoding="utf-8", newline="")
    return read_records(path, layout, like)


def answers(table):
    return [record.answer for record in table.records]


def abcd(row, **more):
    return {"id": row.id, "question": row.text, **lettered(row, "A B C D"), **more}


# How answers are written


@pytest.mark.parametrize(
    "write",
    [
        lambda r: r.letter,
        lambda r: r.letter.lower(),
        lambda r: f"({r.letter})",
        lambda r: f"{r.letter}.",
        lambda r: f" {r.letter} ",
        lambda r: "ＡＢＣＤ"[r.right],
        lambda r: "АВСD"[r.right],  # the first three are Cyrillic
        lambda r: f"Option {r.letter}",
        lambda r: f"option_{r.letter.lower()}",
        lambda r: f"Answer: {r.letter}",
        lambda r: f"{r.letter}) {r.answer}",
        lambda r: f"['{r.letter}']",
        lambda r: r.right,
        lambda r: r.right + 1,
        lambda r: f"{r.right}.0",
        lambda r: f"({r.right + 1})",
        lambda r: "①②③④"[r.right],
        lambda r: f"{r.right + 1}번",
        lambda r: f"Option {r.right + 1}",
        lambda r: r.answer,
        lambda r: r.answer.upper() + " ",
        lambda r: f"{r.answer}.",
        lambda r: str([int(place == r.right) for place in range(4)]),
    ],
)
def test_an_answer_is_understood_however_it_is_written(tmp_path, write):
    table = read(tmp_path, lambda r: abcd(r, answer=write(r)))
    assert [question.answer for question in repair_table(table).questions] == RIGHT


@pytest.mark.parametrize("write", ["{}.0", "{}.00", "0{}", " {}"])
def test_numbers_are_compared_by_value(tmp_path, write):
    def build(row):
        numbers = [row.number * 10 + place for place in range(4)]
        return {
            "question": row.text,
            **dict(zip("ABCD", numbers, strict=True)),
            "answer": write.format(numbers[row.right]),
        }

    assert answers(read(tmp_path, build)) == RIGHT


def test_thousands_may_be_grouped_in_the_choices_only(tmp_path):
    def build(row):
        numbers = [1000 * row.number + 7 * place for place in range(4)]
        return {
            "question": row.text,
            **{x: f"{n:,}" for x, n in zip("ABCD", numbers, strict=True)},
            "answer": numbers[row.right],
        }

    assert answers(read(tmp_path, build)) == RIGHT


@pytest.mark.parametrize(
    ("names", "first"), [("option1 option2 option3 option4", 1), ("ending0 ending1 ending2 ending3", 0)]
)
def test_numbered_columns_show_where_the_index_begins(tmp_path, names, first):
    several = [row for row in ROWS if row.right in (1, 2)]
    table = read(
        tmp_path, lambda r: {"question": r.text, **lettered(r, names), "label": r.right + first}, several=several
    )
    assert answers(table) == [row.letter for row in several]


def test_an_index_that_could_begin_at_0_or_1_is_asked_about(tmp_path):
    several = [row for row in ROWS if row.right in (1, 2)]
    with pytest.raises(BadInput, match=r"can be read as index1 and as index0.*answer_kind"):
        read(tmp_path, lambda r: abcd(r, answer=r.right), several=several)


@pytest.mark.parametrize(
    ("yes", "no", "choices"),
    [
        ("True", "False", ("yes", "no")),
        ("yes", "no", ("yes", "no")),
        ("1", "0", ("yes", "no")),
        ("ja", "nein", ("ja", "nein")),
        ("Richtig", "Falsch", ("Richtig", "Falsch")),
        ("oui", "non", ("oui", "non")),
        ("да", "нет", ("да", "нет")),
        ("예", "아니오", ("예", "아니오")),
        ("O", "X", ("O", "X")),
        ("はい", "いいえ", ("はい", "いいえ")),
        ("对", "错", ("对", "错")),
        ("T", "F", ("T", "F")),
        ("ja", "nee", ("ja", "nee")),
    ],
)
def test_yes_and_no_are_known_in_many_languages_and_apply_to_test(tmp_path, yes, no, choices):
    train = read(tmp_path, lambda r: {"id": r.id, "question": r.text, "answer": yes if r.number % 3 else no})
    assert {record.choices for record in train.records} == {choices}
    assert answers(train) == ["A" if row.number % 3 else "B" for row in ROWS]
    test = read(tmp_path, lambda r: {"id": r.id, "question": r.text}, like=train.layout)
    assert {record.choices for record in test.records} == {choices}


def test_classes_that_all_questions_share_are_their_choices(tmp_path):
    kinds = ("entailment", "neutral", "contradiction")
    train = read(tmp_path, lambda r: {"premise": r.passage, "hypothesis": r.text, "label": kinds[r.number % 3]})
    assert (train.layout.question, train.layout.context) == ("hypothesis", "premise")
    assert [r.choices["ABC".index(r.answer)] for r in train.records] == [kinds[row.number % 3] for row in ROWS]


# Which column it is


@pytest.mark.parametrize("other", ["difficulty", "human_answer", "gpt4_prediction", "난이도", "Schwierigkeit"])
def test_a_column_about_the_question_is_not_its_answer(tmp_path, other):
    table = read(tmp_path, lambda r: abcd(r, **{other: "ABCD"[r.number % 4]}, label=r.letter))
    assert (table.layout.answer, table.unused) == ("label", [other])


def test_an_empty_answer_column_yields_to_a_filled_one(tmp_path):
    table = read(tmp_path, lambda r: abcd(r, answer="", label=r.letter))
    assert (table.layout.answer, answers(table)) == ("label", RIGHT)


def test_two_answer_columns_that_agree_are_no_problem(tmp_path):
    table = read(tmp_path, lambda r: abcd(r, answer=r.letter, answer_idx=r.right, answer_text=r.answer))
    assert (table.layout.answer, answers(table)) == ("answer", RIGHT)


def test_two_answer_columns_that_differ_are_asked_about(tmp_path):
    def build(row):
        return abcd(row, answer=row.letter, label=SHIFTED[row.number - 1])

    with pytest.raises(BadInput) as error:
        read(tmp_path, build)
    assert "the answers could be 'answer' or 'label', and they differ" in str(error.value)
    assert 'answer = "answer"' in str(error.value)
    assert answers(read(tmp_path, build, layout=Layout(answer="label"))) == SHIFTED


def test_two_languages_of_choices_are_asked_about(tmp_path):
    def build(row):
        return {
            "question": row.text,
            "choices_en": row.choices,
            "choices_de": [f"{c}!" for c in row.choices],
            "label": row.right,
        }

    with pytest.raises(BadInput, match="the choices could be"):
        read(tmp_path, build, lines=True)


def test_two_passages_are_asked_about(tmp_path):
    with pytest.raises(BadInput, match="the passage could be 'context', 'article'"):
        read(tmp_path, lambda r: abcd(r, context=r.passage, article=r.passage + "!", answer=r.letter))


def test_two_questions_are_asked_about(tmp_path):
    def build(row):
        return {
            "text_1": row.text,
            "text_2": row.text.replace("Which", "What"),
            **lettered(row, "A B C D"),
            "answer": row.letter,
        }

    with pytest.raises(BadInput, match="the question could be 'text_1', 'text_2'"):
        read(tmp_path, build)


def test_a_column_of_unknown_name_is_the_answer_if_it_alone_fits(tmp_path):
    table = read(tmp_path, lambda r: abcd(r, wynik=r.right + 1, strona=r.number + 40))
    assert (table.layout.answer, answers(table), table.unused) == ("wynik", RIGHT, ["strona"])


def test_two_columns_of_unknown_names_that_fit_are_asked_about(tmp_path):
    with pytest.raises(BadInput, match="the answers could be 'foo' or 'bar'"):
        read(tmp_path, lambda r: abcd(r, foo=r.letter, bar=SHIFTED[r.number - 1]))


def test_a_constant_instruction_is_not_the_question(tmp_path):
    table = read(
        tmp_path, lambda r: {"prompt": "Answer.", "query": r.text, **lettered(r, "A B C D"), "answer": r.letter}
    )
    assert table.layout.question == "query"


def test_a_passage_of_unknown_name_is_known_by_its_repetition(tmp_path):
    table = read(tmp_path, lambda r: abcd(r, opowiadanie=r.passage, answer=r.letter))
    assert table.layout.context == "opowiadanie"


def test_a_long_text_without_a_role_is_a_finding(tmp_path):
    table = read(tmp_path, lambda r: abcd(r, xyz=f"{r.passage} {r.number}", answer=r.letter))
    assert table.unused == ["xyz"]
    finding = next(each for each in examine(table).findings if each.code == "unused_text")
    assert "column 'xyz'" in finding.places[0].what


@pytest.mark.parametrize("column", ["text", "context", "support", "xyz"])
def test_the_right_answers_text_is_never_shown_as_a_passage(tmp_path, column):
    table = read(tmp_path, lambda r: abcd(r, label=r.right) | {column: r.answer})
    assert (table.layout.context, answers(table)) == (None, RIGHT)


def test_the_text_in_the_answers_own_dict_is_no_passage(tmp_path):
    table = read(tmp_path, lambda r: abcd(r, answer={"label": r.letter, "text": r.answer}), lines=True)
    assert (table.layout.answer, table.layout.context, answers(table)) == ("answer.label", None, RIGHT)


# Right and wrong answers


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Correct Answer", ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")),
        ("correct_answer", ("distractor1", "distractor2", "distractor3")),
        ("answer", ("distractor_a", "distractor_b", "distractor_c")),
        ("correct", ("wrong1", "wrong2", "wrong3")),
        ("Richtige Antwort", ("Falsche Antwort 1", "Falsche Antwort 2", "Falsche Antwort 3")),
        ("정답", ("오답1", "오답2", "오답3")),
        ("正确答案", ("错误答案1", "错误答案2", "错误答案3")),
    ],
)
@pytest.mark.parametrize("right_first", [True, False])
def test_right_and_wrong_answers_become_choices_in_mixed_order(tmp_path, right, wrong, right_first):
    def build(row):
        texts = dict(zip(wrong, row.wrong, strict=True))
        return {"question": row.text, **({right: row.answer} | texts if right_first else texts | {right: row.answer})}

    several = rows(400)
    table = read(tmp_path, build, several=several)
    assert (table.layout.answer, table.layout.distractors, table.unused) == (right, wrong, [])
    for record, row in zip(table.records, several, strict=True):
        assert sorted(record.choices) == sorted(row.choices)
        assert record.choices["ABCD".index(record.answer)] == row.answer
    shares = Counter(answers(table))
    assert all(70 <= shares[label] <= 130 for label in "ABCD")  # 100 expected, standard deviation 8.7


def test_the_order_does_not_depend_on_which_choice_is_right(tmp_path):
    def build(turn):
        def one(row):
            texts = row.choices[turn:] + row.choices[:turn]
            return {
                "question": row.text,
                "correct": texts[0],
                "wrong1": texts[1],
                "wrong2": texts[2],
                "wrong3": texts[3],
            }

        return one

    orders = {tuple(record.choices for record in read(tmp_path, build(turn)).records) for turn in range(4)}
    assert len(orders) == 1


def test_a_layout_whose_choices_contain_the_answer_column_does_not_make_every_answer_a(tmp_path):
    def build(row):
        return {"Q": row.text, "good": row.answer, "x": row.wrong[0], "y": row.wrong[1], "z": row.wrong[2]}

    layout = Layout(question="Q", choices=("good", "x", "y", "z"), answer="good")
    assert max(Counter(answers(read(tmp_path, build, layout=layout))).values()) < 20


# Null words


def test_nulls_at_the_end_of_a_list_are_no_choices(tmp_path):
    def padded(row):
        return [*row.choices, None, None] if row.number % 2 else [*row.choices, "none of them", None]

    table = read(tmp_path, lambda r: {"question": r.text, "options": padded(r), "answer": r.letter}, lines=True)
    assert {len(question.choices) for question in repair_table(table).questions} == {4, 5}


def test_null_words_are_texts_of_choices(tmp_path):
    (tmp_path / "q.csv").write_text(
        "id,question,A,B,C,D,answer\n"
        "1,Which means nothing?,NA,None,null,nan,A\n2,Which is a number?,n/a,None,42,True,C\n"
    )
    first, second = read_records(tmp_path / "q.csv").records
    assert (first.choices, first.answer) == (("NA", "None", "null", "nan"), "A")
    assert (second.choices, second.answer) == (("n/a", "None", "42", "True"), "C")


# What train shows applies to test


def test_a_layout_may_name_an_answer_column_that_test_does_not_have(tmp_path):
    layout = Layout(answer="answer", subject="field", rationale="why")
    train = read(tmp_path, lambda r: abcd(r, answer=r.letter, field=r.subject, why=r.why), layout=layout)
    test = read(tmp_path, abcd, layout=layout, like=train.layout)
    assert (test.labelled, len(test.records), test.layout.answer) == (False, 30, None)
    with pytest.raises(BadInput, match="the layout's column 'passage' is not among"):
        read(tmp_path, abcd, layout=Layout(context="passage"), like=train.layout)


def test_test_has_no_answer_column_of_another_name(tmp_path):
    train = read(tmp_path, lambda r: abcd(r, version="ABCD"[r.number % 4], answer=r.letter))
    test = read(tmp_path, lambda r: abcd(r, version="ABCD"[r.number % 4]), like=train.layout)
    assert (test.labelled, test.unused) == (False, ["version"])


@pytest.mark.parametrize("placeholder", ["", "0", "A", "-1", "?", "None"])
def test_a_placeholder_never_drops_a_row_of_test(tmp_path, placeholder):
    train = read(tmp_path, lambda r: abcd(r, answer=r.right + 1))
    read(tmp_path, lambda r: abcd(r, answer=placeholder), like=train.layout)
    found = read_clean_questions(tmp_path / "q.csv", like=train.layout)
    assert [question.id for question in found] == [row.id for row in ROWS]
    assert {question.answer for question in found} == {None}


def test_open_questions_of_train_are_open_in_test(tmp_path):
    train = read(tmp_path, lambda r: {"id": r.id, "problem": r.text, "source": "x", "answer": r.number * 7})
    test = read(tmp_path, lambda r: {"id": r.id, "problem": r.text, "source": "x"}, like=train.layout)
    assert (train.open, test.open) == (True, True)


def test_the_role_of_every_column_is_reported(tmp_path):
    table = read(tmp_path, lambda r: abcd(r, passage=r.passage, answer=r.right, difficulty=r.number % 3, source="x"))
    assert table.roles == (
        "columns: id=id question=question passage=passage choices=A,B,C,D answer=answer answers as index0; "
        "unused: difficulty, source"
    )
    assert examine(table).columns == table.roles


def test_a_column_called_solution_is_the_answer_if_it_holds_labels(tmp_path):
    table = read(tmp_path, lambda r: abcd(r, solution=r.letter.lower() + ")"))
    assert [question.answer for question in repair_table(table).questions] == RIGHT
    both = read(tmp_path, lambda r: abcd(r, answer=r.letter, solution=f"See note {r.number}."))
    assert (both.layout.answer, both.layout.rationale) == ("answer", "solution")


def test_a_column_called_solution_is_the_answer_of_open_questions_if_it_holds_numbers(tmp_path):
    table = read(tmp_path, lambda r: {"id": r.id, "problem": r.text, "solution": 7 * r.number})
    assert answers(table)[:2] == ["7", "14"]
    worked = read(tmp_path, lambda r: {"id": r.id, "problem": r.text, "solution": r.why})
    assert (worked.layout.answer, worked.layout.rationale) == (None, "solution")


@pytest.mark.parametrize("names", ["q a b c d y", "q a b c d answer", "question a b c d y"])
def test_columns_of_one_letter_may_hold_the_question_and_the_answer(tmp_path, names):
    table = read(tmp_path, lambda r: dict(zip(names.split(), [r.text, *r.choices, r.letter], strict=True)))
    assert table.layout.choices == ("a", "b", "c", "d")
    assert [question.answer for question in repair_table(table).questions] == RIGHT


def test_a_column_of_numbers_within_a_passage_holds_no_ids(tmp_path):
    table = read(tmp_path, lambda r: {"question_id": r.number % 3, **{k: v for k, v in abcd(r).items() if k != "id"}})
    assert table.layout.id is None
    assert table.unused == ["question_id"]


# Findings over the whole file


def codes(table):
    return {finding.code for finding in examine(table).findings}


def test_answers_that_all_have_one_label_are_a_finding(tmp_path):
    report = examine(read(tmp_path, lambda r: abcd(r, answer="B")))
    assert [finding.places[0].what for finding in report.findings if finding.code == "same_answer"] == [
        "30 answers are B"
    ]
    assert "same_answer" not in codes(read(tmp_path, lambda r: abcd(r, answer=r.letter)))


def test_an_empty_answer_column_is_a_finding(tmp_path):
    assert "no_answers" in codes(read(tmp_path, lambda r: abcd(r, answer="")))
