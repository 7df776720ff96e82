"""Run a member of a competition: a kernel that answers its held-out and its test questions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorum.competition.kernel_process import find_kernels, run_kernel_process
from quorum.competition.prepare import PreparedCompetition
from quorum.config import read_table
from quorum.disk import check_file_name, replace_folder
from quorum.errors import BadInput
from quorum.files.answers import make_answers, write_answers
from quorum.files.run_folder import RunFolder
from quorum.question import Question

PRIOR = "prior"
VOTE = "vote"
MEMBERS = ("encoder", "neighbour", "encoder-tuned")
MEMBERS_WITH_BACKGROUND = ("encoder", "neighbour", "encoder-rag", "encoder-rag-tuned")
RESERVED_NAMES = ("gold", "ablate", "ladder", PRIOR, VOTE)  # folders beside the members'
TUNED = "-tuned"  # NAME-tuned.toml asks the model that train-NAME.toml beside it trains


@dataclass(frozen=True, kw_only=True)
class CompetitionRun:
    """Answers to the held-out and the test questions: by a member, by the vote, or by the prior alone."""

    name: str
    folder: RunFolder
    config: Mapping[str, Any]
    members: tuple[str, ...] = ()  # of a vote
    seconds: float = 0.0


def find_kernel_toml(name: str) -> Path:
    """The settings that Quorum ships under this name."""
    return find_kernels() / f"{name}.toml"


def choose_members(tomls: Sequence[Path], background: bool) -> list[Path]:
    """Return the given members' settings, else those of the default members, with retrieval if there is background.

    Raises:
        BadInput: two have the same name or run name, a name is reserved or no plain file name, or a file is no TOML.
    """
    shipped = MEMBERS_WITH_BACKGROUND if background else MEMBERS
    chosen = list(tomls) or [find_kernel_toml(name) for name in shipped]
    seen: dict[str, Path] = {}
    for toml in chosen:
        run = read_table(toml).get("run", toml.stem)
        if is_tuned(toml):
            read_table(find_training_toml(toml))
        if check_file_name(toml.stem, "member") in RESERVED_NAMES:
            raise BadInput(f"{toml}: {toml.stem!r} is the name of a folder of Quorum's own; rename the file")
        for name in {f"name {toml.stem!r}", f"run name {run!r}"}:
            if name in seen:
                raise BadInput(f"{seen[name]} and {toml} have the same {name}; give each its own")
            seen[name] = toml
    return chosen


def is_tuned(toml: Path) -> bool:
    """Whether a member asks a model that is trained first."""
    return toml.stem.endswith(TUNED)


def find_training_toml(toml: Path) -> Path:
    """The settings of the training whose model a tuned member asks: train-NAME.toml beside NAME-tuned.toml."""
    return toml.with_name(f"train-{toml.stem.removesuffix(TUNED)}.toml")


def run_prior(prepared: PreparedCompetition) -> CompetitionRun:
    """Make the baseline that asks no model: every answer is unread, and is filled from the prior."""
    folder = prepared.workspace.run(prepared.name, PRIOR)
    parts: list[tuple[Path, list[Question]]] = [(folder.test, prepared.test), (folder.held_out, prepared.held_out)]
    for path, questions in parts:
        write_answers(make_answers(PRIOR, {question.id: {} for question in questions}), path)
    return CompetitionRun(name=PRIOR, folder=folder, config={})


def run_member(prepared: PreparedCompetition, toml: Path, report: Callable[[str], None]) -> CompetitionRun:
    """Let one member answer the test and the held-out questions; a tuned one is trained first."""
    config = read_table(toml)
    folder = prepared.workspace.run(prepared.name, toml.stem)
    files = [prepared.files.test, prepared.files.held_out]
    settings = make_member_settings(prepared, config, files, folder)
    seconds = 0.0
    if is_tuned(toml):
        model, seconds = train_member(prepared, find_training_toml(toml), report)
        settings["backend.adapter" if "adapter" in config["backend"] else "backend.model"] = str(model)
    answering = run_kernel_process("infer", toml, settings, report)
    report(f"{toml.stem}: {len(prepared.test) + len(prepared.held_out)} answers in {answering:.0f} s")
    return CompetitionRun(name=toml.stem, folder=folder, config=config | settings, seconds=seconds + answering)


def train_member(prepared: PreparedCompetition, toml: Path, report: Callable[[str], None]) -> tuple[Path, float]:
    """Train on the training folds; return the model (or adapter) and the wall time in seconds.

    What another training left in the folder is removed, because only a training with the same rows and settings can
    resume there.
    """
    folder = prepared.workspace.run(prepared.name, toml.stem)
    settings = {
        "train": str(prepared.files.train),
        "split.file": str(prepared.files.split),
        "out": str(folder.path),
        **make_background_settings(prepared, read_table(toml)),
    }
    replace_folder(folder.path)
    seconds = run_kernel_process("train", toml, settings, report)
    report(f"{toml.stem}: trained in {seconds:.0f} s")
    return next(path for name in ("adapter", "model") if (path := folder.path / name).exists()), seconds


def run_vote(
    prepared: PreparedCompetition, runs: Sequence[CompetitionRun], report: Callable[[str], None]
) -> CompetitionRun:
    """Let the members vote by a rule chosen on the held-out questions; for each of those, chosen without it."""
    folder = prepared.workspace.run(prepared.name, VOTE)
    settings = {
        "runs": [str(run.folder.test) for run in runs],
        "labelled": [str(run.folder.held_out) for run in runs],
        "gold": str(prepared.gold),
        "split": str(prepared.files.split),
        "questions": str(prepared.files.test),
        **make_shared_settings(prepared, folder),
    }
    seconds = run_kernel_process("vote", find_kernel_toml(VOTE), settings, report)
    report(f"{VOTE}: {len(prepared.test) + len(prepared.held_out)} answers of {len(runs)} members in {seconds:.0f} s")
    return CompetitionRun(
        name=VOTE,
        folder=folder,
        config=settings,
        members=tuple(run.name for run in runs),
        seconds=seconds + sum(run.seconds for run in runs),
    )


def make_member_settings(
    prepared: PreparedCompetition, config: Mapping[str, Any], questions: Sequence[Path], folder: RunFolder
) -> dict[str, Any]:
    """The settings with which a member answers these question files of the competition."""
    return {
        "questions": [str(path) for path in questions],
        **make_shared_settings(prepared, folder),
        **make_background_settings(prepared, config),
    }


def make_shared_settings(prepared: PreparedCompetition, folder: RunFolder) -> dict[str, Any]:
    """The settings that the competition decides for every kernel that answers."""
    files = {"train": str(prepared.files.train), "sample": str(prepared.competition.sample)}
    return {**files, "out": str(folder.path)}


def make_background_settings(prepared: PreparedCompetition, config: Mapping[str, Any]) -> dict[str, str]:
    """The competition's background, for a kernel whose settings retrieve passages from one."""
    if "background" not in config.get("retrieval", {}):
        return {}
    return {"retrieval.background": str(prepared.competition.background or "")}
