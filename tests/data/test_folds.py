"""Folds of which each is held out once: all questions, whole clusters, the same on every machine."""

import pytest

from quorum.data.folds import hold_out_fold, split_into_folds
from quorum.data.split import HELD_OUT, select_held_out, select_training_folds
from quorum.errors import BadInput
from quorum.question import Question
from tests.support.families import COPIES, Planter


def plant(rows: int = 120) -> list[Question]:
    questions = Planter(3).plant(COPIES[0], [2, 3, 5, 8], rows)
    return [
        Question(id=each.id, text=each.text, choices=each.choices, answer="ABCD"[n % 4])
        for n, each in enumerate(questions)
    ]


@pytest.mark.parametrize("folds", [2, 3, 10])
def test_each_question_is_held_out_in_one_fold_with_its_cluster(folds: int) -> None:
    questions = plant()
    split = split_into_folds(questions, folds)
    assert split.held_out == frozenset()
    assert split.scored == {question.id for question in questions}
    assert split.folds == list(range(1, folds + 1))
    held: list[str] = []
    for fold in split.folds:
        own = hold_out_fold(split, questions, fold)
        assert own.folds == [1, 2, 3, 4, 5]
        ids = [question.id for question in select_held_out(own, questions)]
        assert own.scored == own.held_out == set(ids) == {id for id, one in split.fold_of.items() if one == fold}
        learnt = {question.id for question in select_training_folds(own, questions).questions}
        assert learnt == split.scored - set(ids)
        families = {id.rpartition("-")[0] for id in ids}
        assert not families & {id.rpartition("-")[0] for id in learnt}
        held += ids
    assert sorted(held) == sorted(split.scored)
    sizes = [list(split.fold_of.values()).count(fold) for fold in split.folds]
    assert max(sizes) - min(sizes) <= 8


def test_with_no_fold_held_out_all_questions_are_in_training_folds() -> None:
    questions = plant()
    split = split_into_folds(questions, 3)
    full = hold_out_fold(split, questions, None)
    assert full.folds == [1, 2, 3, 4, 5]
    assert HELD_OUT not in full.fold_of.values()
    assert full.frame["cluster"].to_list() == split.frame["cluster"].to_list()


def test_the_order_of_rows_does_not_matter_and_seed_and_number_do() -> None:
    questions = plant()
    split = split_into_folds(questions, 4)
    assert split_into_folds(questions[::-1], 4).fingerprint == split.fingerprint
    assert hold_out_fold(split, questions[::-1], 2).fingerprint == hold_out_fold(split, questions, 2).fingerprint
    others = {split_into_folds(questions, 4, seed=1).fingerprint, split_into_folds(questions, 5).fingerprint}
    assert split.fingerprint not in others


def test_too_few_clusters_are_refused() -> None:
    questions = plant()[:8]
    with pytest.raises(BadInput, match="4 folds, each held out once, need at least 9"):
        split_into_folds(questions, 4)
    with pytest.raises(BadInput, match="the number of folds is 1; allowed are 2 to 250"):
        split_into_folds(questions, 1)
