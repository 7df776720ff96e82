"""Every interval depends on n, also where every answer is right or every one wrong."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from quorum.evaluation.certainty import compute_bounded_interval, compute_standard_error
from quorum.evaluation.compare import compare_runs
from quorum.evaluation.metrics import score_answers
from quorum.files.solution import SolvedRow

METRICS = ["accuracy", "map@3", "macro-f1", "log-loss"]


def score_all(n, metric, right, group=None):
    rows = [SolvedRow(id=str(k), answer="ABCD"[k % 4], group=group and group(k)) for k in range(n)]
    wrong = {"A": "B", "B": "C", "C": "D", "D": "A"}
    ballots = {row.id: {row.answer if right else wrong[row.answer]: 1.0} for row in rows}
    return score_answers(ballots, rows, metric).overall


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("right", [True, False])
def test_an_interval_at_the_extremes_has_a_width_that_shrinks_with_n(metric, right):
    widths = [(score.high - score.low) for score in (score_all(n, metric, right) for n in (8, 40, 400, 4000))]
    assert all(wide > narrow > 0 for wide, narrow in zip(widths, widths[1:], strict=False)), widths


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("right", [True, False])
def test_an_interval_at_the_extremes_holds_the_value_and_is_wider_where_questions_come_in_groups(metric, right):
    alone, grouped = score_all(40, metric, right), score_all(40, metric, right, lambda k: str(k // 8))
    assert alone.low <= alone.value <= alone.high
    assert grouped.high - grouped.low > alone.high - alone.low


@pytest.mark.parametrize("shares", [(0.9, 0.05, 0.03, 0.02), (0.5, 0.2, 0.1, 0.2), (0.02, 0.03, 0.05, 0.9)])
@pytest.mark.parametrize("n", [20, 200])
def test_the_interval_of_map_covers_the_truth_19_times_in_20(shares, n):
    values, random = np.array([1, 1 / 2, 1 / 3, 0]), np.random.default_rng(7)
    truth, draws = float(values @ np.array(shares)), 600
    hits = 0
    for _ in range(draws):
        sample = random.choice(values, size=n, p=shares)
        low, high = compute_bounded_interval(sample, compute_standard_error(sample, [None] * n), [None] * n, (0.0, 1.0))
        hits += low <= truth <= high
    assert hits / draws >= 0.93


def test_the_interval_of_zeros_and_ones_is_agresti_and_coulls():
    values = np.array([1.0] * 7 + [0.0] * 23)
    found = compute_bounded_interval(values, compute_standard_error(values, [None] * 30), [None] * 30, (0.0, 1.0))
    assert found == pytest.approx(proportion_confint(7, 30, method="agresti_coull"), abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_a_difference_that_is_the_same_everywhere_has_a_width_and_a_p_that_shrink_with_n(metric):
    found = []
    for n in (4, 16, 64):
        rows = [SolvedRow(id=str(k), answer="AB"[k % 2]) for k in range(n)]
        right = {row.id: {row.answer: 1.0} for row in rows}
        wrong = {row.id: {"AB".replace(row.answer, ""): 1.0} for row in rows}
        found.append(compare_runs({"right": right, "wrong": wrong}, rows, metric).pairs[0])
    assert all(pair.low <= pair.difference <= pair.high for pair in found)
    assert found[0].high - found[0].low > found[1].high - found[1].low > found[2].high - found[2].low > 0
    assert found[1].p > found[2].p
    assert metric == "macro-f1" or found[0].p > 0.05 > found[1].p
