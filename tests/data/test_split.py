import json
from collections import Counter
from hashlib import sha256

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.data.duplicates import cluster_duplicates
from quorum.data.read import read_questions, write_questions
from quorum.data.split import (
    HELD_OUT,
    SPLIT,
    Split,
    TrainingFolds,
    estimate_random_leak,
    iterate_folds,
    read_split,
    select_held_out,
    select_training_folds,
    split_questions,
    strip_answers,
    write_split,
)
from quorum.errors import BadInput
from quorum.question import Question
from tests.support.real import real_data
from tests.support.verb import run_verb

WORDS = ("amber", "birch", "cobalt", "dahlia", "ember", "fennel", "garnet", "hazel", "indigo", "juniper")


def _questions(count=200, subjects=("law", "physics")):
    """Make questions that share next to nothing."""
    return [
        Question(
            id=f"q{n:04}",
            text=f"{WORDS[n % 10]}{n * 7919 % 10007} {WORDS[n // 10 % 10]}{n * 104729 % 10009} at {n * 31337}?",
            choices=(f"x{n * 3}", f"y{n * 5}", f"z{n * 7}"),
            answer="ABC"[n % 3],
            subject=subjects[n % len(subjects)],
        )
        for n in range(count)
    ]


def _shares(drawn, questions):
    """Return fold -> label -> count."""
    label = {question.id: question.answer for question in questions}
    return {fold: Counter(label[id] for id, f in drawn.fold_of.items() if f == fold) for fold in [0, *drawn.folds]}


def test_every_question_is_in_one_fold_and_sizes_are_as_requested():
    drawn = split_questions(_questions(200))
    sizes = Counter(drawn.frame["fold"].to_list())
    assert drawn.frame["id"].to_list() == [f"q{n:04}" for n in range(200)]
    assert sizes[HELD_OUT] == 40
    assert [sizes[fold] for fold in drawn.folds] == [32] * 5


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15, 0.25, 1 / 3, 0.45, 0.5])
def test_the_held_out_share_is_near_the_requested_one(share):
    drawn = split_questions(_questions(300), held_out=share)
    assert drawn.frame["fold"].eq(HELD_OUT).mean() == pytest.approx(share, abs=0.02)


def test_folds_are_stratified_by_answers_and_subjects():
    questions = _questions(240)
    for labels in _shares(split_questions(questions), questions).values():
        assert max(labels.values()) - min(labels.values()) <= 3


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_rows():
    questions = _questions(100)
    assert split_questions(questions).fingerprint == split_questions(questions[::-1]).fingerprint
    assert split_questions(questions, seed=1).fingerprint != split_questions(questions, seed=2).fingerprint


def test_the_same_split_is_drawn_on_every_machine():
    assert (
        split_questions(_questions(60)).fingerprint
        == "704bb1ff605dff86b9c96bbeb9df3e15b37e0f3ea744955ae75bc1e46f10087a"
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_never_divided(seed):
    questions = [
        Question(id=q.id, text=q.text, choices=q.choices, answer=q.answer, group=f"g{n // 4}")
        for n, q in enumerate(_questions(120))
    ]
    drawn = split_questions(questions, seed=seed)
    assert all(len({drawn.fold_of[f"q{n:04}"] for n in range(start, start + 4)}) == 1 for start in range(0, 120, 4))


# few enough texts that some come twice, with a word more or less
texts = st.tuples(st.integers(0, 60), st.sampled_from(("", " now", " then"))).map(
    lambda drawn: sha256(bytes(drawn[:1])).hexdigest() + drawn[1]
)
rows = st.tuples(texts, st.sampled_from(("A", "B", None)), st.sampled_from((None, "law", "rare")), st.integers(0, 9))


@settings(deadline=None, max_examples=60)
@given(st.lists(rows, min_size=3, max_size=60), st.integers(2, 4), st.floats(0.05, 0.5), st.integers(0, 2**32 - 1))
def test_no_cluster_is_divided_and_no_question_is_lost(rows, folds, share, seed):
    questions = [
        Question(
            id=f"{n}",
            text=text,
            choices=("yes", "no"),
            answer=answer,
            subject=subject,
            group=f"g{group}" if group < 3 else None,
        )
        for n, (text, answer, subject, group) in enumerate(rows)
    ]
    numbers = cluster_duplicates(questions)
    try:
        drawn = split_questions(questions, share, folds, seed)
    except BadInput:
        assert len(set(numbers)) < 20  # only too few clusters are a reason to refuse
        return
    assert sorted(drawn.fold_of) == sorted(question.id for question in questions)
    assert drawn.folds == list(range(1, folds + 1))
    assert select_held_out(drawn, questions)
    together = {(number, drawn.fold_of[q.id]) for number, q in zip(numbers, questions, strict=True)}
    assert len(together) == len(set(numbers))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 12), min_size=25, max_size=60), st.floats(0.1, 0.5), st.integers(0, 99))
def test_sizes_differ_from_the_requested_ones_by_at_most_a_cluster(sizes, share, seed):
    groups = [f"g{group}" for group, size in enumerate(sizes) for _ in range(size)]
    questions = [
        Question(id=question.id, text=question.text, choices=question.choices, answer=question.answer, group=group)
        for question, group in zip(_questions(len(groups)), groups, strict=True)
    ]
    drawn = split_questions(questions, share, 2, seed)
    counts = Counter(drawn.fold_of.values())
    slack = max(sizes) + 0.03 * len(groups)  # the share is rounded to twentieths at the finest
    assert abs(counts[HELD_OUT] - share * len(groups)) <= slack
    assert abs(counts[1] - counts[2]) <= slack


def test_training_folds_refuse_a_held_out_question():
    questions = _questions(50)
    drawn = split_questions(questions)
    held = select_held_out(drawn, questions)
    with pytest.raises(BadInput, match=f"1 questions are held out and must not be used for training: {held[0].id}"):
        TrainingFolds(drawn, (*select_training_folds(drawn, questions).questions, held[0]))


def test_training_folds_refuse_a_question_that_is_not_in_the_split():
    with pytest.raises(BadInput, match="question new is not in the split of 50"):
        TrainingFolds(split_questions(_questions(50)), (Question(id="new", text="?"),))


def test_held_out_and_training_questions_are_all_questions_in_order():
    questions = _questions(50)[::-1]
    drawn = split_questions(questions)
    both = select_held_out(drawn, questions) + list(select_training_folds(drawn, questions).questions)
    assert sorted(both, key=questions.index) == questions


def test_each_training_question_is_predicted_once_and_never_trained_on_for_it():
    questions = _questions(80)
    known = select_training_folds(split_questions(questions, folds=4), questions)
    rounds = list(iterate_folds(known))
    assert sorted(q.id for _, asked in rounds for q in asked) == sorted(q.id for q in known.questions)
    assert all({*others.questions, *asked} == {*known.questions} for others, asked in rounds)
    assert all(not {*others.questions} & {*asked} for others, asked in rounds)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"held_out": 0.0}, "held-out share is 0.0"),
        ({"held_out": 0.6}, "more than 0 and at most 0.5"),
        ({"folds": 1}, "the number of folds is 1; allowed are 2 to 250"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, message):
    with pytest.raises(BadInput, match=message):
        split_questions(_questions(20), **settings)


def test_fewer_clusters_than_folds_are_refused_with_their_number():
    same = [Question(id=f"{n}", text="Who is X?", choices=("a", "b"), answer="A") for n in range(30)]
    with pytest.raises(BadInput, match="30 questions form 1 clusters.* at least 6"):
        split_questions(same)


def test_a_repeated_id_is_refused():
    with pytest.raises(BadInput, match="found more than once: q0001"):
        split_questions([*_questions(20), _questions(2)[1]])


def test_unsolved_open_and_rare_questions_are_split_too():
    open_ones = [
        Question(id=f"open{n}", text=f"{q.text} how many?", answer=str(n)) for n, q in enumerate(_questions(30))
    ]
    rare = Question(
        id="rare", text="Which one of these seven is so?", choices=tuple("abcdefg"), answer="G", subject="alone"
    )
    drawn = split_questions([*open_ones, rare, *_questions(30)])
    assert len(drawn.frame) == 61


def test_a_question_stripped_of_its_answer_has_no_rationale():
    solved = Question(id="q", text="?", choices=("a", "b"), answer="A", rationale="It is A.")
    assert strip_answers([solved]) == [Question(id="q", text="?", choices=("a", "b"))]


def test_the_estimated_leak_of_a_random_split_is_the_probability_that_it_divides_a_pair():
    frame = pl.DataFrame({"id": list("abcd"), "cluster": [0, 0, 1, 2], "fold": [1, 1, 0, 0]}, schema=SPLIT)
    # 2 of 4 are held out: each of the pair with probability 1/2, and then the other is in training with probability 2/3
    assert estimate_random_leak(Split(frame)) == pytest.approx(2 * 1 / 2 * 2 / 3)


def test_a_cluster_in_two_folds_is_refused():
    frame = pl.DataFrame({"id": ["a", "b"], "cluster": [7, 7], "fold": [0, 1]}, schema=SPLIT)
    with pytest.raises(BadInput, match="cluster 7 is in several"):
        Split(frame)


def test_a_written_split_is_read_back_with_its_fingerprint(tmp_path):
    drawn = split_questions(_questions(50))
    write_split(drawn, tmp_path / "new" / "split.parquet")
    assert read_split(tmp_path / "new" / "split.parquet").fingerprint == drawn.fingerprint


def test_a_file_that_is_not_a_split_is_refused_by_name(tmp_path):
    (tmp_path / "a.parquet").write_text("id,fold")
    pl.DataFrame({"id": ["a"]}).write_parquet(tmp_path / "b.parquet")
    for name in ("a", "b"):
        with pytest.raises(BadInput, match=f"{name}.parquet"):
            read_split(tmp_path / f"{name}.parquet")


@pytest.mark.slow
def test_no_cluster_of_the_real_file_is_divided():
    frame = pl.read_csv(real_data("codemmlu_kaggle") / "b6_train_data.csv").select("task_id", "question", "choices")
    questions = [
        Question(id=id, text=text, choices=("choices as written:", choices)) for id, text, choices in frame.iter_rows()
    ]
    drawn = split_questions(questions)
    numbers = cluster_duplicates(questions)
    folds_of = {(number, drawn.fold_of[q.id]) for number, q in zip(numbers, questions, strict=True)}
    assert len(folds_of) == len(set(numbers))
    assert drawn.frame["fold"].eq(HELD_OUT).mean() == pytest.approx(0.2, abs=0.005)
    assert estimate_random_leak(drawn) > 70


def _run(*arguments):
    return run_verb("split", *arguments)


def test_quorum_split_writes_held_out_answers_only_into_the_solution(tmp_path):
    questions = _questions(60)
    write_questions(questions, tmp_path / "all.csv")
    done = _run(tmp_path / "all.csv", "--out", tmp_path / "out", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    asked, learnt = (read_questions(tmp_path / "out" / f"{name}.parquet") for name in ("heldout", "train"))
    assert [question.answer for question in asked] == [None] * 15
    assert len(learnt) == 45
    solution = pl.read_csv(tmp_path / "out" / "heldout_solution.csv")
    answers = {question.id: question.answer for question in questions}
    assert solution.rows() == [(question.id, answers[question.id]) for question in asked]
    drawn = read_split(tmp_path / "out" / "split.parquet")
    assert json.loads(done.stdout)["fingerprint"] == drawn.fingerprint
    assert select_held_out(drawn, asked) == asked
    assert select_training_folds(drawn, learnt).questions == tuple(learnt)


def test_quorum_split_refuses_bad_input_in_one_line(tmp_path):
    write_questions(strip_answers(_questions(30)), tmp_path / "unsolved.parquet")
    done = _run(tmp_path / "unsolved.parquet", "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "none of its 30 questions has an answer" in done.stderr
    assert not (tmp_path / "train.parquet").exists()
