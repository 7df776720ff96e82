from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.exact_match import copy_answers
from quorum.ask.example import make_example
from quorum.question import Question


def solved(choices, answer, id="s", text="What runs?", **more):
    return Question(id=id, text=text, choices=tuple(choices), answer=answer, **more)


def asked(choices, id="t", text="What runs?"):
    return Question(id=id, text=text, choices=tuple(choices))


def test_an_example_is_reordered_if_its_answer_is_an_option_of_the_question():
    shown = make_example(solved(("dog", "stone", "tree"), "A"), asked(("Stone", "tree", " DOG ")))
    assert (shown.choices, shown.answer) == (("stone", "tree", "dog"), "C")


def test_an_example_whose_answer_is_not_an_option_is_unchanged():
    example = solved(("dog", "stone"), "A")
    assert make_example(example, asked(("stone", "cat"))) is example


def test_equal_options_are_not_mapped():
    example = solved(("dog", "Dog", "tree"), "A")
    assert make_example(example, asked(("tree", "stone", "dog"))) is example
    other = solved(("dog", "tree"), "A")
    assert make_example(other, asked(("tree", "dog", "DOG"))) is other


def test_an_example_without_the_answer_letter_is_unchanged():
    example = solved(("dog", "tree"), "A")
    assert make_example(example, asked(("one", "two", "dog"))) is example


def test_choices_and_rationales_that_cite_letters_keep_their_order():
    cites = solved(("dog", "tree", "A and B"), "A")
    assert make_example(cites, asked(("tree", "dog", "stone"))) is cites
    why = solved(("dog", "tree"), "A", rationale="Trees do not run, so A.")
    assert make_example(why, asked(("tree", "dog"))) is why


CHOICES = st.lists(st.sampled_from(["a1", "b2", "c3", "d4", "e5", "A1"]), min_size=2, max_size=6)


@given(CHOICES, CHOICES, st.data())
@settings(deadline=None, max_examples=200)
def test_an_example_keeps_its_choices_and_its_answer_text(own, other, data):
    example = solved(own, data.draw(st.sampled_from("ABCDEF"[: len(own)])))
    shown = make_example(example, asked(other))
    assert sorted(shown.choices) == sorted(example.choices)
    assert shown.choice(str(shown.answer)) == example.choice(example.answer)


def test_the_answer_of_an_exact_duplicate_is_copied_by_its_text():
    train = [solved(("dog", "tree"), "A")]
    assert copy_answers([asked(("tree", "DOG"))], train) == {"t": {"B": 1.0}}


def test_nothing_is_copied_from_other_questions_or_if_duplicates_disagree():
    train = [solved(("dog", "tree"), "A"), solved(("tree", "dog"), "A", id="s2")]
    assert copy_answers([asked(("dog", "tree"))], train) == {}
    assert copy_answers([asked(("dog", "stone"))], train[:1]) == {}
    assert copy_answers([asked(("dog", "dog"))], [solved(("dog", "dog"), "A")]) == {}


def test_a_question_that_has_an_answer_gets_none():
    assert copy_answers([solved(("dog", "tree"), "B", id="t")], [solved(("dog", "tree"), "A")]) == {}
