"""Stages of the ladder that use what others answered, or every label: the vote, the cascade and folds."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quorum.competition.climb import Attempt, Combination, StageFailed
from quorum.competition.folder import find_competition
from quorum.competition.ladder import CrossFit, Ladder, climb_ladder
from quorum.competition.ladder_runs import LadderRuns
from quorum.competition.prepare import PreparedCompetition, prepare_competition
from quorum.competition.run import CompetitionRun
from quorum.competition.stages import CASCADE_STAGE, FOLDS_STAGE, VOTE_STAGE, Stage, Training
from quorum.competition.step import KernelStep, StepResult
from quorum.competition.workspace import Workspace
from quorum.config import from_table
from quorum.data.read import read_questions
from quorum.files.answers import make_answers, write_answers
from quorum.files.manifest import RunManifest, write_manifest
from quorum.files.run_folder import RunFolder
from quorum.files.solution import SolvedRow, make_solution
from quorum.train.settings import TrainSettings
from tests.support.competitions import write_random_competition

SOLUTION = [SolvedRow(id=f"q{number}", answer="A") for number in range(200)]


def right_on(count: int) -> Attempt:
    """Answers of which the first `count` are right."""
    return Attempt({row.id: {"A" if n < count else "B": 1.0} for n, row in enumerate(SOLUTION)}, 1.0, 0.1)


def join(attempt: Attempt, members: tuple[str, ...]) -> Combination:
    return Combination(attempt.ballots, attempt.calls, attempt.seconds, attempt.settings, members)


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PreparedCompetition:
    write_random_competition(tmp_path, 800)
    monkeypatch.chdir(tmp_path)
    return prepare_competition(find_competition(tmp_path), Workspace(), 0.5, 42)


def test_each_question_is_voted_on_by_a_rule_that_was_selected_without_its_cluster(
    prepared: PreparedCompetition,
) -> None:
    chance, solution = random.Random(2), make_solution(prepared.held_out)
    attempts = {
        name: Attempt(
            {row.id: {row.answer if chance.random() < skill else chance.choice("ABC"): 1.0} for row in solution},
            1.5,
            0.1,
        )
        for name, skill in (("base", 0.7), ("x", 0.7), ("y", 0.1))
    }
    runs = LadderRuns(prepared=prepared, member=Path("member.toml"), report=print)
    chosen = solution[:24]
    vote = runs.vote(attempts, chosen)
    assert (vote.calls, vote.seconds) == (4.5, pytest.approx(0.3))
    assert vote.ballots.keys() == {row.id for row in solution}, "the others are voted on too, by the rule of the chosen"
    for row in chosen[:8]:
        lie = [
            replace(other, answer=next(a for a in "ABC" if a != row.answer)) if other is row else other
            for other in chosen
        ]
        assert runs.vote(attempts, lie).ballots[row.id] == vote.ballots[row.id]


def test_a_cascade_takes_confident_cheap_answers_and_costs_less_than_the_last_kept_member(
    prepared: PreparedCompetition,
) -> None:
    solution = make_solution(prepared.held_out)
    runs = LadderRuns(prepared=prepared, member=Path("member.toml"), report=print)

    def answer(right: int, seconds: float, sure: float) -> Attempt:
        """Return answers of which the first `right` are right and given with probability `sure`."""
        rest = {
            row.id: {next(label for label in "ABC" if label != row.answer): 0.4, "Z": 0.3} for row in solution[right:]
        }
        known = {row.id: {row.answer: sure, "Z": 1 - sure} for row in solution[:right]}
        return Attempt(known | rest, 1.0, seconds, {"backend.model": "large"} if seconds > 1 else {})

    stage, large = Stage(CASCADE_STAGE), answer(len(solution), 2.0, 0.6)
    half = len(solution) // 2
    found = runs.combine(stage, "large", {"base": answer(half, 0.5, 0.9), "large": large}, solution)
    taken = [row.id for row in solution if found.ballots[row.id] != large.ballots[row.id]]
    assert 0 < len(taken) <= half
    assert found.seconds == pytest.approx(0.5 + 2.0 * (1 - len(taken) / len(solution)))
    assert found.members == ("base",)
    assert found.settings == {"backend.model": "large", "limits.cascade.run": "vote"}
    with pytest.raises(StageFailed, match="no member tried costs less than half"):
        runs.combine(stage, "large", {"base": answer(half, 1.5, 0.9), "large": large}, solution)


def test_a_kept_cascade_is_the_winner_with_its_cheap_members_and_without_further_combinations() -> None:
    combined: list[list[str]] = []

    def combine(stage: Stage, last: str, attempts: Mapping[str, Attempt], solution: Sequence[SolvedRow]) -> Combination:
        combined.append(list(attempts))
        settings = {**attempts["x"].settings, "limits.cascade.run": "vote"}
        return join(replace(right_on(180), settings=settings), ("base",))

    def attempt(on: tuple[Stage, ...]) -> Attempt:
        return replace(right_on(100 + 40 * len(on)), settings={f"{each.name}.on": True for each in on})

    stages = [Stage("x"), Stage(CASCADE_STAGE), Stage(VOTE_STAGE)]
    found = climb_ladder(stages, attempt, SOLUTION, "accuracy", combine=combine)
    assert [rung.kept for rung in found.rungs] == [True, True, True, False]
    assert combined == [["base", "x"], ["base", "x"]]
    assert found.voters == {"base": {}, "cascade": {"x.on": True, "limits.cascade.run": "vote"}}


def test_in_folds_a_held_out_question_is_answered_by_what_learns_from_all_others_but_its_family(
    prepared: PreparedCompetition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: dict[str, set[str]] = {}  # by held-out question

    def run(part: PreparedCompetition, arm: Any, group: str, report: Any) -> Any:
        assert group == part.part, "runs of parts are not mixed with those of the whole"
        train = {question.id for question in read_questions(part.files.train)}
        learnt.update({question.id: train for question in read_questions(part.files.held_out)})
        folder = RunFolder(tmp_path / "out" / part.part)
        write_answers(make_answers("m", {question.id: {"A": 1.0} for question in part.held_out}), folder.held_out)
        counts = {"heldout": len(part.held_out)}
        write_manifest(
            RunManifest(
                run="m", questions={"heldout": part.part}, counts=counts, prompt={}, precision={}, calls=counts
            ),
            folder.manifest,
        )
        return CompetitionRun(name="m", folder=folder, config={}, seconds=2.0), None

    monkeypatch.setattr("quorum.competition.ladder_runs.run_arm", run)
    member = Path("member.toml")
    member.write_text(member.read_text().replace('"fake"', '"encoder"'))
    runs = LadderRuns(prepared=prepared, member=member, report=print)
    folds = Stage(FOLDS_STAGE)
    with pytest.raises(StageFailed, match="learns from no label"):
        runs.attempt((folds,))
    found = runs.attempt((Stage("retrieval", {"retrieval.examples": 3}), folds))
    asked = {question.id for question in prepared.held_out}
    assert found.ballots.keys() == learnt.keys() == asked
    assert found.seconds == pytest.approx(5 * 2.0 / len(asked))
    everything = {question.id for question in read_questions(prepared.files.train)} | asked
    cluster, parts = prepared.clusters, {frozenset(train) for train in learnt.values()}
    assert len(parts) == 5
    for id, train in learnt.items():
        family = {other for other in everything if cluster[other] == cluster[id]}
        assert family.isdisjoint(train)
        assert everything - train <= asked, "all of train is used"
        assert len(everything - train) < 0.5 * len(asked), "and most other held-out questions"


def test_folds_that_are_kept_vote_in_place_of_the_member_they_are_of() -> None:
    seen: list[list[str]] = []

    def combine(stage: Stage, last: str, attempts: Mapping[str, Attempt], solution: Sequence[SolvedRow]) -> Combination:
        seen.append(list(attempts))
        return join(right_on(100), tuple(attempts))

    def climb(gain: int) -> Ladder:
        def attempt(on: tuple[Stage, ...]) -> Attempt:
            return right_on(100 + (40 if on else 0) + (gain if on and on[-1].folds else 0))

        stages = [Stage("x"), Stage(FOLDS_STAGE), Stage(VOTE_STAGE)]
        return climb_ladder(stages, attempt, SOLUTION, "accuracy", combine=combine)

    assert (climb(0).folds, climb(40).folds) == (0, 5)
    assert seen == [["base", "x"], ["base", FOLDS_STAGE]]


def test_members_that_were_tried_vote_at_the_end_and_are_the_winner_together() -> None:
    seen: list[tuple[int, list[str]]] = []

    def combine(stage: Stage, last: str, attempts: Mapping[str, Attempt], solution: Sequence[SolvedRow]) -> Combination:
        assert (stage.name, last) == (VOTE_STAGE, "base")
        seen.append((len(solution), list(attempts)))
        return join(right_on(190), tuple(attempts))

    clusters = {row.id: number for number, row in enumerate(SOLUTION)}
    stages = [Stage("x", {"x.on": True}), Stage("y", {"y.on": True}), Stage(VOTE_STAGE)]
    found = climb_ladder(
        stages,
        lambda on: right_on(100 + 2 * len(on)),
        SOLUTION,
        "accuracy",
        cross_fit=CrossFit(clusters=clusters, folds=4),
        combine=combine,
    )
    assert [rung.kept for rung in found.rungs] == [True, False, False, True]
    assert list(found.voters) == ["base", "x", "y"]
    assert seen == [(200, ["base", "x", "y"]), *[(150, ["base", "x", "y"])] * 4]
    alone = climb_ladder(stages[2:], lambda on: right_on(100), SOLUTION, "accuracy", combine=combine)
    assert alone.skipped == {VOTE_STAGE: "there is no second member"}


@pytest.mark.parametrize(("style", "target"), [("option", "option"), ("letter", None)])
def test_a_model_that_scores_the_texts_of_options_learns_to_write_them(
    prepared: PreparedCompetition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: str, target: str | None
) -> None:
    settings: list[Mapping[str, Any]] = []

    def run(step: KernelStep, report: Any) -> StepResult:
        settings.append(step.settings)
        from_table(TrainSettings, step.read_settings(), "the step")
        return StepResult(1.0, True)

    monkeypatch.setattr("quorum.competition.ladder_runs.run_step", run)
    monkeypatch.setattr("quorum.competition.ladder_runs.find_trained", lambda out: Path(out) / "adapter")
    member, toml = Path("causal.toml"), tmp_path / "lora.toml"
    member.write_text(f'prompt.style = "{style}"\n[backend]\nname = "transformers"\nmodel = "m"\n')
    toml.write_text('run = "lora"\n[trainer]\nname = "sft"\nmodel = "other"\n')
    runs = LadderRuns(prepared=prepared, member=member, report=print)
    stage = Stage("lora", training=Training(toml))
    with pytest.raises(StageFailed):  # there is no such adapter
        runs.attempt((stage,))
    (given,) = settings
    assert (given["trainer.model"], given.get("rows.style", "letter"), given.get("rows.target")) == ("m", style, target)
