import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quorum.competition.planner import Budget, Expectation, expect_member, make_budget, run_within_budget
from quorum.competition.run import CompetitionRun
from quorum.competition.step import StepRecord, write_step_record
from quorum.competition.workspace import Workspace
from quorum.errors import BadInput
from quorum.evaluation.ledger import Entry
from quorum.evaluation.metrics import Score
from quorum.files.run_folder import RunFolder


class Simulation:
    """Members with true gains and times that differ from what is expected, on a clock that only they move."""

    def __init__(self, seed):
        self.draw, self.now, self.order = random.Random(seed), 0.0, []
        self.expected = {
            Path(f"m{number}.toml"): Expectation(self.draw.uniform(0, 0.5), self.draw.lognormvariate(5, 2))
            for number in range(self.draw.randint(1, 9))
        }
        self.truth = {
            toml: Expectation(one.gain * self.draw.uniform(0.3, 1.5), one.seconds * self.draw.lognormvariate(0, 0.7))
            for toml, one in self.expected.items()
        }
        self.budget = Budget(end=self.draw.lognormvariate(6, 1.5), clock=lambda: self.now)

    def run(self, toml):
        self.order.append(toml)
        took = self.truth[toml].seconds
        if took > self.budget.left():  # its process is killed at the end
            self.now = self.budget.end
            return None
        self.now += took
        return CompetitionRun(name=toml.stem, folder=RunFolder(Path(toml.stem)), config={}, seconds=took)

    def measure(self, run):
        return self.truth[Path(f"{run.name}.toml")].gain

    def play(self, report=lambda line: None):
        return run_within_budget(self.expected, self.run, self.measure, self.budget, report)


def test_the_budget_is_kept_however_wrong_the_expectations_are():
    stopped = used = 0
    for seed in range(1000):
        simulation = Simulation(seed)
        done = simulation.play()
        assert simulation.now <= simulation.budget.end
        assert len(done) <= len(simulation.order) == len(set(simulation.order))
        stopped += len(simulation.order) - len(done)
        used += len(done)
    assert used > 1000
    assert stopped > 50  # the simulation does meet members that take longer than expected


def test_the_first_member_gains_the_most_per_second_of_those_that_fit():
    for seed in range(300):
        simulation = Simulation(seed)
        left = simulation.budget.left()
        simulation.play()
        fitting = {toml: one for toml, one in simulation.expected.items() if 1.25 * one.seconds <= left}
        if fitting:
            best = max(fitting, key=lambda toml: fitting[toml].gain / fitting[toml].seconds)
            assert simulation.order[0] == best
        else:
            assert not simulation.order


def test_a_member_that_is_worse_than_the_best_so_far_comes_after_one_that_may_be_better():
    simulation = Simulation(0)
    cheap, weak, strong = Path("cheap.toml"), Path("weak.toml"), Path("strong.toml")
    simulation.expected = {
        weak: Expectation(0.2, 100.0),
        strong: Expectation(0.4, 150.0),
        cheap: Expectation(0.3, 10.0),
    }
    simulation.truth, simulation.budget = simulation.expected, Budget(end=1000.0, clock=lambda: simulation.now)
    simulation.play()
    assert simulation.order == [cheap, strong, weak]


def test_what_is_not_started_is_reported():
    simulation = Simulation(0)
    lines: list[str] = []
    simulation.expected = {Path("slow.toml"): Expectation(0.5, 600.0)}
    simulation.budget = Budget(end=60.0, clock=lambda: simulation.now)
    assert simulation.play(lines.append) == []
    assert lines == ["slow: not started: about 10.0 minutes, and 1.0 minutes are left"]


def test_a_greedy_order_gains_more_than_the_given_order_within_the_same_time():
    planned = given = 0.0
    for seed in range(300):
        simulation = Simulation(seed)
        planned += max((simulation.measure(run) for run in simulation.play()), default=0.0)
        other = Simulation(seed)
        done = []
        for toml in other.expected:
            if other.budget.left() > 0 and (run := other.run(toml)):
                done.append(run)
        given += max((other.measure(run) for run in done), default=0.0)
    assert planned > 1.05 * given


def make_prepared(root) -> Any:
    """What `expect_member` asks of a competition."""
    return SimpleNamespace(name="toys", workspace=Workspace(root), held_out=[None] * 100, test=[None] * 300, folds=1)


def entry(name, value, seconds, **more):
    known = {
        "name": name,
        "submission": f"{name}.csv",
        "sha256": "",
        "config": {"backend": {"name": "encoder"}},
        "commit": "",
        "data": "",
        "split": "s",
        "metric": "accuracy",
        "held_out": Score(value=value, n=50, unread=0, error=0.01, low=0.0, high=1.0),
        "members": (),
        "unread_test": 0,
        "seconds": seconds,
        "when": "",
    }
    return Entry(**known | more)


@pytest.fixture
def member(tmp_path):
    path = tmp_path / "encoder.toml"
    path.write_text('run = "encoder"\n[backend]\nname = "encoder"\n')
    return path


def test_earlier_runs_show_what_a_member_gains_and_takes(tmp_path, member):
    prepared = make_prepared(tmp_path)
    typical = expect_member(prepared, member, [])
    assert typical == Expectation(0.06, 15 + 400 * 0.02)
    earlier = [entry("prior", 0.25, 0.0, config={}), entry("encoder", 0.55, 20.0)]
    found = expect_member(prepared, member, earlier)
    assert found.gain == pytest.approx(0.3)
    assert found.seconds == pytest.approx(20.0 / 50 * 100)
    other = [entry("encoder", 0.55, 20.0, config={"backend": {"name": "vllm"}})]
    assert expect_member(prepared, member, other) == typical


def test_a_member_that_is_finished_takes_no_time(tmp_path, member):
    prepared = make_prepared(tmp_path)
    folder = prepared.workspace.run("toys", "encoder").path
    folder.mkdir(parents=True)
    write_step_record(folder, StepRecord(inputs={}, outputs={"test.parquet": "1"}))
    assert expect_member(prepared, member, []).seconds == 0.0


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf")])
def test_a_budget_that_is_no_time_is_refused(tmp_path, hours):
    with pytest.raises(BadInput, match="above 0"):
        make_budget(hours, 3, make_prepared(tmp_path), 0.0)


def test_the_vote_has_time_after_the_members(tmp_path):
    budget = make_budget(1.0, 4, make_prepared(tmp_path), 100.0)
    assert budget.end == pytest.approx(100.0 + 3600 - 30 - 0.001 * 4 * 400)
    assert make_budget(0.01, 4, make_prepared(tmp_path), 0.0).end == pytest.approx(27.0)
    assert replace(budget, clock=lambda: 0.0).left() == budget.end
