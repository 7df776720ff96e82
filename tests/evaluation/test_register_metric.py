"""A metric from outside the package is scored and compared like a built-in one."""

from collections.abc import Mapping

import pytest

from quorum.errors import BadInput
from quorum.evaluation import metrics
from quorum.evaluation.compare import compare_runs
from quorum.evaluation.metrics import check_metric, register_metric, score_answers
from quorum.files.solution import SolvedRow

SOLUTION = [SolvedRow(id=str(number), answer="A") for number in range(4)]
SURE: dict[str, dict[str, float]] = {"0": {"A": 1.0}, "1": {"A": 1.0}, "2": {"B": 1.0}, "3": {}}
UNSURE: dict[str, dict[str, float]] = {
    "0": {"A": 0.5, "B": 0.5},
    "1": {"A": 0.9, "B": 0.1},
    "2": {"A": 0.2, "B": 0.8},
    "3": {"B": 1.0},
}


@pytest.fixture(autouse=True)
def no_other_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_registered_metrics", {})


def miss(ballot: Mapping[str, float], answer: str) -> float:
    """Return how much weight the ballot gives to wrong labels, times 10; 10 for an unread question."""
    return 10.0 * (1.0 - ballot.get(answer, 0.0))


def test_a_registered_metric_is_the_mean_of_its_function_with_a_standard_error() -> None:
    register_metric("miss", miss, lower_is_better=True)
    overall = score_answers(SURE, SOLUTION, "miss").overall
    assert overall.value == pytest.approx(5.0)
    assert overall.error == pytest.approx((100 / 3) ** 0.5 / 2)
    assert overall.error is not None
    assert overall.high is not None
    assert overall.low == pytest.approx(overall.value - 1.959964 * overall.error, abs=1e-4)  # not cut at 0 or 1
    assert overall.high > 1
    assert overall.unread == 1


def test_the_better_run_is_the_one_with_the_smaller_value_where_lower_is_better() -> None:
    runs = {"sure": SURE, "unsure": UNSURE, "right": {row.id: {"A": 1.0} for row in SOLUTION}}
    register_metric("miss", miss, lower_is_better=True)
    register_metric("hit", lambda ballot, answer: 10.0 - miss(ballot, answer))
    for metric in ("miss", "hit"):
        assert [run.run for run in compare_runs(runs, SOLUTION, metric).runs] == ["right", "sure", "unsure"]


@pytest.mark.parametrize("name", ["accuracy", "map@5", "log-loss", "macro-f1", "miss"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    register_metric("miss", miss)
    with pytest.raises(BadInput, match="exists already"):
        register_metric(name, miss)


def test_an_unknown_metric_is_refused_with_the_registered_ones_in_the_list() -> None:
    register_metric("miss", miss)
    with pytest.raises(BadInput, match="log-loss, miss"):
        check_metric("mis")
