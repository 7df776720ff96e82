"""Train and ask the arms of an experiment on one split; what a killed experiment has finished is reused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorum.ballot import Ballot
from quorum.competition.run import find_kernel_toml
from quorum.competition.step import KernelStep, find_trained, run_step
from quorum.data.read import read_questions
from quorum.data.split_folder import SplitFolder
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.run_folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class SplitArms:
    """An experiment on one split: all arms are trained and asked with the same kernels and settings.

    Attributes:
        model: hub id or folder of the model that all arms start from.
        open: the questions have no choices, so they are asked and trained with their reasoning.
    """

    model: str
    split: SplitFolder
    out: Path
    train_settings: Mapping[str, Any]  # of kernels/train.py
    infer_settings: Mapping[str, Any]  # of kernels/infer.py
    open: bool = False

    def folder(self, arm: str) -> RunFolder:
        """Return the folder of an arm's answers."""
        return RunFolder(self.out / name_folder(arm))

    def train(self, arm: str, settings: Mapping[str, Any], report: Callable[[str], None]) -> Path:
        """Train an arm on the training folds, and return its adapter or model; a finished training is reused."""
        table: dict[str, Any] = {"train": str(self.split.train), "split.file": str(self.split.split)}
        table["trainer.model"] = self.model
        if self.open:
            table |= {"rows.style": "cot", "rows.target": "rationale"}
        run = {"run": arm, "out": str(self.out / "trained" / name_folder(arm))}
        step = KernelStep(
            story="train",
            toml=find_kernel_toml("train-causal"),
            settings={**table, **run, **settings, **self.train_settings},
        )
        done = run_step(step, report)
        if not done.reused:
            report(f"{arm}: trained in {done.seconds:.0f} s")
        return find_trained(step.out)

    def ask(self, arm: str, settings: Mapping[str, Any], report: Callable[[str], None]) -> Path:
        """Let an arm answer the held-out questions, and return the file of its answers; finished ones are reused."""
        table: dict[str, Any] = {"questions": [str(self.split.held_out)], "train": str(self.split.train), "sample": ""}
        if self.open:
            table |= {"prompt.style": "cot", "backend.method": "generate"}
        folder = self.folder(arm)
        run = {"run": arm, "out": str(folder.path), "backend.model": self.model, **settings}
        step = KernelStep(
            story="infer", toml=find_kernel_toml("causal"), settings={**table, **run, **self.infer_settings}
        )
        done = run_step(step, report)
        if not done.reused:
            report(f"{arm}: answered in {done.seconds:.0f} s")
        return folder.held_out

    def read(self, arm: str) -> dict[str, Ballot]:
        """Return an arm's ballots to the held-out questions."""
        return ballots_from_answers(read_answers(self.folder(arm).held_out))


def has_open_questions(split: SplitFolder) -> bool:
    """Return whether no held-out question has choices."""
    return not any(question.choices for question in read_questions(split.held_out))


def name_folder(arm: str) -> str:
    """Return the name of an arm's folder."""
    return arm.replace(" ", "-").lower()
