"""The infer kernel in this process, with simulated models, and questions for it."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import infer
import polars as pl
import pytest

from quorum.ballot import Ballot, find_heaviest
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.manifest import RunManifest, read_manifest
from quorum.model.backend import Backend
from quorum.question import Question, letters
from tests.support.run_settings import register_names, run_settings


class Bench:
    """A folder with questions, and a kernel whose models are fakes."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch

    def ask(self, questions: Sequence[Question], models: dict[str, Backend], **tables: Any) -> dict[str, Ballot]:
        """The answers that the kernel writes to `questions`; the answerer is called "answerer"."""
        self.patch.setattr("quorum.model.managed.open_backend", lambda table, solved: models[table["name"]])
        write(self.folder / "test.jsonl", questions, answers=False)
        register_names(self.patch, ["answerer", *models])
        files = {"questions": [self.folder / "test.jsonl"], "out": self.folder / "out"}
        infer.main(run_settings(run="r", backend={"name": "answerer"}, **files, **tables))
        return ballots_from_answers(read_answers(self.folder / "out" / "test.parquet"))

    @property
    def calls(self) -> dict[str, int]:
        return dict(read_manifest(self.folder / "out" / "run.json").calls)

    @property
    def rounds(self) -> list[tuple[Any, ...]]:
        return pl.read_parquet(self.folder / "out" / "test.rounds.parquet").rows()


def account(bench: Bench) -> RunManifest:
    return read_manifest(bench.folder / "out" / "run.json")


def write(path: Path, questions: Sequence[Question], answers: bool) -> None:
    rows = [
        {"id": q.id, "question": q.text, "choices": list(q.choices)}
        | ({"answer": q.answer} if answers else {})
        | ({"subject": q.subject} if q.subject else {})
        for q in questions
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def made(count: int, options: Callable[[int], int] = lambda n: 4, prefix: str = "q") -> list[Question]:
    """Solved questions that share few words, as many options each as `options` says."""
    chance = random.Random(prefix)
    return [
        Question(
            id=f"{prefix}{n}",
            text=f"{chance.getrandbits(80):x} {chance.getrandbits(80):x}?",
            choices=tuple(f"{chance.getrandbits(40):x} {label}" for label in reversed(letters(options(n)))),
            answer=chance.choice(letters(options(n))),
        )
        for n in range(count)
    ]


def accuracy(ballots: dict[str, Ballot], solved: Sequence[Question]) -> float:
    return sum(find_heaviest(ballots[question.id]) == question.answer for question in solved) / len(solved)
