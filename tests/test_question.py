import pytest

from quorum.errors import BadInput
from quorum.question import Prompt, Question, fold_text, label_prior, letters


def test_labels_are_as_many_letters_as_there_are_choices():
    assert Question(id="q", text="?", choices=("x", "y")).labels == ("A", "B")
    assert Question(id="q", text="?", choices=tuple("abcdefg")).labels == tuple("ABCDEFG")
    assert letters(26)[-1] == "Z"


def test_a_question_without_choices_is_open_and_takes_a_number():
    assert Question(id="q", text="How many?", answer="72").labels == ()


@pytest.mark.parametrize("count", [1, 27])
def test_one_choice_or_more_than_26_choices_are_refused(count):
    with pytest.raises(BadInput, match=f"question q: number of choices: {count}"):
        Question(id="q", text="?", choices=("x",) * count)


def test_an_answer_outside_the_labels_is_refused_with_the_labels():
    with pytest.raises(BadInput, match="question k1: answer 'C' is not among A, B"):
        Question(id="k1", text="?", choices=("x", "y"), answer="C")


@pytest.mark.parametrize(("id", "text"), [("", "?"), ("q", " \n")])
def test_an_empty_id_or_text_is_refused(id, text):
    with pytest.raises(BadInput):
        Question(id=id, text=text, choices=("x", "y"))


def test_fold_text_ignores_case_white_space_and_width():
    assert fold_text(" Ａ\r\n b ") == fold_text("a B")


def test_a_prompt_has_an_option_for_each_label_or_none():
    with pytest.raises(BadInput, match="1 options for 2 labels"):
        Prompt(question_id="q", content="?", labels=("A", "B"), options=("x",))


def test_the_label_prior_counts_only_solved_questions_with_choices():
    solved = [Question(id=str(i), text="?", choices=("x", "y", "z"), answer=letter) for i, letter in enumerate("ABBB")]
    assert label_prior(
        [*solved, Question(id="u", text="?", choices=("x", "y")), Question(id="o", text="?", answer="7")]
    ) == {
        "A": 0.25,
        "B": 0.75,
    }
    assert label_prior([]) == {}
