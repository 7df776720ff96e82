"""Run a competition's members in folds: each labelled question is answered without its own fold.

Each fold is a part of the competition with files and runs of its own: its questions are held out, and the questions of
all other folds, near-duplicates of none of them, are everything that a member can train on, search, copy or fit to.
The answers to all folds together are the run's held-out answers. The test questions are answered by members that learn
from all labels once more, or by those of all folds, whose answers are averaged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from quorum.competition.join_runs import join_runs
from quorum.competition.prepare import PreparedCompetition
from quorum.competition.run import (
    CompetitionRun,
    forget_members,
    is_tuned,
    read_member_settings,
    run_member,
)
from quorum.competition.workspace import ALL_LABELS, FOLD, OF_HELD_OUT
from quorum.data.folds import divide_held_out, hold_out_fold
from quorum.data.read import read_questions
from quorum.data.split import Split
from quorum.data.split_files import write_split_folder
from quorum.errors import BadInput
from quorum.model.backend import KINDS, backend_name
from quorum.question import label_prior

TestBy = Literal["refit", "average"]


@dataclass(frozen=True)
class FoldedCompetition:
    """A competition with folds: the whole, a part for each fold, and the part that learns from all labels."""

    whole: PreparedCompetition
    folds: tuple[PreparedCompetition, ...]
    full: PreparedCompetition
    test_by: TestBy

    @property
    def parts(self) -> tuple[PreparedCompetition, ...]:
        return (*self.folds, self.full)


def divide_into_parts(prepared: PreparedCompetition, test_by: TestBy, seed: int) -> FoldedCompetition:
    """Write the files of every part of a competition that was prepared with folds.

    Args:
        test_by: who answers the test questions: "refit", a member that learns from all labels, or "average", the
            members of all folds, each of which answers them too.
        seed: of the training folds within each part.

    Raises:
        BadInput: `test_by` is neither.
    """
    if test_by not in ("refit", "average"):
        raise BadInput(f"test_by is {test_by!r}; allowed are refit, average")
    questions, count = prepared.held_out, prepared.folds
    folds = []
    for fold in prepared.split.folds:
        split = hold_out_fold(prepared.split, questions, fold, seed)
        part = _make_part(prepared, f"{FOLD}-{fold}-of-{count}", split)
        folds.append(part if test_by == "average" else replace(part, asked=("held-out",)))
    full = _make_part(prepared, ALL_LABELS, hold_out_fold(prepared.split, questions, None, seed))
    return FoldedCompetition(prepared, tuple(folds), replace(full, asked=("test",)), test_by)


def run_folded_member(competition: FoldedCompetition, toml: Path, report: Callable[[str], None]) -> CompetitionRun:
    """Let one member answer all labelled questions, each without its own fold, and the test questions.

    A member that uses no label answers them all in one go.
    """
    whole = competition.whole
    if not uses_labels(toml):
        return run_member(whole, toml, report, with_train=False)
    held_out = [run_member(part, toml, report) for part in competition.folds]
    test = held_out if competition.test_by == "average" else [run_member(competition.full, toml, report)]
    return join_runs(whole, toml.stem, held_out, test)


def forget_folded_members(competition: FoldedCompetition, tomls: Sequence[Path], report: Callable[[str], None]) -> None:
    """Make the members, their trainings and the vote start again from nothing, in every part."""
    for part in (competition.whole, *competition.parts):
        forget_members(part, tomls, report)


def divide_held_out_questions(prepared: PreparedCompetition, folds: int, seed: int) -> list[PreparedCompetition]:
    """Write the files of parts that hold out a fold of the held-out questions each, and learn from all others.

    Args:
        prepared: a competition with one held-out fold.
    """
    questions = [*read_questions(prepared.files.train), *prepared.held_out]
    splits = divide_held_out(prepared.split, questions, folds, seed)
    parts = [
        _make_part(replace(prepared, held_out=questions), f"{FOLD}-{number}-of-{folds}{OF_HELD_OUT}", split)
        for number, split in enumerate(splits, 1)
    ]
    return [replace(part, asked=("held-out",)) for part in parts]


def uses_labels(toml: Path, overrides: Mapping[str, Any] | None = None) -> bool:
    """Return whether a member's answers may depend on solved questions.

    Raises:
        BadInput: the member's settings are wrong.
    """
    settings = read_member_settings(toml, overrides or {})
    refine = settings.refine
    tables = filter(None, (settings.backend, refine.verify.backend, refine.reader))
    return (
        is_tuned(toml)
        or any(KINDS[backend_name(each)].sees_train for each in tables)
        or settings.retrieval.examples > 0
        or bool(refine.to_fit)
        or refine.copy_exact
    )


def _make_part(prepared: PreparedCompetition, name: str, split: Split) -> PreparedCompetition:
    """Write the files of a part with this split, and return it."""
    questions = prepared.held_out
    held_out = [question for question in questions if question.id in split.held_out]
    learnt = [question for question in questions if question.id not in split.held_out]
    part = replace(prepared, part=name, folds=1, split=split, held_out=held_out, prior=label_prior(learnt))
    write_split_folder(split, questions, part.files)
    return part
