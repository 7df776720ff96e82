import json
from math import comb

import numpy as np
import pytest

from quorum.errors import BadInput
from quorum.evaluation.compare import compare_runs
from quorum.evaluation.metrics import score_answers
from quorum.files.solution import SolvedRow
from tests.support.verb import run_verb


def run_of(right):
    return {f"q{number}": {"A" if hit else "B": 1.0} for number, hit in enumerate(right)}


def solved(n, groups=None):
    return [SolvedRow(id=f"q{number}", answer="A", group=groups[number] if groups else None) for number in range(n)]


def test_the_difference_is_paired_and_its_error_that_of_the_mean_gain():
    first, second = [1, 1, 1, 0, 1, 0, 1, 1], [1, 0, 0, 1, 1, 0, 1, 0]
    pair = compare_runs({"a": run_of(first), "b": run_of(second)}, solved(8)).pairs[0]
    gains = np.subtract(first, second)
    assert (pair.first, pair.second, pair.only_first, pair.only_second) == ("a", "b", 3, 1)
    assert pair.difference == pytest.approx(gains.mean())
    assert pair.error == pytest.approx(gains.std(ddof=1) / 8**0.5)


def test_mcnemar_is_exact():
    first, second = [1] * 9 + [0] * 2 + [1] * 20, [0] * 9 + [1] * 2 + [1] * 20
    pair = compare_runs({"a": run_of(first), "b": run_of(second)}, solved(31)).pairs[0]
    assert pair.test == "exact McNemar"
    assert pair.p == pytest.approx(2 * sum(comb(11, k) for k in range(3)) / 2**11)


def test_equal_runs_tie():
    found = compare_runs({"a": run_of([1, 0, 1]), "b": run_of([1, 0, 1])}, solved(3))
    assert (found.pairs[0].p, found.pairs[0].difference, found.pairs[0].error) == (1.0, 0.0, 0.0)
    assert [run.tied for run in found.runs] == [True, True]


def test_the_best_is_compared_with_each_other_run_with_holm():
    n = 200
    runs = {"bad": run_of([0] * n), "good": run_of([1] * 120 + [0] * 80), "best": run_of([1] * 122 + [0] * 78)}
    found = compare_runs(runs, solved(n))
    assert [(run.run, run.tied) for run in found.runs] == [("best", True), ("good", True), ("bad", False)]
    assert {(pair.first, pair.second) for pair in found.pairs} == {("best", "good"), ("best", "bad")}
    by_second = {pair.second: pair for pair in found.pairs}
    assert by_second["bad"].adjusted == pytest.approx(2 * by_second["bad"].p)
    assert by_second["good"].adjusted == pytest.approx(by_second["good"].p)


def test_a_repeated_question_adds_no_certainty():
    random = np.random.default_rng(0)
    first, second = random.integers(2, size=60), random.integers(2, size=60)
    once = compare_runs({"a": run_of(first), "b": run_of(second)}, solved(60, [str(n) for n in range(60)])).pairs[0]
    twice = {"a": run_of(first.repeat(2)), "b": run_of(second.repeat(2))}
    pair = compare_runs(twice, solved(120, [str(n // 2) for n in range(120)])).pairs[0]
    assert pair.error == pytest.approx(once.error)
    assert pair.test == "paired, clustered, normal"


@pytest.mark.slow
def test_the_smallest_difference_is_found_four_times_in_five():
    random, n, found = np.random.default_rng(1), 400, []
    for _ in range(120):
        second = random.random(n) < 0.5
        first = np.where(random.random(n) < 0.25, random.random(n) < 0.5 + 0.205, second)
        found.append(compare_runs({"a": run_of(first), "b": run_of(second)}, solved(n)).pairs[0])
    truth, smallest = np.mean([pair.difference for pair in found]), np.mean([pair.smallest for pair in found])
    assert truth == pytest.approx(smallest, abs=0.01)
    assert np.mean([pair.p < 0.05 for pair in found]) == pytest.approx(0.8, abs=0.15)


@pytest.mark.parametrize("metric", ["accuracy", "map@2", "log-loss", "macro-f1"])
def test_values_are_those_of_the_score(metric):
    random = np.random.default_rng(2)
    runs = {
        name: {f"q{n}": dict(zip("ABC", random.random(3), strict=True)) if n % 7 else {} for n in range(50)}
        for name in ("a", "b", "c")
    }
    rows = [SolvedRow(id=f"q{n}", answer=str(random.choice(list("ABC"))), group=str(n // 3)) for n in range(50)]
    found = compare_runs(runs, rows, metric)
    values = {name: score_answers(ballots, rows, metric).overall.value for name, ballots in runs.items()}
    assert {run.run: run.value for run in found.runs} == pytest.approx(values)
    assert found.runs[0].value == (min if metric == "log-loss" else max)(values.values())
    assert all(pair.error > 0 for pair in found.pairs)


def test_single_runs_missing_questions_and_unknown_metrics_are_refused():
    with pytest.raises(BadInput, match="1 run; at least two"):
        compare_runs({"a": run_of([1])}, solved(1))
    with pytest.raises(BadInput, match="'b' lacks 1 of 2 questions: 'q1'"):
        compare_runs({"a": run_of([1, 1]), "b": run_of([1])}, solved(2))
    with pytest.raises(BadInput, match="metric"):
        compare_runs({"a": run_of([1]), "b": run_of([1])}, solved(1), "f1")


def test_quorum_compares_files(tmp_path):
    (tmp_path / "a.csv").write_text("id,answer\nq1,A\nq2,B\nq3,C\n")
    (tmp_path / "b.csv").write_text("id,answer\nq1,A\nq2,A\nq3,\n")
    (tmp_path / "gold.csv").write_text("id,answer\nq1,A\nq2,B\nq3,C\n")
    runs = (tmp_path / "a.csv", tmp_path / "b.csv")
    told = run_verb("compare", *runs, "--gold", tmp_path / "gold.csv", "--json")
    assert json.loads(told.stdout)["pairs"][0]["only_first"] == 2
    bad = run_verb("compare", *runs, "--gold", tmp_path / "none.csv")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "Traceback" not in bad.stderr
