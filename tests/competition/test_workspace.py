"""Every path of a workspace stays inside it, whatever names are given."""

from pathlib import Path

import pytest

from quorum.competition.workspace import Workspace
from quorum.errors import BadInput


def test_paths_of_a_competition_are_below_the_root() -> None:
    workspace = Workspace(Path("w"))
    assert workspace.split("toys").train == Path("w/data/split/toys/train.parquet")
    assert workspace.run("toys", "encoder").held_out == Path("w/runs/toys/encoder/heldout.parquet")
    assert workspace.run("toys", "base", "ladder").path == Path("w/runs/toys/ladder/base")
    assert workspace.gold("toys") == Path("w/runs/toys/gold/heldout.parquet")
    assert workspace.submission("toys", "encoder") == Path("w/submissions/toys-encoder.csv")
    assert workspace.ledger == Path("w/submissions/ledger.jsonl")


def test_submissions_may_be_anywhere() -> None:
    assert Workspace(Path("w"), Path("/sent")).ledger == Path("/sent/ledger.jsonl")
    assert Workspace(submissions_folder=Path("sent")).ledger == Path("sent/ledger.jsonl")


@pytest.mark.parametrize("name", ["../x", "/x", "", "..", "a/b"])
def test_no_name_leads_out_of_the_workspace(name: str) -> None:
    workspace = Workspace()
    for path in (
        lambda: workspace.split(name),
        lambda: workspace.run(name, "run"),
        lambda: workspace.run("toys", name),
        lambda: workspace.submission(name, "run"),
        lambda: workspace.submission("toys", name),
    ):
        with pytest.raises(BadInput, match="expected is one plain file name"):
            path()
    if name:
        with pytest.raises(BadInput, match="expected is one plain file name"):
            workspace.run("toys", "run", name)
