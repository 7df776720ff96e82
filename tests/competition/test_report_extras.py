"""What `quorum report` collects from a workspace besides scores."""

import json
from pathlib import Path

import pytest

from quorum.competition.folder import find_competition
from quorum.competition.report_extras_data import collect_extras, make_view_loader, read_submissions_left
from quorum.competition.run import make_member_settings
from quorum.competition.workspace import Workspace
from quorum.errors import BadInput
from quorum.evaluation.report_extras import LossCurve, SubmissionsLeft
from quorum.files.answers import make_answers, write_answers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "toys"
    folder.mkdir()
    rows = [f"k{n},Which is {n}?,one {n},two {n},{'AB'[n % 2]}" for n in range(12)]
    (folder / "train.csv").write_text("id,question,A,B,answer\n" + "\n".join([*rows, "k99,Which is no?,x,y,"]) + "\n")
    (folder / "test.csv").write_text("id,question,A,B\nt1,Which is 3?,one 3,two 3\n")
    (folder / "sample_submission.csv").write_text("id,answer\nt1,A\n")
    return folder


def test_losses_findings_and_submissions_left_are_collected(folder: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    out = tmp_path / "runs" / "toys" / "train-encoder"
    out.mkdir(parents=True)
    (out / "loss.json").write_text(
        json.dumps({"steps": 2, "curve": [{"step": 1, "loss": 2}, {"step": 2, "loss": 1.5}]})
    )
    workspace.submissions.mkdir()
    workspace.kaggle_state.write_text(json.dumps({"toys": {"left": 3, "when": "2026-11-26T01:02:03+00:00"}}))
    lines: list[str] = []
    extras = collect_extras(find_competition(folder), workspace, lines.append)
    assert extras.losses == (LossCurve("train-encoder", ((1, 2.0), (2, 1.5))),)
    assert extras.kaggle == SubmissionsLeft(3, "2026-11-26T01:02:03+00:00")
    assert {(one.file, one.severity, one.count) for one in extras.findings} >= {("train.csv", "error", 1)}
    assert any(one.file == "test.csv" and "k3" in one.first for one in extras.findings)
    assert lines == []


def test_the_findings_have_the_ids_of_the_sample_submission(folder: Path, tmp_path: Path) -> None:
    for name, first in (("train.csv", "k"), ("test.csv", "t")):
        header, *rows = (folder / name).read_text().splitlines()
        lines = [f"key,{header}", *(f"{first}ey{n},{row}" for n, row in enumerate(rows))]
        (folder / name).write_text("\n".join(lines) + "\n")
    (folder / "sample_submission.csv").write_text("key,answer\ntey0,A\n")
    extras = collect_extras(find_competition(folder), Workspace(tmp_path), print)
    assert any(one.file == "train.csv" and "(key12)" in one.first for one in extras.findings)


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"curve": [{"step": 1}]}', "\x00"])
def test_a_file_that_cannot_be_read_is_named_and_left_out(folder: Path, tmp_path: Path, text: str) -> None:
    workspace, lines = Workspace(tmp_path), list[str]()
    for path in (
        tmp_path / "runs/toys/train-x/loss.json",
        tmp_path / "runs/toys/ladder-x.json",
        workspace.kaggle_state,
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    extras = collect_extras(find_competition(folder), workspace, lines.append)
    assert (extras.losses, extras.ladders, extras.kaggle) == ((), (), None)
    assert len([line for line in lines if "loss.json: cannot be read, and is left out" in line]) == 1
    assert len([line for line in lines if "ladder-x.json: cannot be read, and is left out" in line]) == 1


def test_without_a_file_no_submissions_are_known(tmp_path: Path) -> None:
    assert read_submissions_left(tmp_path / "kaggle.json", print) == {}


def test_views_come_from_the_runs_folder_and_a_run_without_one_has_none(folder: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write_answers(make_answers("r", {"k1": {"A": 1.0}, "k2": {}}), workspace.run("toys", "r").held_out)
    load = make_view_loader(find_competition(folder), workspace, print)
    assert {id: parts[-1].note for id, parts in load("r", ["k1", "k2", "k7"]).items()} == {
        "k1": "A 1.000",
        "k2": "unread: the submission fills it from the prior",
    }
    assert load("other", ["k1"]) == {}


def test_keep_in_quorum_toml_holds_for_every_member(folder: Path, tmp_path: Path) -> None:
    from quorum.competition.prepare import prepare_competition

    (folder / "quorum.toml").write_text('keep = "answers"\n')
    workspace = Workspace(tmp_path)
    prepared = prepare_competition(find_competition(folder), workspace, 0.25, 42)
    assert make_member_settings(prepared, {}, [], workspace.run("toys", "r"))["limits.keep"] == "answers"
    (folder / "quorum.toml").write_text('keep = "nothing"\n')
    with pytest.raises(BadInput, match="keep"):
        find_competition(folder)
    (folder / "quorum.toml").unlink()
    prepared = prepare_competition(find_competition(folder), workspace, 0.25, 42)
    assert "limits.keep" not in make_member_settings(prepared, {}, [], workspace.run("toys", "r"))
