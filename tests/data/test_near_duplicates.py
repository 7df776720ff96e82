import random
from collections import Counter, defaultdict
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.data.duplicates import cluster_duplicates, find_duplicates
from quorum.data.split import select_held_out, select_training_folds, split_questions
from quorum.data.word_table import make_word_table
from quorum.data.words import split_into_words
from quorum.errors import BadInput
from quorum.question import Question
from tests.support.families import COPIES, Planter

TULIPS = (
    "{} plants eighteen tulips along the garden wall and digs up a third of them again before the first frost of the "
    "autumn. How many tulips of {} are still there in spring?"
)
ANIMALS = ("cat", "cow", "crow", "cod", "carp", "crab", "camel", "cobra", "crane", "coyote", "cuckoo", "cricket")


def _ask(text, *choices, id="q", **rest):
    return Question(id=id, text=text, choices=choices, **rest)


def _count_clusters(questions):
    return len(set(cluster_duplicates(questions)))


def _find_near_pairs(questions):
    """Compare all pairs."""
    pairs = list(combinations(range(len(questions)), 2))
    ones, twos = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return [pair for pair, near in zip(pairs, make_word_table(questions).compare(ones, twos) > 0, strict=True) if near]


def _collect_clusters(questions):
    clusters = defaultdict(set)
    for question, number in zip(questions, cluster_duplicates(questions), strict=True):
        clusters[number].add(question.id)
    return list(clusters.values())


@pytest.mark.parametrize("size", [2, 3, 20, 21, 22, 24, 100, 500])
def test_a_family_of_any_size_is_one_cluster(size):
    others = [
        _ask(f"Who lived in house {number} of the old street by the river?", id=f"o{number}") for number in (1, 2)
    ]
    names = [f"Name{chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(size)]
    family = [_ask(TULIPS.format(name, name), "6", "9", "12", "15", id=name) for name in names]
    assert _count_clusters([*family, *others]) == 3


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.__name__)
def test_planted_families_are_whole_and_nothing_else_is_joined(copy):
    sizes = [2] * 30 + [3] * 10 + [20, 21, 50, 200]
    questions = Planter(seed=3).plant(copy, sizes, rows=1200)
    clusters = _collect_clusters(questions)
    families = Counter(id.split("-")[0] for question in questions for id in [question.id])
    whole = sum(len(ids) == families[id.split("-")[0]] for ids in clusters for id in sorted(ids)[:1])
    assert all(len({id.split("-")[0] for id in ids}) == 1 for ids in clusters)
    assert whole >= 0.99 * len(families)


@pytest.mark.slow
@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.__name__)
def test_pairs_are_found_among_many_rows(copy):
    questions = Planter(seed=4).plant(copy, [2] * 400 + [21] * 10 + [500] * 2, rows=20_000)
    clusters = _collect_clusters(questions)
    assert all(len({id.split("-")[0] for id in ids}) == 1 for ids in clusters)
    found = sum(len(ids) * (len(ids) - 1) // 2 for ids in clusters)
    assert found >= 0.99 * (400 + 10 * 210 + 2 * 124_750)


@pytest.mark.parametrize("rows", [60, 400])
@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.__name__)
def test_a_family_that_is_most_of_its_file_is_one_cluster(copy, rows):
    clusters = _collect_clusters(Planter(seed=5).plant(copy, [rows - 10], rows=rows))
    assert sorted(map(len, clusters)) == [1] * 10 + [rows - 10]


INSTRUCTION = (
    "You are an examiner who checks what candidates have written about one topic. Read the statement below with great "
    "care, consider what is known about it, think of counterexamples, and then decide yourself whether it is correct "
    "or not; answer with nothing but the letter of the option that you have chosen. Statement: "
)
CLOSING = " Remember: give nothing but one letter, without any explanation, and never more than one of the options."


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("choices", [("yes", "no"), ("entailment", "neutral", "contradiction"), (), None])
@pytest.mark.parametrize("form", [INSTRUCTION + "{}", "{}" + CLOSING, INSTRUCTION + "{}" + CLOSING])
def test_an_instruction_that_many_rows_share_joins_nothing(form, choices, share):
    planter = Planter(seed=6)
    questions = []
    for number in range(700):
        words, own = planter.draw_question(least=5, most=20)
        text = " ".join(words)
        given = own if choices is None else choices
        questions.append(_ask(form.format(text) if number < share * 700 else text, *given, id=str(number)))
    assert max(map(len, _collect_clusters(questions))) == 1


def test_near_copies_behind_an_instruction_are_found():
    planted = Planter(seed=7).plant(COPIES[0], [2] * 50 + [30], rows=600)
    questions = [_ask(INSTRUCTION + q.text, *q.choices, id=q.id) for q in planted]
    clusters = _collect_clusters(questions)
    assert all(len({id.split("-")[0] for id in ids}) == 1 for ids in clusters)
    assert sorted(map(len, clusters))[-51:] == [2] * 50 + [30]


def test_a_long_text_whose_choices_were_redrawn_is_near_and_a_short_one_is_not():
    planter = Planter(seed=8)
    long, short = planter.draw_words(60), planter.draw_words(20)
    for words, count in ((long, 1), (short, 2)):
        changed = [*words[:7], "changed", *words[8:]]
        one = _ask(" ".join(words), "river", "meadow", "lake", "fen")
        two = _ask(" ".join(changed), "river", "copper", "violin", "lamp")
        assert _count_clusters([one, two]) == count


def test_a_copy_is_near_whatever_was_changed_slightly():
    text = "Which of the rivers that cross the northern plain reaches the sea first in spring?"
    question = _ask(text, "Drin", "Sava", "Vah", "Raba")
    copies = [
        _ask(text, "Vah", "Drin", "Raba", "Sava"),
        _ask(text.upper().replace(" ", "  "), "DRIN", "SAVA", "VAH", "RABA"),
        _ask(
            "Which of the rivers, that cross the northern plain, reaches the sea first (in spring)", *question.choices
        ),
        _ask(text.replace("northern", "southern"), *question.choices),
        _ask("Think about the geography of Europe. " + text, *question.choices),
    ]
    for copy in copies:
        assert _count_clusters([question, copy]) == 1, copy


@pytest.mark.parametrize(
    "questions",
    [
        pytest.param(
            [
                _ask(f"Which of the following statements is true about the {one}?", *Planter(seed).draw_question()[1])
                for seed, one in enumerate(ANIMALS)
            ],
            id="which of the following",
        ),
        pytest.param(
            [
                _ask(f"A train runs {one} km in {two} hours without a stop. How many km does it run in one hour?")
                for one in range(50, 60)
                for two in range(2, 9)
            ],
            id="open template with other numbers",
        ),
        pytest.param(
            [
                _ask(f"What is the sum of {one} apples and {two} apples in this basket?", *map(str, range(s, s + 4)))
                for one in range(10, 20)
                for two in range(30, 40)
                for s in [one + two - 2]
            ],
            id="template with other numbers and choices that overlap",
        ),
        pytest.param(
            [
                _ask(f"Is it true that the number {one} is a prime number greater than ten?", "yes", "no")
                for one in range(100, 160)
            ],
            id="yes or no about other numbers",
        ),
        pytest.param(
            [
                _ask(
                    "What is printed when this program runs?\n"
                    f"def work(values):\n    total = 0\n    for value in values:\n        {line}\n    return total\n"
                    "print(work([1, 2, 3]))",
                    *(f"{answer} {word}" for word in ("at once", "twice", "never")),
                )
                for answer, line in (
                    ("six", "total += value"),
                    ("fourteen", "total += value * value"),
                    ("three", "total = max(total, value)"),
                    ("none", "total.append(value)"),
                    ("zero", "continue"),
                )
            ],
            id="code skeleton",
        ),
        pytest.param(
            [
                _ask(text, *choices, context=" ".join(f"word{number}" for number in range(80)))
                for text, choices in (
                    ("Who opened the gate of the old mill in the morning?", ("Ann", "Bob")),
                    ("Why did the miller leave the village before noon on Monday?", ("rain", "debts")),
                    ("Where was the cart found after the flood had passed?", ("field", "road")),
                    ("What does the author want to say with the last paragraph?", ("hope", "fear")),
                )
            ],
            id="passage of several questions",
        ),
        pytest.param(
            [
                _ask("What is the main idea of this passage, in a few words?", "war", "love", context=" ".join(words))
                for number in range(30)
                for words in [random.Random(number).choices(ANIMALS, k=40)]
            ],
            id="one question about many passages",
        ),
        pytest.param(
            [
                _ask("Which of the animals in the list below is the largest one?", *random.Random(n).sample(ANIMALS, 4))
                for n in range(40)
            ],
            id="one text with many sets of choices",
        ),
    ],
)
def test_questions_that_share_boilerplate_are_not_joined(questions):
    numbered = [Question(id=str(n), text=q.text, choices=q.choices, context=q.context) for n, q in enumerate(questions)]
    assert max(map(len, _collect_clusters(numbered))) <= 2


def test_a_chain_is_one_cluster_so_that_no_near_pair_is_divided():
    words = [f"w{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(72)]
    chain = [_ask(" ".join(words[start : start + 24]), id=str(start)) for start in range(0, 40, 4)]
    near = _find_near_pairs(chain)
    assert (0, 1) in near
    assert (0, 9) not in near
    assert _count_clusters(chain) == 1


def test_a_duplicate_of_a_large_family_is_found_in_another_file():
    names = [f"Name{chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(300)]
    family = [_ask(TULIPS.format(name, name), "6", "9", "12", "15") for name in names]
    found = find_duplicates(family[:100], family[100:])
    assert [duplicate.question for duplicate in found] == list(range(100))
    assert all(duplicate.similarity > 0.7 and duplicate.same_choices for duplicate in found)


_WORDS = st.sampled_from([f"{first}{second}" for first in "abcdef" for second in "xyz"] + ["7", "12"])
_TEXTS = st.lists(_WORDS, min_size=6, max_size=16)


@st.composite
def _draw_similar_questions(draw):
    """Questions of few words, many of them copies of others with changes."""
    texts = draw(st.lists(_TEXTS, min_size=8, max_size=12))
    for _ in range(draw(st.integers(0, 25))):
        text = list(draw(st.sampled_from(texts)))
        for _ in range(draw(st.integers(0, 3))):
            text[draw(st.integers(0, len(text) - 1))] = draw(_WORDS)
        texts.append(text)
    choices = draw(st.lists(st.lists(_WORDS, min_size=2, max_size=4), min_size=len(texts), max_size=len(texts)))
    same = draw(st.booleans())
    return [
        Question(id=str(number), text=" ".join(text), choices=tuple(choices[0] if same else each))
        for number, (text, each) in enumerate(zip(texts, choices, strict=True))
    ]


@settings(deadline=None, max_examples=60)
@given(_draw_similar_questions(), st.integers(0, 100))
def test_no_near_pair_is_on_both_sides_of_a_split(questions, seed):
    if _count_clusters(questions) < 6:
        return
    try:
        split = split_questions(questions, 0.3, folds=2, seed=seed)
    except BadInput:  # a cluster is too large for the folds
        return
    for one, two in _find_near_pairs(questions):
        assert split.fold_of[questions[one].id] == split.fold_of[questions[two].id]
    assert find_duplicates(
        select_held_out(split, questions), list(select_training_folds(split, questions).questions)
    ) == [] or any(Counter(q.text for q in questions)[q.text] > 3 for q in questions)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What's well-known? It's -5 - 3, 1,200.50 km.", "what s well known it s - 5 - 3 1,200.50 km"),
        ("x2 != y_1; x%2==0", "x2 = y 1 x % 2 = = 0"),
        ("हिन्दी में कौन।", "हिन्दी में कौन"),
        ("北京是首都吗？", "北 京 是 首 都 吗"),
        ("안녕하세요, 세계!", "안녕하세요 세계"),
        ("?!…", ""),
    ],
)
def test_text_is_split_into_words_numbers_and_operators(text, words):
    assert split_into_words(text) == words.split()


def test_texts_without_words_are_compared_as_they_are():
    assert _count_clusters([_ask("?!", "+", "-"), _ask("!!", "+", "-"), _ask("?!", "-", "+")]) == 2
