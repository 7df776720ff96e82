"""Record a run: write its submission, score the same rule on the held-out questions, and add it to the ledger."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from quorum.competition.prepare import PreparedCompetition
from quorum.competition.run import CompetitionRun
from quorum.disk import check_file_name, fingerprint
from quorum.errors import BadInput
from quorum.evaluation.ledger import Board, Entry, append_entry, make_leaderboard, read_ledger
from quorum.evaluation.metrics import lower_is_better, score_answers
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.check import check_submission
from quorum.files.run_folder import RunFolder
from quorum.files.solution import make_solution, read_ballots, read_solution
from quorum.files.submission import Sample, make_sample, write_submission
from quorum.question import Question


def record_run(prepared: PreparedCompetition, run: CompetitionRun) -> Entry:
    """Write the run's submission and return its ledger entry, which is not in the ledger yet (see `accept_entries`).

    The held-out questions are written in the submission's form too, filled by the same rule, and that file is scored.
    """
    sample, metric = prepared.sample, prepared.competition.metric
    path = prepared.workspace.submission(prepared.name, run.name)
    form = "letter" if sample.form.startswith("index") else sample.form
    held = make_sample([question.id for question in prepared.held_out], form, sample.k, sample.labels)
    unread_test = _write(prepared, path, run.folder.test, prepared.test, sample)
    unread_held = _write(prepared, run.folder.held_out_submission, run.folder.held_out, prepared.held_out, held)
    scored = read_ballots(run.folder.held_out_submission)
    score = score_answers(scored, make_solution(prepared.held_out), metric).overall
    public = private = None
    if prepared.competition.solution:
        hidden = score_answers(read_ballots(path), read_solution(prepared.competition.solution), metric)
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
        held_out=replace(score, unread=unread_held),
        members=run.members,
        unread_test=unread_test,
        seconds=round(run.seconds, 1),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        public=public,
        private=private,
        competition=prepared.name,
    )


def _write(
    prepared: PreparedCompetition, path: Path, answers: Path, questions: Sequence[Question], sample: Sample
) -> int:
    """Write answers in the sample's form; return how many questions were unread and filled from the prior."""
    labels = {question.id: question.labels for question in questions}
    ballots = ballots_from_answers(read_answers(answers))
    return len(write_submission(path, ballots, labels, sample, prepared.prior).unread)


def accept_entries(
    prepared: PreparedCompetition, entries: Sequence[Entry], report: Callable[[str], None]
) -> list[Entry]:
    """Check each submission, add the legal ones to the ledger and return their entries; report the others' problems.

    Only what is in the ledger can be sent to Kaggle.
    """
    labels = {question.id: question.labels for question in prepared.test}
    legal, wrong = [], 0
    for entry in entries:
        problems = check_submission(prepared.workspace.submissions / entry.submission, prepared.sample, labels)
        for problem in problems:
            report(f"{entry.submission}: {problem.message}")
        wrong += len(problems)
        if not problems:
            append_entry(prepared.workspace.ledger, entry)
            legal.append(entry)
    report(f"checked against the sample submission: {len(entries)} files, {wrong} problems")
    return legal


def list_own_boards(prepared: PreparedCompetition, report: Callable[[str], None]) -> list[Board]:
    """Return the ledger's boards with scores on the same data and split."""
    boards = make_leaderboard(read_ledger(prepared.workspace.ledger, report))
    return [board for board in boards if (board.data, board.split) == (prepared.data, prepared.split.fingerprint)]


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
