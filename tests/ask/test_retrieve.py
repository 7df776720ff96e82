import random
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quorum.ask.retrieve import Retriever
from quorum.ask.settings import RetrievalSettings
from quorum.data.duplicates import cluster_duplicates
from quorum.data.read import read_records
from quorum.data.repair import repair_table
from quorum.data.split import iterate_folds, select_held_out, select_training_folds, split_questions, strip_answers
from quorum.errors import BadInput
from quorum.question import Question
from tests.support.real import real_data


def no_model(name):
    raise AssertionError(f"model {name!r} was loaded")


def retriever(solved, **settings):
    return Retriever(RetrievalSettings(**settings), solved, no_model, no_model)


def question(number, text, choices=("yes", "no", "maybe"), answer="A", **more):
    return Question(id=f"q{number}", text=text, choices=choices, answer=answer, **more)


WORDS = [a + b for a in ("rok", "vel", "sum", "tik", "bra") for b in ("an", "or", "ish", "em", "ul")]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=3, max_size=9).map(" ".join)


@st.composite
def solved_questions(draw):
    """Questions of few words, with planted duplicates: word for word, in capitals, one word more, choices turned."""
    texts = draw(st.lists(TEXTS, min_size=6, max_size=14, unique=True))
    made = [(text, ("one", "two", f"of {text}")) for text in texts]
    for at in draw(st.lists(st.integers(0, len(texts) - 1), max_size=8)):
        text, choices = made[at]
        twist = draw(st.integers(0, 3))
        made.append(((text, text.upper(), f"{text} now", text)[twist], choices[::-1] if twist == 3 else choices))
    return [
        question(number, text, choices, draw(st.sampled_from("ABC"))) for number, (text, choices) in enumerate(made)
    ]


@given(solved_questions())
@settings(deadline=None, max_examples=40)
def test_no_question_is_shown_itself_or_a_member_of_its_cluster(solved):
    cluster = dict(zip((each.id for each in solved), cluster_duplicates(solved), strict=True))
    for each, shown in zip(solved, retriever(solved, examples=99, tokens=10**6).retrieve(solved), strict=True):
        seen = [cluster[example.id] for example in shown.examples]
        assert cluster[each.id] not in seen
        others = {example.id for example in solved if cluster[example.id] != cluster[each.id]}
        assert {example.id for example in shown.examples} <= others


@given(solved_questions())
@settings(deadline=None, max_examples=30)
def test_a_scored_question_is_never_shown_its_cluster_even_if_near_duplicates_are_allowed(solved):
    assume(len(set(cluster_duplicates(solved))) > 2)
    parts = split_questions(solved, 0.3, folds=2)
    cluster = dict(parts.frame.select("id", "cluster").iter_rows())
    folds = select_training_folds(parts, solved)
    for source, asked in [(folds, select_held_out(parts, solved)), *iterate_folds(folds)]:
        blind = strip_answers(asked)
        free = {"examples": 99, "tokens": 10**6, "near_duplicates": True}
        by_split = retriever(source, **free).retrieve(blind, test=True)
        by_text = [retriever(known, **free).retrieve(blind) for known in (list(source.questions), solved)]
        for shown in (by_split, *by_text):
            for each, beside in zip(blind, shown, strict=True):
                assert cluster[each.id] not in {cluster[example.id] for example in beside.examples}


@pytest.mark.slow
def test_no_question_of_codemmlu_is_shown_a_member_of_its_cluster():
    questions = repair_table(read_records(real_data("codemmlu_kaggle") / "b6_train_data.csv")).questions
    drawn = random.Random(1).sample(questions, 1200)
    parts = split_questions(drawn, 0.2, folds=3)
    cluster = dict(parts.frame.select("id", "cluster").iter_rows())
    folds = select_training_folds(parts, drawn)
    sources = [(folds, list(folds.questions)), (folds, select_held_out(parts, drawn)), *iterate_folds(folds)]
    sizes = list(cluster.values())
    assert any(sizes.count(number) > 1 for number in sizes)
    for source, asked in sources:
        known = {each.id for each in source.questions}
        for each, shown in zip(asked, retriever(source, examples=3, near_duplicates=True).retrieve(asked), strict=True):
            assert {example.id for example in shown.examples} <= known
            assert cluster[each.id] not in {cluster[example.id] for example in shown.examples}


def test_without_a_split_solved_and_asked_questions_are_clustered_together():
    solved = [question(1, "Who crossed the bridge at Orla in winter?"), question(2, "Who crossed the sea?")]
    asked = Question(id="t1", text="who CROSSED the  bridge at Orla in winter?", choices=solved[0].choices)
    assert [each.id for each in retriever(solved, examples=2).retrieve([asked])[0].examples] == ["q2"]


def test_a_test_question_may_see_near_duplicates_if_set_but_no_exact_duplicate():
    solved = [
        question(1, "Who crossed the old wooden bridge at Orla in winter?"),
        question(2, "Who crossed the old wooden bridge at Orla in the winter?"),
    ]
    asked = replace(solved[0], id="t1", answer=None)
    free = retriever(solved, examples=2, near_duplicates=True)
    assert [each.id for each in free.retrieve([asked], test=True)[0].examples] == ["q2"]
    assert free.retrieve([asked])[0].examples == ()  # only questions to submit are never scored
    assert free.retrieve([replace(asked, answer="A")], test=True)[0].examples == ()  # an answer means scored
    parts = split_questions(
        [*solved, *(question(n, f"{WORDS[n]} {WORDS[-n]} what is it") for n in range(3, 12))], 0.5, folds=2
    )
    every = [*solved, *(question(n, f"{WORDS[n]} {WORDS[-n]} what is it") for n in range(3, 12))]
    known = retriever(select_training_folds(parts, every), examples=9, near_duplicates=True)
    shown = known.retrieve(strip_answers(every), test=True)
    seen = [{"q1", "q2"} & {example.id for example in each.examples} for each in shown]
    assert seen == [set(), set(), *[{"q1", "q2"}] * 9]  # those of the split may be scored, and never see their cluster


def test_the_best_hit_is_last_and_the_weakest_is_dropped_for_the_budget():
    solved = [
        question(1, "colour of the sky over the sea at night"),
        question(2, "colour of a brick"),
        question(3, "colour of the sky at noon today"),
    ]
    asked = question(4, "what is the colour of the sky at noon in summer months")
    found = retriever(solved, examples=3).retrieve([asked])[0]
    assert [each.id for each in found.examples] == ["q2", "q1", "q3"]
    assert [each.id for each in retriever(solved, examples=3, tokens=11).retrieve([asked])[0].examples] == ["q3"]
    assert retriever(solved, examples=3, tokens=3).retrieve([asked])[0].examples == ()


def test_hits_below_the_floor_are_not_shown():
    solved = [question(1, "the colour of the sky", ("red", "blue")), question(2, "the price of bread", ("one", "two"))]
    asked = question(3, "the colour of the sky now", ("green", "grey"))
    assert [each.id for each in retriever(solved, examples=2, floor=0.3).retrieve([asked])[0].examples] == ["q1"]


def test_background_is_found_by_words_and_a_question_with_its_own_passage_gets_none(tmp_path):
    (tmp_path / "world.txt").write_text("Orla has a bridge.\n\nThe Zukerask eats crabs.\n")
    asked = [question(1, "What does the Zukerask eat?"), question(2, "What does the Zukerask eat?", context="A text.")]
    first, second = retriever([], passages=1, background=tmp_path).retrieve(asked)
    assert [passage.text for passage in first.passages] == ["The Zukerask eats crabs."]
    assert (first.passages[0].source, second.passages) == ("world.txt 2", ())


def test_nothing_is_loaded_or_read_if_nothing_is_to_be_shown():
    settings = RetrievalSettings(search="hybrid", reranker="none")
    assert Retriever(settings, [question(1, "x")], no_model, no_model).retrieve([question(2, "x")])[0].examples == ()


def test_a_question_without_an_answer_is_no_example():
    assert retriever([question(1, "the sky", answer=None)], examples=1).retrieve([question(2, "sky")])[0].examples == ()


def test_passages_without_a_background_folder_are_refused():
    with pytest.raises(BadInput, match="retrieval.background is not; set it to a folder"):
        RetrievalSettings(passages=1)
