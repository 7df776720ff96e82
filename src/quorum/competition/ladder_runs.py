"""Run what a ladder tries: members with stages, trainings and votes; each is run once and reused."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from quorum.ballot import is_right
from quorum.competition.arms import Arm, check_comparable, run_arm
from quorum.competition.climb import BASE, Attempt, Combination, StageFailed
from quorum.competition.folds import divide_held_out_questions, uses_labels
from quorum.competition.kernel_process import KernelFailed
from quorum.competition.prepare import PreparedCompetition
from quorum.competition.run import VOTE, CompetitionRun, make_background_settings
from quorum.competition.stages import CASCADE_STAGE, Stage, Training
from quorum.competition.step import KernelStep, find_trained, run_step
from quorum.config import read_table
from quorum.files.answers import ballots_from_answers, make_answers, read_answers
from quorum.files.manifest import RunManifest, read_manifest
from quorum.files.solution import SolvedRow

_GROUP = "ladder"  # collects the runs of a competition's ladders; those of a part are with its other runs
_CHEAP = 0.5  # share of the seconds of the last kept attempt that a cheap one takes at most
_FOLD_SEED = 42
_STOPPED_KERNEL = 128 + signal.SIGINT  # exit code of a kernel that the user stopped


@dataclass(kw_only=True)
class LadderRuns:
    """The runs of one member's ladder.

    Attributes:
        known: existing runs, by the names of their stages.
    """

    prepared: PreparedCompetition
    member: Path
    report: Callable[[str], None]
    known: Mapping[tuple[str, ...], CompetitionRun] = field(default_factory=dict)
    _attempts: dict[tuple[str, ...], Attempt] = field(default_factory=dict)
    _failures: dict[tuple[str, ...], str] = field(default_factory=dict)
    _folds: list["LadderRuns"] = field(default_factory=list)
    _base: RunManifest | None = None

    def attempt(self, stages: tuple[Stage, ...]) -> Attempt:
        """Answer the held-out questions with some stages.

        Raises:
            StageFailed: the last stage's kernel failed, or it does not apply to a member with these stages.
        """
        if any(stage.folds for stage in stages):
            return self._attempt_in_folds(stages)
        names = tuple(stage.name for stage in stages)
        if names in self._failures:
            raise StageFailed(self._failures[names])
        if names not in self._attempts:
            try:
                self._attempts[names] = self._run(stages)
            except KernelFailed as error:
                if not stages or error.exit_code == _STOPPED_KERNEL:
                    raise
                self._failures[names] = f"it failed: {error}"
                self.report(f"{names[-1]}: failed: {error}")
                raise StageFailed(self._failures[names]) from error
        return self._attempts[names]

    def _attempt_in_folds(self, stages: tuple[Stage, ...]) -> Attempt:
        """Answer each fold of the held-out questions with what learns from all other folds and from train."""
        settings = {name: value for stage in stages for name, value in stage.settings.items()}
        if not any(stage.training for stage in stages) and not uses_labels(self.member, settings):
            raise StageFailed("the member learns from no label")
        if not self._folds:
            count = next(stage.folds for stage in stages if stage.folds)
            parts = divide_held_out_questions(self.prepared, count, _FOLD_SEED)
            self._folds = [LadderRuns(prepared=part, member=self.member, report=self.report) for part in parts]
        plain = tuple(stage for stage in stages if not stage.folds)
        attempts = [runs.attempt(plain) for runs in self._folds]
        counts = [len(runs.prepared.held_out) for runs in self._folds]
        total = sum(counts)
        return Attempt(
            {id: ballot for each in attempts for id, ballot in each.ballots.items()},
            sum(each.calls * count for each, count in zip(attempts, counts, strict=True)) / total,
            sum(each.seconds * count for each, count in zip(attempts, counts, strict=True)) / total,
            settings,
        )

    def combine(
        self, stage: Stage, last: str, attempts: Mapping[str, Attempt], solution: Sequence[SolvedRow]
    ) -> Combination:
        """Combine attempts as the stage demands: a vote of all, or a cascade from the cheap ones to the last kept one.

        Raises:
            StageFailed: a cascade has no cheap attempt.
        """
        if stage.name == CASCADE_STAGE:
            return self._cascade(last, attempts, solution)
        return self.vote(attempts, solution)

    def _cascade(self, last: str, attempts: Mapping[str, Attempt], solution: Sequence[SolvedRow]) -> Combination:
        """Take the confident answers of the cheap attempts, or of their vote; the others are the last kept attempt's.

        The confidence for a question of the solution is fitted on the other clusters.
        """
        import numpy as np

        from quorum.judge.cascade import compute_confidence, fit_cascade

        expensive = attempts[last]
        cheap = {name: each for name, each in attempts.items() if each.seconds <= _CHEAP * expensive.seconds}
        if not cheap:
            raise StageFailed("no member tried costs less than half of the last kept one")
        vote = self.vote(cheap, solution) if len(cheap) > 1 else next(iter(cheap.values()))
        confidence = {id: compute_confidence(ballot) for id, ballot in vote.ballots.items()}
        clusters = self.prepared.clusters
        right, alone = (
            np.array([is_right(each.ballots[row.id], row.answer) for row in solution]) for each in (vote, expensive)
        )
        rule, taken = fit_cascade(
            np.array([confidence[row.id] for row in solution]),
            right,
            alone,
            np.array([clusters[row.id] for row in solution]),
        )
        crossed = {row.id: bool(took) for row, took in zip(solution, taken, strict=True)}
        cheap_ids = {id for id in vote.ballots if crossed.get(id, confidence[id] >= rule.sure)}
        asked = 1 - len(cheap_ids) / len(vote.ballots)
        return Combination(
            {id: (vote if id in cheap_ids else expensive).ballots[id] for id in expensive.ballots},
            vote.calls + asked * expensive.calls,
            vote.seconds + asked * expensive.seconds,
            {**expensive.settings, "limits.cascade.run": VOTE},
            tuple(cheap),
        )

    def vote(self, attempts: Mapping[str, Attempt], solution: Sequence[SolvedRow]) -> Combination:
        """Let attempts vote by a rule that is selected on the solution's questions.

        Each of the solution's questions is voted on by a rule that was selected without it and its cluster; all other
        questions by the rule selected on all of the solution.
        """
        from quorum.judge.poll import GoldQuestions, poll

        answers = pl.concat([make_answers(name, each.ballots) for name, each in attempts.items()])
        known = {row.id: row.answer for row in solution}
        solved = pl.col("id").is_in(list(known))
        labels = {question.id: question.labels for question in self.prepared.held_out}
        gold = GoldQuestions(answers=known, runs=answers.filter(solved), labels=labels, clusters=self.prepared.clusters)
        others = answers.filter(~solved)
        found = poll(answers if others.is_empty() else others, gold, labels=labels, cross_fit=True)
        ballots = {} if others.is_empty() else ballots_from_answers(found.ballots)
        crossed = found.ballots.filter(solved) if found.crossed is None else found.crossed
        return Combination(
            ballots | ballots_from_answers(crossed),
            sum(each.calls for each in attempts.values()),
            sum(each.seconds for each in attempts.values()),
            members=tuple(attempts),
        )

    @property
    def _group(self) -> str:
        """The folder that collects the runs, among those of the competition."""
        return self.prepared.part or _GROUP

    def _run(self, stages: tuple[Stage, ...]) -> Attempt:
        names = tuple(stage.name for stage in stages)
        settings: dict[str, Any] = {}
        trained = 0.0
        for stage in stages:
            settings |= stage.settings
            if stage.training:
                model, seconds = self._train(stage.training, settings)
                settings |= model
                trained += seconds
        arm = Arm(names[-1] if names else BASE, self.member, settings)
        run = self.known.get(names) or run_arm(self.prepared, arm, self._group, self.report)[0]
        manifest = read_manifest(run.folder.manifest)
        self._base = self._base or manifest
        check_comparable(arm, manifest, self._base, False, self.report)
        ballots = ballots_from_answers(read_answers(run.folder.held_out))
        seconds = (run.seconds + trained) / sum(manifest.counts.values())
        return Attempt(ballots, manifest.calls_per_question, seconds, settings)

    def _train(self, training: Training, settings: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """Train on the training part as the member with `settings` answers: its model, prompt style and retrieval.

        Returns:
            The override that names the trained model or adapter, and the seconds of the training.
        """
        member, toml = read_table(self.member), read_table(training.toml)
        overrides: dict[str, Any] = {}
        if model := settings.get("backend.model", member["backend"].get("model")):
            overrides["trainer.model"] = model
        style = settings.get("prompt.style", member.get("prompt", {}).get("style", "letter"))
        if "style" not in toml.get("rows", {}) and style != "cot":
            overrides["rows.style"] = style
            if (
                style in ("option", "bare")
                and toml["trainer"]["name"] != "encoder"
                and "target" not in toml.get("rows", {})
            ):
                overrides["rows.target"] = "option"
        retrieval = {f"retrieval.{name}": value for name, value in member.get("retrieval", {}).items()}
        retrieval |= {name: value for name, value in settings.items() if name.startswith("retrieval.")}
        background = make_background_settings(self.prepared, toml)
        overrides |= background | retrieval | dict(training.settings)
        own = Arm(training.toml.stem, training.toml, overrides).folder_name
        shared = overrides == background and not self.prepared.part  # the same training as that of `quorum submit`
        name, group = (training.toml.stem, "") if shared else (own, self._group)
        out = self.prepared.workspace.run(self.prepared.name, name, group).path
        files = {"train": str(self.prepared.files.train), "split.file": str(self.prepared.files.split)}
        step = KernelStep(story="train", toml=training.toml, settings=files | {"out": str(out)} | overrides)
        done = run_step(step, self.report)
        if not done.reused:
            self.report(f"{training.toml.stem}: trained in {done.seconds:.0f} s")
        model = find_trained(out)
        return {f"backend.{model.name}": str(model)}, done.seconds
