"""Answer the training questions out of fold: each fold by a model that knows only the other folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from quorum.ask.asker import make_asker
from quorum.ask.reply import ballot_from_reply
from quorum.ask.retrieve import Retriever
from quorum.ask.settings import PromptSettings, RetrievalSettings
from quorum.ballot import Ballot
from quorum.config import apply_overrides, from_table, read_table
from quorum.console import Progress
from quorum.data.split import TrainingFolds, iterate_folds, strip_answers
from quorum.errors import BadInput, list_some
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.judge.settings import RunSettings
from quorum.model.backend import open_backend
from quorum.model.embed import load_embedder, load_reranker
from quorum.model.managed import open_journaled

_PROGRESS_BATCH = 256  # questions between two progress updates


@dataclass(frozen=True, kw_only=True)
class AskSettings:
    """The settings of the infer kernel that select a model and its prompts."""

    RENAMED: ClassVar[Mapping[str, str]] = RunSettings.RENAMED

    run: str
    backend: Mapping[str, Any]
    prompt: PromptSettings = field(default_factory=PromptSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)


def read_ask_settings(path: Path, overrides: Sequence[str] = ()) -> AskSettings:
    """Read these settings from a kernel's TOML with overrides; its other settings are ignored."""
    known = {each.name for each in fields(AskSettings)} | set(AskSettings.RENAMED)
    whole = apply_overrides(read_table(path), overrides, str(path))
    table = {name: value for name, value in whole.items() if name in known}
    return from_table(AskSettings, table, str(path))


def read_single_run(path: Path) -> dict[str, Ballot]:
    """Return the ballots of the one run in an answers file.

    Raises:
        BadInput: the file has several runs.
    """
    answers = read_answers(path)
    runs = answers["run"].unique(maintain_order=True).to_list()
    if len(runs) != 1:
        raise BadInput(f"{path}: {len(runs)} runs ({list_some(runs)}), where one is expected")
    return ballots_from_answers(answers)


def answer_out_of_fold(
    settings: AskSettings,
    folds: TrainingFolds,
    progress: Progress,
    journal: Path | None = None,
    files: Sequence[Path] = (),
) -> dict[str, Ballot]:
    """Return a ballot for every training question, from a model that knows only the other folds.

    Args:
        journal: a file that keeps replies, so that a killed call can be resumed.
        files: the files of the solved questions; the journal's entries are valid only for these.
    """
    ballots: dict[str, Ballot] = {}
    for fold, (rest, own) in zip(folds.split.folds, iterate_folds(folds), strict=True):
        part = f"{folds.split.fingerprint} but fold {fold}"
        backend = (
            open_journaled(settings.backend, rest.questions, journal, files=files, part=part)
            if journal
            else open_backend(settings.backend, rest.questions)
        )
        questions = strip_answers(own)
        retriever = Retriever(settings.retrieval, rest, load_embedder, load_reranker)
        ask = make_asker(retriever, questions, settings.prompt.style, settings.prompt.template)
        for first in range(0, len(questions), _PROGRESS_BATCH):
            prompts = [ask(question) for question in questions[first : first + _PROGRESS_BATCH]]
            for prompt, reply in zip(prompts, backend.answer(prompts), strict=True):
                ballots[prompt.question_id] = ballot_from_reply(reply, prompt)
            progress(len(ballots), len(folds.questions))
    return ballots
