"""Runs in folds: joined, resumed, shown, recorded and reported."""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from quorum.ballot import average_ballots, find_heaviest
from quorum.cli.board import print_boards
from quorum.competition import step
from quorum.competition.find_run import find_run, show_question
from quorum.competition.folder import find_competition
from quorum.competition.prepare import prepare_competition
from quorum.competition.report_data import collect_report
from quorum.competition.run import choose_members
from quorum.competition.workspace import Workspace
from quorum.errors import BadInput
from quorum.evaluation.ledger import make_leaderboard, read_ledger
from quorum.evaluation.report_page import render_page
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.kept_replies import read_kept_replies
from quorum.files.manifest import read_manifest
from quorum.question import label_prior
from tests.support.spy import Session, make_competition, run_kernel_here, submit


def read_ballots(path: Path) -> dict[str, dict[str, float]]:
    return ballots_from_answers(read_answers(path))


def test_what_is_finished_is_not_repeated_and_a_lost_fold_is(tmp_path: Path, spy: list[Session]) -> None:
    make_competition(tmp_path / "comp", 1)
    first = submit(tmp_path / "comp", folds=3)
    submitted = {path.name: path.read_bytes() for path in (tmp_path / "submissions").iterdir()}
    assert len(spy) == 2 * (3 + 1)
    lines: list[str] = []
    submit(tmp_path / "comp", folds=3, report=lines.append)
    assert len(spy) == 2 * (3 + 1), "nothing is asked again"
    assert sum("reused" in line for line in lines) == 2 * 4 + 4 + 1, "runs, trainings and the vote"
    assert {path.name: path.read_bytes() for path in (tmp_path / "submissions").iterdir()} == submitted
    (tmp_path / "runs" / "comp" / "fold-2-of-3" / "few-shot" / "heldout.parquet").unlink()
    again = submit(tmp_path / "comp", folds=3)
    assert len(spy) == 2 * (3 + 1) + 1
    assert spy[-1].scored == {id for id, fold in first.prepared.split.fold_of.items() if fold == 2}
    assert [entry.held_out for entry in again.entries] == [entry.held_out for entry in first.entries]
    submit(tmp_path / "comp", folds=3, fresh=True)
    assert len(spy) == 2 * 2 * (3 + 1) + 1


@pytest.mark.parametrize("killed", [2, 7, 10])
def test_a_killed_run_goes_on_in_the_fold_where_it_was(
    tmp_path: Path, spy: list[Session], monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    make_competition(tmp_path / "comp", 1)
    started = []

    def run_until_killed(story: str, toml: Path, settings: Mapping[str, Any], report: Any, **_: Any) -> float:
        started.append((story, settings["out"]))
        if len(started) == killed:
            raise KeyboardInterrupt
        return run_kernel_here(story, toml, settings, report)

    monkeypatch.setattr(step, "run_kernel_process", run_until_killed)
    with pytest.raises(KeyboardInterrupt):
        submit(tmp_path / "comp", folds=3)
    result = submit(tmp_path / "comp", folds=3)
    assert len(started) == 2 * 4 + 4 + 1 + 1, "only the killed step starts twice"
    assert len(set(started)) == len(started) - 1
    assert result.complete


def test_a_member_that_uses_no_label_is_asked_once_and_gets_none(tmp_path: Path, spy: list[Session]) -> None:
    rows = make_competition(tmp_path / "comp", 2)
    result = submit(tmp_path / "comp", ["blind"], folds=4)
    assert [each.scored for each in spy] == [{question.id for question in rows.values()}]
    assert spy[0].seen == set()
    assert all(len(shown) <= 1 for shown in spy[0].prompted.values())
    run = result.runs[-1]
    assert run.config["train"] == ""
    assert len(read_ballots(run.folder.held_out)) == len(rows)
    assert len(read_ballots(run.folder.test)) == len(result.prepared.test)
    assert sum(read_manifest(run.folder.manifest).calls.values()) == len(rows) + len(result.prepared.test)


def test_answers_of_the_folds_are_joined_and_test_answers_averaged(tmp_path: Path, spy: list[Session]) -> None:
    make_competition(tmp_path / "comp", 3)
    result = submit(tmp_path / "comp", ["few-shot"], folds=3, test_by="average")
    run, runs = result.runs[-1], tmp_path / "runs" / "comp"
    parts = [runs / f"fold-{fold}-of-3" / "few-shot" for fold in (1, 2, 3)]
    held_out = {id: ballot for part in parts for id, ballot in read_ballots(part / "heldout.parquet").items()}
    assert read_ballots(run.folder.held_out) == held_out
    assert list(read_ballots(run.folder.held_out)) == [question.id for question in result.prepared.held_out]
    tested = [read_ballots(part / "test.parquet") for part in parts]
    assert read_ballots(run.folder.test) == {id: average_ballots(each[id] for each in tested) for id in tested[0]}
    manifest, own = read_manifest(run.folder.manifest), [read_manifest(part / "run.json") for part in parts]
    assert sum(manifest.calls.values()) == sum(sum(each.calls.values()) for each in own)
    assert manifest.counts == {"test": len(result.prepared.test), "heldout": len(held_out)}
    assert run.config["folds"] == 3
    assert run.config["test by"] == "average"
    refit = submit(tmp_path / "comp", ["few-shot"], folds=3).runs[-1]
    assert read_ballots(refit.folder.test) == read_ballots(runs / "all-labels" / "few-shot" / "test.parquet")
    assert read_ballots(refit.folder.held_out) == held_out


def test_unread_answers_are_filled_from_the_other_folds(tmp_path: Path, spy: list[Session]) -> None:
    make_competition(tmp_path / "comp", 4)
    result = submit(tmp_path / "comp", ["few-shot"], folds=2)
    fold_of, questions = result.prepared.split.fold_of, result.prepared.held_out
    priors = {fold: label_prior([each for each in questions if fold_of[each.id] != fold]) for fold in (1, 2)}
    with result.runs[0].folder.held_out_submission.open(newline="") as file:
        written = {row["id"]: row["answer"] for row in csv.DictReader(file)}
    assert written == {each.id: find_heaviest(priors[fold_of[each.id]]) for each in questions}
    assert priors[1] != priors[2]


def test_show_finds_the_joined_run_and_its_replies(tmp_path: Path, spy: list[Session]) -> None:
    rows = make_competition(tmp_path / "comp", 5)
    submit(tmp_path / "comp", ["few-shot"], folds=3)
    workspace = Workspace(tmp_path)
    folder = find_run(workspace, "few-shot")
    assert folder.path == tmp_path / "runs" / "comp" / "few-shot"
    assert find_run(workspace, "fold-2-of-3/few-shot").path.parent.name == "fold-2-of-3"
    kept = read_kept_replies(folder, "heldout")
    assert kept is not None
    assert set(kept.replies["id"]) == {question.id for question in rows.values()}
    for mark, question in rows.items():
        numbers = kept.replies.filter(kept.replies["id"] == question.id)["prompt"]
        assert all(mark in str(kept.prompts[number]["turns"]) for number in numbers)
    (shown,) = show_question(workspace, folder, next(iter(rows.values())).id)
    assert shown.parts[0].title == "Question"


def test_ledger_board_and_report_say_how_it_was_scored(
    tmp_path: Path, spy: list[Session], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = make_competition(tmp_path / "comp", 6)
    one = submit(tmp_path / "comp")
    result = submit(tmp_path / "comp", folds=3)
    lines = [json.loads(line) for line in (tmp_path / "submissions" / "ledger.jsonl").read_text().splitlines()]
    assert [(line["name"], line["folds"], line["held_out"]["n"]) for line in lines] == [
        (entry.name, folds, len(prepared.held_out))
        for folds, entries, prepared in ((1, one.entries, one.prepared), (3, result.entries, result.prepared))
        for entry in entries
    ]
    assert len(one.prepared.held_out) < len(result.prepared.held_out) == len(rows)
    print_boards(make_leaderboard(read_ledger(tmp_path / "submissions" / "ledger.jsonl")))
    printed = capsys.readouterr().out
    assert f"comp: accuracy, n = {len(rows)} out of 3 folds, evaluated" in printed
    assert f"comp: accuracy, n = {len(one.prepared.held_out)}, evaluated" in printed
    report: list[str] = []
    facts = collect_report(find_competition(tmp_path / "comp"), Workspace(tmp_path), 0.3, report.append)
    assert len(facts.questions) == len(rows)
    page = render_page(facts, lambda run, ids: {}).html
    assert f"n {len(rows)} out of 3 folds" in page
    assert f"n {len(one.prepared.held_out)}. Unread" in page
    assert "each once in 3 folds" in page
    assert set(facts.runs) == {"prior", "few-shot", "spy-tuned", "vote"}, report


def test_the_reserved_names_and_the_ways_to_answer_test_are_checked(tmp_path: Path, spy: list[Session]) -> None:
    make_competition(tmp_path / "comp", 1)
    with pytest.raises(BadInput, match="test_by is 'both'; allowed are refit, average"):
        submit(tmp_path / "comp", folds=2, test_by="both")
    for name in ("fold-1-of-5", "all-labels"):
        (tmp_path / f"{name}.toml").write_text('run = "x"\n')
        with pytest.raises(BadInput, match="is reserved for one of Quorum's own folders"):
            choose_members([tmp_path / f"{name}.toml"], background=False)
    with pytest.raises(BadInput, match="at least"):
        submit(tmp_path / "comp", folds=200)


def test_no_file_beside_the_folds_has_the_answers_to_score(tmp_path: Path, spy: list[Session]) -> None:
    make_competition(tmp_path / "comp", 1)
    report: Callable[[str], None] = print
    prepare_competition(find_competition(tmp_path / "comp"), Workspace(tmp_path), report=report)
    files = Workspace(tmp_path).split("comp")
    assert files.train.exists()
    prepare_competition(find_competition(tmp_path / "comp"), Workspace(tmp_path), report=report, folds=3)
    assert not files.train.exists()
    from quorum.data.read import read_questions

    assert {question.answer for question in read_questions(files.held_out)} == {None}
