"""Collect the report's data from disk: boards, held-out questions and the runs' answers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from quorum.competition.folder import Competition
from quorum.competition.prepare import fingerprint_data, read_known_solution
from quorum.competition.record import read_held_out_answers
from quorum.competition.report_extras_data import collect_extras
from quorum.competition.workspace import Workspace
from quorum.data.layout import Layout
from quorum.data.read import read_records
from quorum.data.repair import read_clean_questions
from quorum.data.split import read_split
from quorum.disk import replace_file
from quorum.errors import BadInput
from quorum.evaluation.ledger import Board, Entry, list_latest_entries, make_leaderboard, read_ledger
from quorum.evaluation.metrics import score_answers
from quorum.evaluation.report_facts import Facts, RunAnswers, collect_facts
from quorum.evaluation.report_page import Page
from quorum.evaluation.shakeup import Parts, assume_parts, find_parts
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.run_folder import RunFolder
from quorum.files.solution import make_solution
from quorum.question import Question


def collect_report(
    competition: Competition, workspace: Workspace, public_share: float, report: Callable[[str], None]
) -> Facts:
    """Collect the facts of a competition's report.

    Args:
        public_share: assumed share of the test questions in the public score, if there is no solution.
        report: is called with one line for everything that is left out.

    Raises:
        BadInput: the ledger has no submission for the competition's current files.
    """
    ledger = read_ledger(workspace.ledger, report)
    boards = list_boards(competition, workspace.ledger, ledger)
    questions = find_held_out(competition, workspace, boards[0], report)
    answers = find_answers(competition, workspace, list_latest_entries(boards[0], ledger), questions, report)
    parts = find_test_parts(competition, public_share, report)
    facts = collect_facts(competition.name, boards, questions if answers else [], answers, parts)
    return replace(facts, extras=collect_extras(competition, workspace, report))


def write_report(page: Page, folder: Path) -> list[Path]:
    """Write the page and a PNG for each chart; return the files, the page first."""
    files = {folder / "index.html": page.html.encode()}
    files |= {folder / f"{chart.name}.png": chart.png for chart in page.charts}
    for path, content in files.items():
        with replace_file(path) as part:
            part.write_bytes(content)
    return list(files)


def list_boards(competition: Competition, ledger: Path, entries: Sequence[Entry]) -> list[Board]:
    """Return the ledger's boards, first the board of the competition's current files.

    Raises:
        BadInput: there is no such board.
    """
    boards = make_leaderboard(entries)
    if not boards:
        raise BadInput(f"{ledger}: no submissions yet; `quorum submit` makes the first")
    data = fingerprint_data(competition)
    own = [board for board in boards if board.data == data and board.competition in (competition.name, "")]
    if not own:
        raise BadInput(f"{ledger}: no submission for the current {competition.train}; `quorum submit` makes one")
    return [own[0], *(board for board in boards if board is not own[0])]


def find_held_out(
    competition: Competition, workspace: Workspace, board: Board, report: Callable[[str], None]
) -> list[Question]:
    """Return the board's held-out questions with their answers; empty if another split is on disk."""
    path = workspace.split(competition.name).split
    if not path.exists() or (split := read_split(path)).fingerprint != board.split:
        report(f"{path}: the split differs from that of the latest submissions; per-question sections are left out")
        return []
    questions = read_clean_questions(competition.train, competition.layout)
    return [question for question in questions if question.id in split.scored]


def find_answers(
    competition: Competition,
    workspace: Workspace,
    latest: Sequence[Entry],
    questions: Sequence[Question],
    report: Callable[[str], None],
) -> list[RunAnswers]:
    """Return the answers of the latest entry of each run, if its files still give the score in the ledger."""
    found = [
        _read_scored_answers(entry, workspace.run(competition.name, entry.name), questions, report) for entry in latest
    ]
    return [run for run in found if run]


def _read_scored_answers(
    entry: Entry, folder: RunFolder, questions: Sequence[Question], report: Callable[[str], None]
) -> RunAnswers | None:
    """Read a run's answers; return None if they are not on disk or not those that the ledger scored."""
    sent, own = folder.held_out_submission, folder.held_out
    if not questions or not (sent.exists() and own.exists()):
        return None
    run = RunAnswers(entry, read_held_out_answers(folder, questions), ballots_from_answers(read_answers(own)))
    if len(run.sent) == len(questions) == entry.held_out.n:
        score = score_answers(run.sent, make_solution(questions), entry.metric).overall
        if score.value == entry.held_out.value:
            return run
    report(f"{sent}: these are not the answers that the ledger scored as {entry.name!r}; the run is left out")
    return None


def find_test_parts(competition: Competition, public_share: float, report: Callable[[str], None]) -> Parts | None:
    """Return the sizes of the public and the private part of the test, from the solution or as assumed."""
    solution = read_known_solution(competition, report)
    return (find_parts(solution.rows) if solution else None) or assume_parts(
        len(read_records(competition.test, competition.layout, like=Layout()).records), public_share
    )
