"""Sweep a member: score every candidate on the held-out questions, and let the best one answer the test questions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np

from quorum.ballot import Ballot
from quorum.competition.arms import Arm
from quorum.competition.folder import find_competition
from quorum.competition.lock import lock_competition
from quorum.competition.prepare import HELD_OUT_SHARE, SPLIT_SEED, PreparedCompetition, prepare_competition
from quorum.competition.record import accept_entries, record_run
from quorum.competition.run import CompetitionRun, make_member_settings
from quorum.competition.step import KernelStep, run_step
from quorum.competition.workspace import Workspace
from quorum.config import apply_overrides, read_table
from quorum.data.read import write_questions
from quorum.data.repair import read_clean_questions
from quorum.data.split import read_split, strip_answers
from quorum.data.split_folder import SplitFolder
from quorum.disk import replace_file
from quorum.errors import BadInput
from quorum.evaluation.compare import PairedDifference, compare_runs
from quorum.evaluation.ledger import Entry
from quorum.evaluation.metrics import score_answers, score_question
from quorum.evaluation.sweep import (
    Candidate,
    Trial,
    estimate_nested_accuracy,
    list_candidates,
    pick_trial,
    reaches_floor,
    write_checkpoint_scores,
)
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.run_folder import RunFolder
from quorum.files.solution import make_solution
from quorum.question import Question

_PICKED = "picked"  # the folder of the answers that are submitted


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """The candidates of a sweep, and the rule that picks one.

    `trained` is an output folder of kernels/train.py, whose checkpoints are candidates. `second` are more solved
    questions: only candidates with an accuracy of at least `floor` on them can be picked.
    """

    member: Path  # a TOML of kernels/infer.py
    candidates: Sequence[Candidate]
    trained: Path | None = None
    second: Sequence[Question] = ()
    floor: float | None = None

    @property
    def name(self) -> str:
        """The name of the picked run."""
        return f"{self.member.stem}-sweep"


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep: all trials, and which one is picked."""

    trials: Sequence[Trial]
    place: int  # index of the picked trial
    expected: float  # estimated accuracy of the pick on new questions
    difference: PairedDifference | None  # between the picked and the first trial; None if the first is picked

    @property
    def picked(self) -> Trial:
        """The picked trial."""
        return self.trials[self.place]


def plan_sweep(
    member: Path, trained: Path | None, grid: Sequence[str], second: Path | None, floor: float | None
) -> SweepPlan:
    """Return the plan for every checkpoint of `trained` with every combination of the grid.

    Raises:
        BadInput: a grid is not key=value,value, only one of `second` and `floor` is given, or there are fewer than two
            candidates.
    """
    if (second is None) != (floor is None):
        raise BadInput("--second and --floor go together: more solved questions, and the minimum accuracy on them")
    solved = read_clean_questions(second) if second else []
    candidates = list_candidates(trained, parse_grid(grid))
    return SweepPlan(member=member, candidates=candidates, trained=trained, second=solved, floor=floor)


def parse_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Parse settings written as key=value,value; values are TOML or plain text.

    Raises:
        BadInput: a text has no "=".
    """
    grid = {}
    for text in texts:
        setting, equals, values = text.partition("=")
        if not equals:
            raise BadInput(f"--grid {text!r} is not key=value,value")
        grid[setting] = [apply_overrides({}, [f"value={value}"], "--grid")["value"] for value in values.split(",")]
    return grid


def run_sweep(
    folder: Path,
    workspace: Workspace,
    plan: SweepPlan,
    held_out: float = HELD_OUT_SHARE,
    seed: int = SPLIT_SEED,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[Sweep, list[Entry]]:
    """Score all candidates, and let the picked one answer the test questions.

    Finished candidates of an earlier sweep are reused, as long as nothing that they depend on has changed; one that was
    interrupted goes on where it was.

    Returns:
        The sweep, and its ledger entry if the submission is legal. The entry counts one evaluation of the held-out
        questions for each candidate.

    Raises:
        BadInput: the training held out other questions than those scored here.
    """
    competition = find_competition(folder)
    with lock_competition(workspace, competition.name, report):
        prepared = prepare_competition(competition, workspace, held_out, seed, report)
        if plan.trained is not None:
            check_held_out(prepared.split.fingerprint, plan.trained)
        sweep = _try_candidates(prepared, plan, report)
        entry = record_run(prepared, _answer_test(prepared, plan, sweep, report))
        return sweep, accept_entries(prepared, [replace(entry, evaluations=len(plan.candidates))], report)


def check_held_out(split: str, trained: Path) -> None:
    """Check that a training used the split with this fingerprint.

    Raises:
        BadInput: it used another one.
    """
    path = SplitFolder(trained).split
    if read_split(path).fingerprint != split:
        raise BadInput(
            f"{path} is not the split used here, so the model may have been trained on the questions that score it;"
            " give the train file, --held-out and --seed of its training"
        )


def _try_candidates(prepared: PreparedCompetition, plan: SweepPlan, report: Callable[[str], None]) -> Sweep:
    """Score every candidate, pick the best and compare it with the first."""
    scores = (plan.trained or prepared.workspace.run(prepared.name, plan.name).path) / "checkpoint_scores.csv"
    trials: list[Trial] = []
    ballots: list[dict[str, Ballot]] = []
    for candidate in plan.candidates:
        trial, own = _try_candidate(prepared, candidate, plan, report)
        report(f"{candidate.name}: accuracy {trial.accuracy:.3f}, {trial.seconds:.0f} s")
        trials.append(trial)
        ballots.append(own)
        write_checkpoint_scores(scores, trials)
    picked, solution = pick_trial(trials, plan.floor), make_solution(prepared.held_out)
    allowed = [own for own, trial in zip(ballots, trials, strict=True) if reaches_floor(trial, plan.floor)]
    right = np.array([[score_question(own[row.id], row.answer, "accuracy") > 0 for row in solution] for own in allowed])
    clusters = prepared.clusters
    expected = estimate_nested_accuracy(right, [clusters[row.id] for row in solution])
    if picked == 0:
        return Sweep(trials, picked, expected, None)
    runs = {trials[picked].candidate.name: ballots[picked], trials[0].candidate.name: ballots[0]}
    return Sweep(trials, picked, expected, compare_runs(runs, solution).pairs[0])


def _try_candidate(
    prepared: PreparedCompetition,
    candidate: Candidate,
    plan: SweepPlan,
    report: Callable[[str], None],
) -> tuple[Trial, dict[str, Ballot]]:
    """Score a candidate on the held-out questions and on the second file; return the trial and the held-out ballots."""
    folder = _find_trial_folder(prepared, plan, candidate)
    files = [prepared.files.held_out]
    second = folder.path / "questions" / "second.parquet"
    if plan.second:
        files.append(second)
        write_questions(strip_answers(plan.second), second)
    settings = _make_candidate_settings(prepared, candidate, plan, files, folder) | {"sample": "", "limits.journal": ""}
    seconds = run_step(KernelStep(story="infer", toml=plan.member, settings=settings), report).seconds
    ballots = ballots_from_answers(read_answers(folder.held_out))
    score = score_answers(ballots, make_solution(prepared.held_out)).overall
    value = None
    if plan.second:
        answers = ballots_from_answers(read_answers(folder.answers(second.stem)))
        value = score_answers(answers, make_solution(plan.second)).overall.value
    trial = Trial(
        candidate=candidate,
        n=score.n,
        accuracy=score.value,
        error=score.error,
        unread=score.unread,
        seconds=seconds,
        second=value,
    )
    return trial, ballots


def _answer_test(
    prepared: PreparedCompetition, plan: SweepPlan, sweep: Sweep, report: Callable[[str], None]
) -> CompetitionRun:
    """Let the picked candidate answer the test questions, and add its answers to the held-out questions."""
    folder = prepared.workspace.run(prepared.name, _PICKED, plan.name)
    settings = _make_candidate_settings(prepared, sweep.picked.candidate, plan, [prepared.files.test], folder)
    seconds = run_step(KernelStep(story="infer", toml=plan.member, settings=settings), report).seconds
    tried = _find_trial_folder(prepared, plan, sweep.picked.candidate)
    for file in tried.path.glob(f"{tried.held_out.stem}.*parquet"):
        with replace_file(folder.path / file.name) as part:
            copyfile(file, part)
    return CompetitionRun(
        name=plan.name,
        folder=folder,
        config=read_table(plan.member) | settings,
        seconds=sweep.picked.seconds + seconds,
    )


def _find_trial_folder(prepared: PreparedCompetition, plan: SweepPlan, candidate: Candidate) -> RunFolder:
    arm = Arm(candidate.name, plan.member, candidate.settings)
    return prepared.workspace.run(prepared.name, arm.folder_name, plan.name)


def _make_candidate_settings(
    prepared: PreparedCompetition, candidate: Candidate, plan: SweepPlan, questions: Sequence[Path], folder: RunFolder
) -> dict[str, Any]:
    return {**make_member_settings(prepared, read_table(plan.member), questions, folder), **candidate.settings}
