"""Writes the report of a competition: one HTML page that needs no network, and its charts as PNG."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.console import DONE, print_json, print_status, run_program
from quorum.errors import BadInput

if TYPE_CHECKING:
    from quorum.competition.folder import Competition
    from quorum.evaluation.ledger import Board, Entry
    from quorum.evaluation.report_facts import RunAnswers
    from quorum.evaluation.shakeup import Parts
    from quorum.question import Question


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="exit code: 0 done, 2 bad input")
    parser.add_argument("folder", type=Path, help="the competition, as scripts/submit.py takes it")
    parser.add_argument("--out", type=Path, default=Path("build/report"), help="folder (default %(default)s)")
    parser.add_argument("--submissions", type=Path, default=Path("submissions"), help="folder (default %(default)s)")
    parser.add_argument(
        "--public-share", type=float, default=0.3, help="of the test, where no file tells it (default %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the files written and what they say as one document")
    given = parser.parse_args()

    from dataclasses import asdict

    from quorum.competition.folder import find_competition
    from quorum.disk import replace_file
    from quorum.evaluation.report_facts import collect_facts
    from quorum.evaluation.report_page import render_page

    competition = find_competition(given.folder)
    boards = boards_of(competition, given.submissions / "ledger.jsonl")
    questions = held_out_questions(competition, boards[0])
    answers = answers_at_hand(competition, boards[0], questions)
    facts = collect_facts(
        competition.name, boards, questions if answers else [], answers, parts_at_hand(competition, given.public_share)
    )
    page = render_page(facts)
    files = {given.out / "index.html": page.html.encode()}
    files |= {given.out / f"{chart.name}.png": chart.png for chart in page.charts}
    for path, content in files.items():
        with replace_file(path) as part:
            part.write_bytes(content)
    if given.json:
        print_json({"files": [str(path) for path in files], "facts": asdict(facts)})
    else:
        print(f"{given.out / 'index.html'}: {len(answers)} runs, {len(questions)} questions, {len(page.charts)} charts")
    return DONE


def boards_of(competition: "Competition", ledger: Path) -> "list[Board]":
    """The ledger's boards, that of the competition as its files are now first."""
    import hashlib

    from quorum.disk import fingerprint
    from quorum.evaluation.ledger import make_leaderboard, read_ledger

    boards = make_leaderboard(read_ledger(ledger, print_status))
    if not boards:
        raise BadInput(f"{ledger}: no submissions yet; `make submit` makes the first")
    both = fingerprint(competition.train) + fingerprint(competition.test)
    data = hashlib.sha256(both.encode()).hexdigest()  # as scripts/submit.py has it
    own = [board for board in boards if board.data == data]
    if not own:
        raise BadInput(f"{ledger}: no submission of {competition.train} as it is now; `make submit` makes one")
    return [own[0], *(board for board in boards if board is not own[0])]


def held_out_questions(competition: "Competition", board: "Board") -> "list[Question]":
    """The board's held-out questions with their answers; none where another split is on disk."""
    from quorum.data.read import read_records
    from quorum.data.repair import repair_table
    from quorum.data.split import read_split, select_held_out

    path = Path("data/split") / competition.name / "split.parquet"
    if not path.exists() or (split := read_split(path)).fingerprint != board.split:
        print_status(f"{path}: not the split of the latest submissions; the report goes without questions")
        return []
    return select_held_out(split, repair_table(read_records(competition.train, competition.layout)).questions)


def answers_at_hand(competition: "Competition", board: "Board", questions: "list[Question]") -> "list[RunAnswers]":
    """The latest run of each name, where its files still give the score that the ledger has."""
    latest: dict[str, Entry] = {}
    for entry in sorted((standing.entry for standing in board.standings), key=lambda entry: entry.when):
        latest[entry.name] = entry
    found = [answers_of(entry, Path("runs") / competition.name / entry.name, questions) for entry in latest.values()]
    return [run for run in found if run]


def answers_of(entry: "Entry", folder: Path, questions: "list[Question]") -> "RunAnswers | None":
    from quorum.evaluation.metrics import score_answers
    from quorum.evaluation.report_facts import RunAnswers
    from quorum.files.answers import ballots_from_answers, read_answers
    from quorum.files.solution import make_solution, read_ballots

    twin, own = folder / "heldout.csv", folder / "heldout.parquet"
    if not questions or not (twin.exists() and own.exists()):
        return None
    run = RunAnswers(entry, read_ballots(twin), ballots_from_answers(read_answers(own)))
    scored = len(run.sent) == len(questions) == entry.held_out.n
    if (
        not scored
        or score_answers(run.sent, make_solution(questions), entry.metric).overall.value != entry.held_out.value
    ):
        print_status(f"{twin}: not what the ledger scored as {entry.name!r}; left out")
        return None
    return run


def parts_at_hand(competition: "Competition", public_share: float) -> "Parts | None":
    """The test's public and private parts, as the solution tells them or as they are assumed."""
    from quorum.data.read import read_records
    from quorum.evaluation.shakeup import assume_parts, find_parts
    from quorum.files.solution import read_solution

    told = find_parts(read_solution(competition.solution)) if competition.solution else None
    return told or assume_parts(len(read_records(competition.test, competition.layout).records), public_share)


if __name__ == "__main__":
    run_program(main)
