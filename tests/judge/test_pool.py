from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ballot import rank_labels
from quorum.files.answers import ANSWERS, ballots_from_answers, check_answers, make_answers
from quorum.judge.ensemble import unsupervised
from quorum.judge.ensemble.pool import POOLING_DEPTH, average_probabilities, pool_logprobs, vote_majority
from quorum.judge.ensemble.unsupervised import vote_dawid_skene


def frame_of(**runs):
    return pl.concat([make_answers(name, ballots) for name, ballots in runs.items()])


def first_labels(votes):
    return {id: next(iter(rank_labels(ballot)), None) for id, ballot in ballots_from_answers(votes).items()}


def test_the_label_with_most_votes_wins():
    runs = frame_of(x={"q": {"A": 1.0}}, y={"q": {"B": 1.0}}, z={"q": {"B": 1.0}})
    assert first_labels(vote_majority(runs)) == {"q": "B"}


def test_a_tie_goes_to_the_first_run():
    runs = frame_of(x={"q": {"C": 1.0}}, y={"q": {"A": 1.0}}, z={"q": {"B": 1.0}})
    assert first_labels(vote_majority(runs)) == {"q": "C"}
    assert first_labels(average_probabilities(runs)) == {"q": "C"}
    assert first_labels(pool_logprobs(runs)) == {"q": "C"}


def test_an_unread_ballot_has_no_vote_and_a_question_nobody_read_stays_unread():
    runs = frame_of(x={"p": {}, "q": {}}, y={"p": {"B": 1.0}, "q": {}})
    for votes in (vote_majority(runs), average_probabilities(runs), pool_logprobs(runs)):
        assert ballots_from_answers(votes) == {"p": {"B": pytest.approx(1.0)}, "q": {}}


def test_one_run_is_a_vote_of_one():
    run = frame_of(x={"q": {"A": 2.0, "B": 6.0}})
    assert ballots_from_answers(vote_majority(run)) == {"q": {"B": pytest.approx(1.0)}}
    assert ballots_from_answers(average_probabilities(run)) == {
        "q": {"B": pytest.approx(0.75), "A": pytest.approx(0.25)}
    }
    assert ballots_from_answers(pool_logprobs(run, {"x": POOLING_DEPTH}))["q"]["B"] == pytest.approx(0.75)


def test_weights_are_votes_and_a_run_without_weight_has_none():
    runs = frame_of(x={"q": {"A": 1.0}}, y={"q": {"B": 1.0}}, z={"q": {"C": 1.0}})
    assert ballots_from_answers(vote_majority(runs, {"x": 1, "y": 3})) == {
        "q": {"B": pytest.approx(0.75), "A": pytest.approx(0.25)}
    }


def test_the_geometric_mean_lets_one_sure_run_rule_a_label_out():
    runs = frame_of(
        x={"q": {"A": 0.999999, "B": 0.000001}}, y={"q": {"A": 0.3, "B": 0.7}}, z={"q": {"A": 0.3, "B": 0.7}}
    )
    assert first_labels(vote_majority(runs)) == {"q": "B"}
    assert first_labels(pool_logprobs(runs)) == {"q": "A"}


ballots = st.dictionaries(st.sampled_from("ABCD"), st.floats(0.001, 1000), max_size=4)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(ballots, min_size=3, max_size=3), min_size=1, max_size=5))
def test_whatever_is_voted_on_comes_out_as_well_formed_ballots_in_the_same_order(runs):
    answers = frame_of(**{f"r{n}": dict(zip("pqr", given, strict=True)) for n, given in enumerate(runs)})
    for votes in (
        vote_majority(answers),
        average_probabilities(answers),
        pool_logprobs(answers),
    ):
        assert check_answers(votes, "votes").schema == ANSWERS
        assert list(ballots_from_answers(votes)) == ["p", "q", "r"]
        for id, ballot in ballots_from_answers(votes).items():
            assert set(ballot) <= set(answers.filter(pl.col("id") == id)["label"].drop_nulls())
            assert not ballot or sum(ballot.values()) == pytest.approx(1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from("ABCD"), min_size=1, max_size=7))
def test_the_majority_is_what_counting_says(labels):
    answers = frame_of(**{f"r{n}": {"q": {label: 1.0}} for n, label in enumerate(labels)})
    assert first_labels(vote_majority(answers))["q"] == max(
        labels, key=lambda label: (labels.count(label), -labels.index(label))
    )


def test_runs_in_the_same_order_of_questions_vote_as_runs_in_any_other():
    ids = [f"q{number}" for number in range(30)]
    runs = {
        name: {id: {"ABC"[(3 * place + shift) % 5 % 3]: 1.0} for place, id in enumerate(ids)}
        for shift, name in enumerate("xyz")
    }
    ordered = frame_of(**runs)
    moved = frame_of(**{**runs, "y": dict(reversed(runs["y"].items()))})
    assert ballots_from_answers(vote_majority(ordered)) == ballots_from_answers(vote_majority(moved))
    repeated = pl.concat([frame_of(x={"q": {"A": 1.0, "B": 0.5}, "p": {"B": 1.0}}), frame_of(y={"q": {"B": 1.0}})])
    assert first_labels(vote_majority(repeated)) == {"q": "A", "p": "B"}
    assert len(vote_majority(ordered.clear())) == 0


def test_dawid_skene_stops_where_fifty_steps_end():
    random = np.random.default_rng(0)
    gold = random.integers(4, size=300)
    runs = {
        f"run{number}": {
            f"q{place}": {"ABCD"[right if random.random() < 0.4 + number / 20 else random.integers(4)]: 1.0}
            for place, right in enumerate(gold)
        }
        for number in range(6)
    }
    found = vote_dawid_skene(frame_of(**runs))
    with mock.patch.object(unsupervised, "SETTLED", -1.0):
        whole = vote_dawid_skene(frame_of(**runs))
    both = found.join(whole, on=["id", "label"], suffix="_whole")
    assert len(both) == len(whole) == len(found)
    assert both.select((pl.col("weight") - pl.col("weight_whole")).abs().max()).item() < 1e-6
