"""Questions in, answers out: one model over question files, with a legal submission on disk at every moment.

python kernels/infer.py kernels/encoder.toml [dial=value ...]
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorum.ask.prompt import Style, render
from quorum.config import dials
from quorum.door import enter_kernel, progress_bar, tell
from quorum.model.backend import open_backend
from quorum.model.deadline import Deadline
from quorum.model.journal import Journal, journal_name
from quorum.question import Ballot, Question, label_prior


@dataclass(frozen=True)
class Infer:
    """The dials of one run."""

    run: str  # what its answers are called
    questions: tuple[str, ...]  # question files; the first is the one to submit
    out: Path  # folder: answers go to OUT/<question file>.parquet
    backend: Mapping[str, Any]  # its name and its dials
    train: Path | None = None  # solved questions of the training folds
    sample: Path | None = None  # the competition's sample submission; with it, OUT/submission.csv is written
    prompt: Style = "letter"
    batch: int = 256  # questions between two writes
    journal: Path | None = None  # a file that remembers replies: a killed run goes on where it stood
    deadline: float | None = None  # minutes from the start after which no more is asked
    retrieval: Mapping[str, Any] = field(default_factory=dict)  # what is shown beside a question; empty: nothing
    transfer: bool = False  # copy the answers of questions that stand solved in train; no held-out question does
    layout: Mapping[str, Any] = field(default_factory=dict)  # column mapping, where detection needs help


def main(config: Infer) -> None:
    """Answers every question file of `config`."""
    begun = time.monotonic()
    from quorum.ask.reply import ballot_of
    from quorum.ask.retrieve import Retrieval, Retriever
    from quorum.ask.transfer import transferred
    from quorum.data.read import read_records
    from quorum.data.repair import repaired
    from quorum.model.embed import load_embed, load_rerank
    from quorum.sheet.layout import Layout

    layout = dials(Layout, config.layout, "layout")
    solved = repaired(read_records(config.train, layout)).questions if config.train else []
    files = {path.stem: repaired(read_records(path, layout)).questions for path in map(Path, config.questions)}
    for stem, questions in files.items():
        save(config, stem, questions, {}, solved)  # legal from here on, whatever happens

    retriever = Retriever(dials(Retrieval, config.retrieval, "retrieval"), solved, load_embed, load_rerank)
    backend, deadline = open_backend(config.backend, solved), None
    if config.deadline is not None:
        backend = deadline = Deadline(backend, begun + 60 * config.deadline, time.monotonic, config.batch)
    if config.journal:  # around the deadline: what is remembered costs no time
        asked_of = journal_name(config.backend, *([config.train] if config.train else []))
        backend = journal = Journal(backend, config.journal, asked_of)
        if journal.dropped:
            tell(f"{config.journal} is broken; it lies in {journal.dropped} now, and all is asked again")
    for stem, questions in files.items():
        ballots: dict[str, Ballot] = {}
        beside = retriever.shown(questions)
        with progress_bar(f"{config.run}: {stem}") as progress:
            for first in range(0, len(questions), config.batch):
                batch = slice(first, first + config.batch)
                prompts = [
                    render(question, config.prompt, shown.examples, [passage.shown for passage in shown.passages])
                    for question, shown in zip(questions[batch], beside[batch], strict=True)
                ]
                for prompt, reply in zip(prompts, backend.answer(prompts), strict=True):
                    ballots[prompt.question_id] = ballot_of(reply, prompt)
                save(config, stem, questions, ballots, solved)
                progress(len(ballots), len(questions))
        if config.transfer and (known := transferred(questions, solved)):
            save(config, stem, questions, ballots | known, solved)
            tell(f"{config.run}, {stem}: {len(known)} of {len(questions)} answers copied from train by their text")
        if unread := list(ballots.values()).count({}):
            tell(f"{config.run}, {stem}: {unread} of {len(questions)} questions stay unread")
    if deadline and deadline.unasked:
        tell(f"the deadline of {config.deadline:g} minutes came before {deadline.unasked} questions were asked")


def save(
    config: Infer, stem: str, questions: list[Question], ballots: dict[str, Ballot], solved: list[Question]
) -> None:
    """Writes what is known so far: what has not been asked yet is unread, and a submission fills it from the prior."""
    from quorum.files.answers import answers_frame, write_answers
    from quorum.files.submission import read_sample, write_submission

    answers = {question.id: ballots.get(question.id, {}) for question in questions}
    write_answers(answers_frame(config.run, answers), config.out / f"{stem}.parquet")
    if config.sample and stem == Path(config.questions[0]).stem:
        labels = {question.id: question.labels for question in questions}
        sample = read_sample(config.sample)
        write_submission(config.out / "submission.csv", answers, labels, sample, label_prior(solved))


if __name__ == "__main__":
    enter_kernel(Infer, main, __doc__)
