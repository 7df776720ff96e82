import random
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.data.duplicates import cluster_duplicates, exact_key, find_duplicates, text_key
from quorum.question import Question
from tests.support.real import real_data

POEM = (
    "the quick brown fox jumps over a lazy dog while seven wizards mix jelly in a copper bowl at dawn, what comes next"
)


def _ask(text, *choices, id="q", **rest):
    return Question(id=id, text=text, choices=choices or ("yes", "no"), **rest)


def _same(questions, one=0, two=1):
    numbers = cluster_duplicates(questions)
    return numbers[one] == numbers[two]


def test_case_white_space_and_the_order_of_choices_do_not_matter():
    assert exact_key(_ask("What  is X?", "a", "B")) == exact_key(_ask("what is x?", "b", "A"))
    assert _same([_ask("What  is X?", "a", "B"), _ask("what is x?", "b", "A")])


def test_a_context_is_part_of_the_question():
    assert text_key(_ask("What is it?", context="A fish.")) != text_key(_ask("What is it?", context="A bird."))


def test_a_specific_text_with_different_choices_is_the_same_question():
    assert _same([_ask("What is X?", "north", "south"), _ask("What is X?", "seven", "eleven")])


def test_a_text_with_many_choice_sets_is_a_template_and_the_choices_decide():
    draw = random.Random(1)
    text = "Which of these numbers is the largest?"
    asked = [_ask(text, *(str(draw.randrange(10**6)) for _ in range(4)), id=str(i)) for i in range(200)]
    again = Question(id="again", text=text, choices=tuple(reversed(asked[7].choices)))
    numbers = cluster_duplicates([*asked, again])
    assert len(set(numbers)) == 200
    assert numbers[-1] == numbers[7]


def test_questions_of_one_form_are_not_chained_into_one_cluster():
    draw = random.Random(1)
    names = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=9)) for _ in range(400)]
    questions = [
        _ask(f"In the kingdom of {name}, what is the name of the coin that every merchant must accept?", *others)
        for name in names
        for others in [draw.sample(names, 4)]
    ]
    assert max(map(cluster_duplicates(questions).count, range(400))) <= 3


def test_one_word_more_is_a_near_duplicate():
    assert _same([_ask(POEM + "?"), _ask("Question: " + POEM + "!")])
    assert not _same([_ask(POEM), _ask("Who wrote the first compiler, and for which machine did she write it?")])


def test_short_questions_are_only_compared_exactly():
    assert not _same([Question(id="1", text="2+2"), Question(id="2", text="2+3")])


def test_a_group_is_one_cluster_and_extends_by_links():
    questions = [_ask("Was ist X?", group="g"), _ask("Who is Y, and why?", group="g"), _ask("was ist x?")]
    assert cluster_duplicates(questions) == [0, 0, 0]


def test_no_questions_have_no_clusters_and_no_duplicates():
    assert cluster_duplicates([]) == []
    assert find_duplicates([], []) == []
    assert find_duplicates([_ask("?")], []) == []


@pytest.mark.parametrize("text", ["?", "\ud800", "\x00", "٣" * 9, "a\r\nb\rc"])
def test_any_text_can_be_compared(text):
    assert _same([_ask(text), _ask(text)])


def test_a_duplicate_has_its_closest_question_and_its_similarity():
    others = [_ask("Who is Y?"), _ask(POEM, "red", "blue"), _ask(POEM, "no", "yes"), _ask(POEM, "yes", "no")]
    exact, near = find_duplicates([_ask(POEM), _ask("Is nothing like it?"), _ask(POEM + " then")], others)
    assert (exact.question, exact.other, exact.similarity, exact.exact, exact.same_choices) == (0, 2, 1.0, True, True)
    assert (near.question, near.other, near.exact, near.same_choices) == (2, 2, False, True)
    assert 0.5 <= near.similarity < 1


def test_an_equal_text_with_other_choices_is_exact_but_not_same_choices():
    (duplicate,) = find_duplicates([_ask(POEM, "red", "blue")], [_ask(POEM, "yes", "no")])
    assert duplicate.exact
    assert not duplicate.same_choices


def test_a_duplicate_within_one_file_is_not_one_between_two_files():
    assert find_duplicates([_ask(POEM), _ask(POEM)], [_ask("Who is Y?")]) == []


def test_progress_is_reported_to_the_end():
    reported = []
    cluster_duplicates([_ask("one"), _ask("two")], progress=lambda done, total: reported.append((done, total)))
    assert reported == [(0, 2), (2, 2)]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=12), st.randoms())
def test_clusters_do_not_depend_on_the_order_of_rows(rows, chance):
    questions = [_ask(f"{text}.", "x", choice, id=str(i)) for i, (text, choice) in enumerate([*rows, *rows[:3]])]
    shuffled = questions[:]
    chance.shuffle(shuffled)

    def sets(asked):
        numbers = cluster_duplicates(asked)
        return {frozenset(q.id for q, m in zip(asked, numbers, strict=True) if m == n) for n in numbers}

    assert sets(questions) == sets(shuffled)


@pytest.mark.slow
def test_real_duplicates_are_found_without_a_giant_cluster():
    train = pl.read_csv(real_data("codemmlu_kaggle") / "b6_train_data.csv")
    test = pl.read_csv(real_data("codemmlu_kaggle") / "b6_test_data.csv")
    solved, asked = (
        [
            Question(id=id, text=text, choices=("choices as they stand:", choices))
            for id, text, choices in frame.iter_rows()
        ]
        for frame in (train.select("task_id", "question", "choices"), test.select("task_id", "question", "choices"))
    )
    numbers = cluster_duplicates(solved)
    sizes = Counter(numbers).values()
    assert (sum(size for size in sizes if size > 1), len(solved), max(sizes)) == (420, 3963, 7)
    found = find_duplicates(asked, solved)
    assert sum(duplicate.exact for duplicate in found) == 58  # field notes: 63, with punctuation left out
    assert len(found) == 101
