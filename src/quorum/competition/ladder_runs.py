"""Run what a ladder tries: members with stages, trainings and votes; each is run once and reused."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from quorum.competition.arms import Arm, check_comparable, run_arm
from quorum.competition.climb import BASE, Attempt, StageFailed
from quorum.competition.kernel_process import KernelFailed
from quorum.competition.prepare import PreparedCompetition
from quorum.competition.run import CompetitionRun, make_background_settings
from quorum.competition.stages import Stage, Training
from quorum.competition.step import KernelStep, find_trained, run_step
from quorum.config import read_table
from quorum.files.answers import ballots_from_answers, make_answers, read_answers
from quorum.files.manifest import RunManifest, read_manifest
from quorum.files.solution import SolvedRow

_GROUP = "ladder"  # collects the runs of a competition's ladders
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
    _base: RunManifest | None = None

    def attempt(self, stages: tuple[Stage, ...]) -> Attempt:
        """Answer the held-out questions with some stages.

        Raises:
            StageFailed: the last stage's kernel failed.
        """
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

    def vote(self, attempts: Mapping[str, Attempt], solution: Sequence[SolvedRow]) -> Attempt:
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
        return Attempt(
            ballots | ballots_from_answers(crossed),
            sum(each.calls for each in attempts.values()),
            sum(each.seconds for each in attempts.values()),
        )

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
        run = self.known.get(names) or run_arm(self.prepared, arm, _GROUP, self.report)[0]
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
        retrieval = {f"retrieval.{name}": value for name, value in member.get("retrieval", {}).items()}
        retrieval |= {name: value for name, value in settings.items() if name.startswith("retrieval.")}
        background = make_background_settings(self.prepared, toml)
        overrides |= background | retrieval | dict(training.settings)
        own = Arm(training.toml.stem, training.toml, overrides).folder_name
        shared = overrides == background  # the same training as that of `quorum submit`
        name, group = (training.toml.stem, "") if shared else (own, _GROUP)
        out = self.prepared.workspace.run(self.prepared.name, name, group).path
        files = {"train": str(self.prepared.files.train), "split.file": str(self.prepared.files.split)}
        step = KernelStep(story="train", toml=training.toml, settings=files | {"out": str(out)} | overrides)
        done = run_step(step, self.report)
        if not done.reused:
            self.report(f"{training.toml.stem}: trained in {done.seconds:.0f} s")
        model = find_trained(out)
        return {f"backend.{model.name}": str(model)}, done.seconds
