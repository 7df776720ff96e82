"""An answer as label weights: winner, probabilities, temperature."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ballot import (
    Ballot,
    apply_temperature,
    average_ballots,
    average_ballots_geometrically,
    compute_negative_log_likelihood,
    compute_share_right,
    find_heaviest,
    fit_temperature,
    is_right,
    is_unread,
    make_softmax_ballot,
    normalise_ballot,
    rank_labels,
)
from quorum.question import letters

some_ballots = st.lists(st.floats(0.001, 1), min_size=2, max_size=26).map(
    lambda weights: normalise_ballot(dict(zip(letters(len(weights)), weights, strict=True)))
)


def test_the_heaviest_label_wins_and_a_tie_goes_to_the_first_in_the_alphabet() -> None:
    assert find_heaviest({"C": 2.0, "B": 2.0, "A": 1.0}) == "B"
    assert rank_labels({"C": 2.0, "B": 2.0, "A": 1.0}) == ["B", "C", "A"]
    assert rank_labels({}) == []


def test_a_ballot_without_weight_is_unread_and_wrong() -> None:
    assert is_unread({})
    assert is_unread({"A": 0.0})
    assert not is_right({"A": 0.0}, "A")
    assert not is_right({}, "A")
    assert compute_share_right(
        {"p": {"A": 1.0}, "q": {"A": 0.0}, "r": {}}, {"p": "A", "q": "A", "r": "A"}
    ) == pytest.approx(1 / 3)
    assert compute_share_right({}, {}) == 0.0


def test_normalised_weights_sum_to_1_even_where_their_sum_is_not_finite() -> None:
    assert normalise_ballot({"A": 9.0, "B": 1.0}) == {"A": 0.9, "B": 0.1}
    assert normalise_ballot({"A": 1e308, "B": 1e308}) == {"A": 0.5, "B": 0.5}
    assert normalise_ballot({"A": 0.0, "B": 0.0}) == {"A": 0.5, "B": 0.5}
    assert normalise_ballot({}) == {}


def test_an_empty_ballot_is_no_part_of_a_mean_and_stays_empty_at_any_temperature() -> None:
    assert average_ballots([{}, {}]) == {}
    assert average_ballots([{}, {"A": 1.0, "B": 3.0}]) == {"A": 0.25, "B": 0.75}
    assert apply_temperature({}, 2.0) == {}
    assert make_softmax_ballot({}) == {}


def test_the_geometric_mean_takes_the_mean_of_logarithms() -> None:
    mean = average_ballots_geometrically([{"A": 0.8, "B": 0.2}, {"A": 0.2, "B": 0.8}, {"A": 0.5, "B": 0.5}])
    assert mean == pytest.approx({"A": 0.5, "B": 0.5})
    assert average_ballots_geometrically([{"A": 0.9, "B": 0.1}])["A"] == pytest.approx(0.9)


def test_a_label_that_is_not_on_the_ballot_has_the_smallest_probability() -> None:
    assert compute_negative_log_likelihood({"A": 3.0, "B": 1.0}, "B") == pytest.approx(math.log(4))
    assert compute_negative_log_likelihood({"A": 1.0}, "B") == pytest.approx(-math.log(1e-12))
    assert compute_negative_log_likelihood({}, "B") == pytest.approx(-math.log(1e-12))


@given(some_ballots, st.floats(0.05, 20))
@settings(deadline=None)
def test_a_temperature_keeps_the_order_and_the_sum(ballot: Ballot, temperature: float) -> None:
    cooled = apply_temperature(ballot, temperature)
    assert list(cooled) == list(ballot)
    assert sum(cooled.values()) == pytest.approx(1)
    assert cooled[find_heaviest(ballot)] == pytest.approx(max(cooled.values()))


def test_a_label_without_weight_gets_none_at_any_temperature() -> None:
    assert apply_temperature({"A": 0.9, "B": 0.0, "C": 0.1}, 20.0)["B"] == 0.0
    assert apply_temperature({"A": 0.8, "B": 0.2}, 0.5) == pytest.approx({"A": 0.64 / 0.68, "B": 0.04 / 0.68})


@given(st.floats(0.3, 3.0))
@settings(deadline=None, max_examples=5)
def test_the_fitted_temperature_is_the_one_that_was_put_in(temperature: float) -> None:
    chance = np.random.default_rng(7)
    truth = chance.dirichlet(np.ones(4), size=3000)
    answers = ["ABCD"[chance.choice(4, p=row)] for row in truth]
    calibrated = [dict(zip("ABCD", map(float, row), strict=True)) for row in truth]
    distorted = [apply_temperature(ballot, 1 / temperature) for ballot in calibrated]
    assert fit_temperature(distorted, answers) == pytest.approx(temperature, rel=0.12)


@given(st.lists(st.tuples(some_ballots, st.sampled_from("ABCZ")), max_size=12))
@settings(deadline=None, max_examples=30)
def test_a_fitted_temperature_never_makes_its_own_questions_less_likely(pairs: list[tuple[Ballot, str]]) -> None:
    ballots, answers = [ballot for ballot, _ in pairs], [answer for _, answer in pairs]

    def loss(temperature: float) -> float:
        return sum(
            compute_negative_log_likelihood(apply_temperature(b, temperature), a)
            for b, a in zip(ballots, answers, strict=True)
        )

    assert loss(fit_temperature(ballots, answers)) <= loss(1.0)


@pytest.mark.parametrize("ballots", [[], [{}, {}, {}], [{"A": 1.0}, {"B": 1.0}, {}]])
def test_ballots_that_no_temperature_changes_have_temperature_1(ballots: list[Ballot]) -> None:
    assert fit_temperature(ballots, ["A"] * len(ballots)) == 1.0
