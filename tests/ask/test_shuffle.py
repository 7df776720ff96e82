"""Options in other orders, and answers put back in order."""

from collections import Counter
from math import factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.shuffle import count_movable, make_cyclic_orders, make_random_orders
from quorum.errors import BadInput
from quorum.question import Question, letters

QUESTION = Question(id="q", text="Which?", choices=("iron", "gold", "zinc", "none of the above"), answer="B")

some_questions = st.integers(2, 26).flatmap(
    lambda count: st.builds(
        Question,
        id=st.just("q"),
        text=st.just("Which?"),
        choices=st.just(tuple(f"choice {n}" for n in range(count))),
        answer=st.sampled_from(letters(count)),
    )
)


def test_every_option_is_in_every_position_once() -> None:
    asked = make_cyclic_orders(Question(id="q", text="Which?", choices=("w", "x", "y", "z"))).list_variants()
    assert [question.choices for question in asked] == [
        ("w", "x", "y", "z"),
        ("x", "y", "z", "w"),
        ("y", "z", "w", "x"),
        ("z", "w", "x", "y"),
    ]


@given(some_questions, st.integers(1, 6))
@settings(deadline=None)
def test_the_answers_letter_moves_with_its_choice_and_back(question: Question, count: int) -> None:
    for shuffled in (make_cyclic_orders(question), make_random_orders(question, count)):
        asked = shuffled.list_variants()
        assert all(one.choice(one.answer or "") == question.choice(question.answer or "") for one in asked)
        assert shuffled.undo([{one.answer or "": 1.0} for one in asked]) == [{question.answer: 1.0}] * len(asked)


@given(some_questions, st.integers(1, 30))
@settings(deadline=None)
def test_random_orders_are_different_and_the_first_is_the_given_one(question: Question, count: int) -> None:
    orders = make_random_orders(question, count).orders
    assert orders[0] == tuple(range(len(question.choices)))
    assert len(set(orders)) == len(orders) == min(count, factorial(len(question.choices)))


def test_orders_are_the_same_every_time() -> None:
    assert make_random_orders(QUESTION, 4, seed=1) == make_random_orders(QUESTION, 4, seed=1)
    assert make_random_orders(QUESTION, 4, seed=1) != make_random_orders(QUESTION, 4, seed=2)


def test_none_of_the_above_stays_last() -> None:
    assert {question.choices[3] for question in make_cyclic_orders(QUESTION).list_variants()} == {"none of the above"}
    assert len(make_cyclic_orders(QUESTION).orders) == 3


def test_an_option_that_cites_letters_fixes_the_order() -> None:
    question = Question(id="q", text="Which?", choices=("iron", "gold", "zinc", "Both A and C"))
    assert make_cyclic_orders(question).list_variants() == [question]
    assert make_random_orders(question, 5).list_variants() == [question]


def test_none_of_the_above_in_the_middle_fixes_the_order() -> None:
    assert count_movable(Question(id="q", text="Which?", choices=("iron", "none of the above", "zinc"))) == 0


def test_an_open_question_has_one_order() -> None:
    question = Question(id="q", text="How many?", answer="3")
    assert make_cyclic_orders(question).list_variants() == [question]


def test_unread_stays_unread() -> None:
    assert make_cyclic_orders(QUESTION).undo([{}, {"A": 1.0}, {"D": 0.5, "C": 0.5}]) == [
        {},
        {"B": 1.0},
        {"D": 0.5, "B": 0.5},
    ]


def test_zero_orders_are_refused() -> None:
    with pytest.raises(BadInput, match="count is 0; allowed is 1 or more"):
        make_random_orders(QUESTION, 0)


def test_every_position_is_equally_likely() -> None:
    question = Question(id="q", text="Which?", choices=("w", "x", "y", "z"))
    first = Counter(make_random_orders(question, 2, seed).orders[1][0] for seed in range(600))
    assert all(abs(first[position] - expected) < 60 for position, expected in {0: 130, 1: 157, 2: 157, 3: 157}.items())


@pytest.mark.parametrize(
    "choice",
    [
        "A and B",
        "Both (a) and (c)",
        "(a), (b), and (d)",
        "A & B",
        "Neither A nor B",
        "A, B and C",
        "B和C",
        "A và B",
        "C und D",
    ],
)
def test_an_option_made_of_letters_fixes_the_order(choice: str) -> None:
    assert count_movable(Question(id="q", text="Which?", choices=("iron", "gold", choice, "zinc"))) == 0


@pytest.mark.parametrize(
    "choice", ["A", "Vitamin A and D", "E and F", "iron and tin", "A car and a bus", "I and II", "All mammals"]
)
def test_other_options_may_move(choice: str) -> None:
    assert count_movable(Question(id="q", text="Which?", choices=("iron", "gold", choice, "zinc"))) == 4


@pytest.mark.parametrize(
    "choice",
    [
        *(
            "All of the above",
            "None of these.",
            "none of the mentioned",
            "Both of the above",
            "以上都是",
            "Tất cả đều đúng",
        ),
        *("Keine der genannten", "Toutes les réponses", "모두 맞다", "Todas las anteriores", "none"),
    ],
)
def test_an_option_about_all_others_stays_last(choice: str) -> None:
    assert count_movable(Question(id="q", text="Which?", choices=("iron", "gold", "zinc", choice))) == 3


def test_a_none_in_the_middle_is_a_normal_option() -> None:
    assert count_movable(Question(id="q", text="Which?", choices=("1", "None", "2"))) == 3
