"""Run the members of a competition: kernels that answer its held-out and its test questions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorum.competition.kernel_process import find_kernels
from quorum.competition.prepare import PreparedCompetition
from quorum.competition.step import KernelStep, find_trained, forget_step, run_step
from quorum.competition.workspace import is_part
from quorum.config import from_table, read_table
from quorum.disk import check_file_name
from quorum.errors import BadInput
from quorum.files.answers import make_answers, write_answers
from quorum.files.run_folder import RunFolder
from quorum.judge.settings import RunSettings
from quorum.model.backend import read_backend_settings
from quorum.question import Question

PRIOR = "prior"
VOTE = "vote"
CHEAP_VOTE = "cheap-vote"  # of the members without a cascade, for those with one
MEMBERS = ("encoder", "neighbour", "encoder-tuned")
MEMBERS_WITH_BACKGROUND = ("encoder", "neighbour", "encoder-rag", "encoder-rag-tuned")
RESERVED_NAMES = (
    "gold",
    "ablate",
    "ladder",
    "members",
    CHEAP_VOTE,
    PRIOR,
    VOTE,
)  # names of our own folders beside those of the members
TUNED = "-tuned"  # NAME-tuned.toml uses the model that train-NAME.toml in the same folder trains


@dataclass(frozen=True, kw_only=True)
class CompetitionRun:
    """Answers to the held-out and the test questions: of a member, of the vote or of the prior."""

    name: str
    folder: RunFolder
    config: Mapping[str, Any]
    members: tuple[str, ...] = ()  # of a vote
    seconds: float = 0.0


def find_kernel_toml(name: str) -> Path:
    """Return the TOML file that Quorum ships under this name."""
    return find_kernels() / f"{name}.toml"


def choose_members(tomls: Sequence[Path], background: bool) -> list[Path]:
    """Return the TOML files of the given members, or of the default members, which retrieve if there is background.

    Raises:
        BadInput: two members have the same name or run name, a name is reserved or not a plain file name, or a file
            is not TOML.
    """
    shipped = MEMBERS_WITH_BACKGROUND if background else MEMBERS
    chosen = list(tomls) or [find_kernel_toml(name) for name in shipped]
    seen: dict[str, Path] = {}
    for toml in chosen:
        run = read_table(toml).get("run", toml.stem)
        if is_tuned(toml):
            read_table(find_training_toml(toml))
        if check_file_name(toml.stem, "member") in RESERVED_NAMES or is_part(toml.stem):
            raise BadInput(
                f"{toml}: the name {toml.stem!r} is reserved for one of Quorum's own folders; rename the file"
            )
        for name in {f"name {toml.stem!r}", f"run name {run!r}"}:
            if name in seen:
                raise BadInput(f"{seen[name]} and {toml} have the same {name}; give each its own")
            seen[name] = toml
    return chosen


def is_tuned(toml: Path) -> bool:
    """Return whether the member's model is trained first."""
    return toml.stem.endswith(TUNED)


def find_training_toml(toml: Path) -> Path:
    """Return the TOML that trains a tuned member's model: train-NAME.toml beside NAME-tuned.toml."""
    return toml.with_name(f"train-{toml.stem.removesuffix(TUNED)}.toml")


def forget_members(prepared: PreparedCompetition, tomls: Sequence[Path], report: Callable[[str], None]) -> None:
    """Make the members, their trainings and the vote start again from nothing."""
    trainings = [find_training_toml(toml) for toml in tomls if is_tuned(toml)]
    for toml in [*tomls, *trainings]:
        forget_step(prepared.run(toml.stem).path, toml, report)
    for name in (VOTE, CHEAP_VOTE):
        forget_step(prepared.run(name).path, find_kernel_toml(VOTE), report)


def read_member_settings(toml: Path, overrides: Mapping[str, Any]) -> RunSettings:
    """Return a member's settings with these overrides; Quorum itself sets the questions and the folder.

    Raises:
        BadInput: a setting is unknown or wrong, those of the backend included.
    """
    given = {"questions": ["questions.parquet"], "out": toml.stem, **overrides}
    settings = from_table(RunSettings, KernelStep(story="infer", toml=toml, settings=given).read_settings(), str(toml))
    read_backend_settings(settings.backend)
    return settings


def run_prior(prepared: PreparedCompetition) -> CompetitionRun:
    """Write the baseline without a model: every answer is unread, and is filled from the prior."""
    folder = prepared.run(PRIOR)
    parts: list[tuple[Path, list[Question]]] = [(folder.test, prepared.test), (folder.held_out, prepared.held_out)]
    for path, questions in parts:
        write_answers(make_answers(PRIOR, {question.id: {} for question in questions}), path)
    return CompetitionRun(name=PRIOR, folder=folder, config={})


def run_member(
    prepared: PreparedCompetition,
    toml: Path,
    report: Callable[[str], None],
    with_train: bool = True,
    more: Mapping[str, Any] | None = None,
) -> CompetitionRun:
    """Let one member answer the test and the held-out questions; train its model first if it is a tuned one.

    Args:
        with_train: False for a member that uses no solved questions: it does not get them.
        more: further overrides of its settings.
    """
    config = read_table(toml)
    folder, counts = prepared.run(toml.stem), {"test": len(prepared.test), "held-out": len(prepared.held_out)}
    files = {"test": prepared.test_file, "held-out": prepared.files.held_out}
    settings = make_member_settings(prepared, config, [files[part] for part in prepared.asked], folder) | dict(
        more or {}
    )
    if not with_train:
        settings["train"] = ""
    seconds = 0.0
    if is_tuned(toml):
        model, seconds = train_member(prepared, find_training_toml(toml), report)
        settings["backend.adapter" if "adapter" in config["backend"] else "backend.model"] = str(model)
    done = run_step(KernelStep(story="infer", toml=toml, settings=settings, until=prepared.until), report)
    if not done.reused:
        count = sum(counts[part] for part in prepared.asked)
        report(f"{_name_in_part(prepared, toml)}: {count} answers in {done.seconds:.0f} s")
    return CompetitionRun(name=toml.stem, folder=folder, config=config | settings, seconds=seconds + done.seconds)


def _name_in_part(prepared: PreparedCompetition, toml: Path) -> str:
    return f"{toml.stem}, {prepared.part}" if prepared.part else toml.stem


def train_member(prepared: PreparedCompetition, toml: Path, report: Callable[[str], None]) -> tuple[Path, float]:
    """Train on the training folds; return the folder of the model or adapter, and the wall time in seconds.

    A finished training is reused, and an interrupted one goes on, if rows, settings, base model and library versions
    are the same. Otherwise the output folder is emptied first.
    """
    folder = prepared.run(toml.stem)
    settings = {
        "train": str(prepared.files.train),
        "split.file": str(prepared.files.split),
        "out": str(folder.path),
        **make_background_settings(prepared, read_table(toml)),
    }
    done = run_step(KernelStep(story="train", toml=toml, settings=settings, until=prepared.until), report)
    if not done.reused:
        report(f"{_name_in_part(prepared, toml)}: trained in {done.seconds:.0f} s")
    return find_trained(folder.path), done.seconds


def run_vote(
    prepared: PreparedCompetition, runs: Sequence[CompetitionRun], report: Callable[[str], None], name: str = VOTE
) -> CompetitionRun:
    """Let the members vote by a rule that is selected on the held-out questions.

    The votes on the held-out questions are cross-fitted: the rule for a question is selected without that question.
    """
    folder = prepared.run(name)
    settings = {
        "runs": [str(run.folder.test) for run in runs],
        "labelled": [str(run.folder.held_out) for run in runs],
        "gold": str(prepared.gold),
        "split": str(prepared.files.split),
        "questions": str(prepared.test_file),
        **make_shared_settings(prepared, folder),
    }
    done = run_step(KernelStep(story="vote", toml=find_kernel_toml(VOTE), settings=settings), report)
    if not done.reused:
        count = len(prepared.test) + len(prepared.held_out)
        report(f"{name}: {count} answers of {len(runs)} members in {done.seconds:.0f} s")
    return CompetitionRun(
        name=name,
        folder=folder,
        config=settings,
        members=tuple(run.name for run in runs),
        seconds=done.seconds + sum(run.seconds for run in runs),
    )


def make_member_settings(
    prepared: PreparedCompetition, config: Mapping[str, Any], questions: Sequence[Path], folder: RunFolder
) -> dict[str, Any]:
    """Return the overrides with which a member answers these question files of the competition."""
    keep, submits = prepared.competition.keep, "test" in prepared.asked
    return {
        "questions": [str(path) for path in questions],
        **({"limits.keep": keep} if keep else {}),
        **make_shared_settings(prepared, folder),
        **({} if submits else {"sample": "", "refine.copy_exact": False}),
        **make_background_settings(prepared, config),
    }


def make_shared_settings(prepared: PreparedCompetition, folder: RunFolder) -> dict[str, Any]:
    """Return the overrides of every kernel that answers questions of the competition."""
    files = {"train": str(prepared.train_file), "sample": str(prepared.competition.sample)}
    return {**files, "form": prepared.sample.setting, "out": str(folder.path)}


def make_background_settings(prepared: PreparedCompetition, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the override that sets the competition's background; empty for a kernel that retrieves no passages."""
    if "background" not in config.get("retrieval", {}):
        return {}
    return {"retrieval.background": str(prepared.competition.background or "")}
