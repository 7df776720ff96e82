"""Record a run: write its submission, score the same rule on the held-out questions, and add it to the ledger."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from quorum.ballot import Ballot
from quorum.competition.prepare import PreparedCompetition
from quorum.competition.run import CompetitionRun
from quorum.disk import check_file_name, fingerprint
from quorum.errors import BadInput
from quorum.evaluation.ledger import Board, Entry, append_new_entries, make_leaderboard, read_ledger
from quorum.evaluation.metrics import lower_is_better, score_answers
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.check import check_submission
from quorum.files.run_folder import RunFolder
from quorum.files.runs import ReadingOptions, read_ballots
from quorum.files.sample import Sample, make_sample
from quorum.files.solution import Solution, make_solution
from quorum.files.submission import write_submission
from quorum.question import Question, letters


def record_run(prepared: PreparedCompetition, run: CompetitionRun) -> Entry:
    """Write the run's submission and return its ledger entry, which is not in the ledger yet (see `accept_entries`).

    The held-out questions are written in the submission's form too, filled by the same rule, and that file is scored.
    """
    sample, metric = prepared.sample, prepared.metric
    path, folder = prepared.workspace.submission(prepared.name, run.name), run.folder
    held = make_held_out_sample(sample, prepared.held_out)
    unread_test = _write(path, folder.test, prepared.test, sample, prior=prepared.prior)
    unread_held = _write(
        folder.held_out_submission, folder.held_out, prepared.held_out, held, prior=prepared.find_prior
    )
    score = score_answers(
        read_held_out_answers(run.folder, prepared.held_out), make_solution(prepared.held_out), metric
    )
    public = private = None
    if prepared.solution:
        choices = {question.id: question.choices for question in prepared.test}
        options = ReadingOptions(style=sample.style, choices=choices)
        ballots, rows = read_ballots(path, prepared.solution, options)
        hidden = score_answers(ballots, rows, metric)
        public, private = (part.value if part else None for part in (hidden.public, hidden.private))
    return Entry(
        name=run.name,
        submission=path.name,
        sha256=fingerprint(path),
        config=run.config,
        commit=_describe_commit(),
        data=prepared.data,
        split=prepared.split.fingerprint,
        metric=metric,
        held_out=replace(score.overall, unread=unread_held),
        members=run.members,
        unread_test=unread_test,
        seconds=round(run.seconds, 1),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        public=public,
        private=private,
        competition=prepared.name,
        folds=prepared.folds,
    )


def _write(
    path: Path,
    answers: Path,
    questions: Sequence[Question],
    sample: Sample,
    prior: Mapping[str, float] | Callable[[str], Mapping[str, float]],
) -> int:
    """Write answers in the sample's form; return how many questions were unread and filled from the prior."""
    labels = {question.id: question.labels for question in questions}
    ballots = ballots_from_answers(read_answers(answers))
    choices = {question.id: question.choices for question in questions}
    return len(write_submission(path, ballots, labels, sample, prior, choices=choices).unread)


def read_held_out_answers(folder: RunFolder, questions: Sequence[Question]) -> dict[str, Ballot]:
    """Return the held-out answers that are scored, from the file that `record_run` wrote."""
    rows, path = make_solution(questions), folder.held_out_submission
    solution = Solution(path=path, rows=rows, canonical=True)
    return read_ballots(path, solution)[0]


def make_held_out_sample(sample: Sample, questions: Sequence[Question]) -> Sample:
    """Return the form in which held-out answers are scored: the submission's, with labels written as letters."""
    ids = [question.id for question in questions]
    if sample.form == "ranked":
        return make_sample(ids, "ranked", sample.k)
    if sample.form == "probabilities":
        return make_sample(ids, "probabilities", labels=sample.labels)
    if sample.form == "probability":
        return make_sample(ids, "probabilities", labels=letters(2))
    return make_sample(ids, "letter" if any(question.choices for question in questions) else "text")


def accept_entries(
    prepared: PreparedCompetition, entries: Sequence[Entry], report: Callable[[str], None]
) -> list[Entry]:
    """Check each submission, add the legal ones to the ledger and return their entries; report the others' problems.

    Only what is in the ledger can be sent to Kaggle. An entry that is in the ledger already is not added again.
    """
    labels = {question.id: question.labels for question in prepared.test}
    choices = {question.id: question.choices for question in prepared.test}
    legal, wrong = [], 0
    for entry in entries:
        path = prepared.workspace.submissions / entry.submission
        problems = check_submission(path, prepared.sample, labels, choices)
        for problem in problems:
            report(f"{entry.submission}: {problem.message}")
        wrong += len(problems)
        legal += [] if problems else [entry]
    unchanged = len(legal) - len(append_new_entries(prepared.workspace.ledger, legal))
    report(f"checked against the sample submission: {len(entries)} files, {wrong} problems")
    if unchanged:
        report(f"{prepared.workspace.ledger}: {unchanged} of {len(legal)} entries are in it already, none is repeated")
    return legal


def list_own_boards(prepared: PreparedCompetition, report: Callable[[str], None]) -> list[Board]:
    """The competition's boards whose scores are over the same data and split."""
    boards = make_leaderboard(read_ledger(prepared.workspace.ledger, report))
    own = (prepared.data, prepared.split.fingerprint, prepared.name)
    return [board for board in boards if (board.data, board.split, board.competition) == own]


def find_best_entry(entries: Sequence[Entry]) -> Entry | None:
    """Return the entry with the best held-out score; a tie goes to the first. None if there is no entry."""
    if not entries:
        return None
    sign = -1 if lower_is_better(entries[0].metric) else 1
    return max(entries, key=lambda entry: sign * entry.held_out.value)


def read_finished_run(path: Path) -> CompetitionRun:
    """Return a run that was made elsewhere, by the name in its answers files.

    Raises:
        BadInput: an answers file is missing, the files hold several runs, or the name is not a plain file name.
    """
    folder, names = RunFolder(path), set[str]()
    for answers in (folder.test, folder.held_out):
        if not answers.is_file():
            raise BadInput(f"{path}: {answers.name} is missing: the kernel answers the held-out questions too")
        names |= set(read_answers(answers)["run"].unique())
    if len(names) != 1:
        raise BadInput(f"{path}: answers of {', '.join(sorted(names)) or 'no run'}, where one run is expected")
    name = check_file_name(names.pop(), f"{path}: run")
    return CompetitionRun(name=name, folder=folder, config={"read back from": str(path)})


def _describe_commit() -> str:
    """Return the commit of the current directory, with "+" after it if files differ; empty outside git."""
    done = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return done.stdout.strip()
