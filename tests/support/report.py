"""Runs for the tests of the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from quorum.ballot import Ballot
from quorum.evaluation.ledger import Entry
from quorum.evaluation.metrics import score_answers
from quorum.evaluation.report_facts import RunAnswers
from quorum.files.solution import make_solution
from quorum.question import Question


def make_run(
    name: str, questions: Sequence[Question], ballots: Mapping[str, Mapping[Any, float]], number: int = 0, **more: Any
) -> RunAnswers:
    """Return a run whose submission fills what it left unread with A; its score is that of the submission."""
    sent: dict[str, Ballot] = {id: dict(ballot) or {"A": 1.0} for id, ballot in ballots.items()}
    fields: dict[str, Any] = {
        "name": name,
        "submission": f"{name}.csv",
        "sha256": f"hash of {name}",
        "config": {},
        "commit": "0123456789abcdef",
        "data": "d1",
        "split": "s1",
        "metric": "accuracy",
        "held_out": score_answers(sent, make_solution(questions), more.get("metric", "accuracy")).overall,
        "members": (),
        "unread_test": 7,
        "seconds": 10.0 * number,
        "when": f"2026-11-21T03:00:{number:02}Z",
    }
    return RunAnswers(Entry(**(fields | more)), sent, {id: dict(ballot) for id, ballot in ballots.items()})
