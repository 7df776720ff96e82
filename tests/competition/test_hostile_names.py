"""Nothing is created, changed or removed outside the working directory, whatever names a competition's files hold."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorum.competition.folder import find_competition
from quorum.competition.prepare import prepare_competition
from quorum.competition.record import read_finished_run
from quorum.competition.run import choose_members, forget_members, run_prior
from quorum.competition.submit import record_runs
from quorum.competition.workspace import Workspace
from quorum.disk import replace_folder
from quorum.errors import BadInput
from quorum.files.answers import make_answers, write_answers
from quorum.kaggle.push import _safe_path

HOSTILE = [
    *("..", "../../victim", "/tmp", "/", "", ".", "~", "~root", "$HOME", "*", "[1]", "x\\..\\..\\victim", "%2e%2e"),
    *(
        "a\0b",
        "\n",
        "\r",
        "\t",
        "\x1b[2J",
        "\u202e",
        "CON",
        "-rf",
        "--out=x",
        "x" * 300,
        "é漢😀",
        " ",
        "a/../../b",
        "\ud800",
    ),
    *("train", "gold", "members", "ladder", "fold-1-of-5", ".quorum-folder", "submission.csv", "file:///etc", "victim"),
]
FILES = ["train", "test", "sample", "solution", "metric", "form"]
names = st.one_of(
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=3).map("/".join),
    st.text(max_size=12),
)
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with precious files, and the working directory in it."""
    folder = tmp_path_factory.mktemp("outside")
    for name in ("victim", "victim/prior", "victim/train-encoder", "comp"):
        (folder / name).mkdir()
        (folder / name / "precious.txt").write_text(name)
    replace_folder(folder / "victim" / "marked")  # a folder of Quorum's own, of another workspace
    (folder / "work" / "deep").mkdir(parents=True)
    before = Path.cwd()
    os.chdir(folder / "work" / "deep")
    yield folder
    os.chdir(before)


def take_snapshot(folder: Path) -> dict[str, bytes | None]:
    """Return the content of every file below `folder` but outside the working directory; None for folders."""
    inside = folder / "work" / "deep"
    found = (path for path in folder.rglob("*") if path != inside and not path.is_relative_to(inside))
    return {str(path): path.read_bytes() if path.is_file() else None for path in found}


def write_competition(folder: Path, table: dict[str, str], ids: list[str]) -> None:
    """Write a competition with these settings in its quorum.toml, and these ids among its questions."""
    known = [name.replace("\ud800", "?") for name in dict.fromkeys(ids)]
    train = [f"{n}: {id}" for n, id in enumerate([*known, *"abcdefgh"])]
    rows = {
        "id": train,
        "question": [f"Which is {id}?" for id in train],
        "A": train,
        "B": [f"not {id}" for id in train],
    }
    pl.DataFrame({**rows, "answer": ["A", "B"] * (len(train) // 2) + ["A"] * (len(train) % 2)}).write_csv(
        folder / "train.csv"
    )
    own = list(dict.fromkeys(id.strip() or "blank" for id in [*known, "t1", "t2"]))
    columns = {"id": own, "question": own, "A": own, "B": [f"not {id}" for id in own]}
    pl.DataFrame(columns).write_csv(folder / "test.csv")
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in table.items())
    (folder / "quorum.toml").write_bytes(lines.encode("utf-8", errors="replace"))


@SETTINGS
@given(
    name=names,
    file=st.sampled_from(["train", "test", "sample", "solution", "metric", "form"]),
    value=names,
    ids=st.lists(names, max_size=4),
)
def test_no_name_in_a_competition_writes_or_deletes_outside(
    outside: Path, name: str, file: str, value: str, ids: list[str]
) -> None:
    table = {"name": name} | ({file: value} if len(value) % 3 == 0 else {})
    write_competition(outside / "comp", table, ids)
    before = take_snapshot(outside)
    try:
        prepared = prepare_competition(find_competition(outside / "comp"), Workspace())
        record_runs(prepared, [run_prior(prepared)], lambda line: None)
    except (BadInput, OSError):
        pass
    assert take_snapshot(outside) == before


@SETTINGS
@given(competition=names, run=names, group=names)
def test_every_path_of_a_workspace_is_inside_it(outside: Path, competition: str, run: str, group: str) -> None:
    root = outside / "work" / "deep"
    workspace = Workspace(root)
    for make in (
        lambda: workspace.split(competition, group).path,
        lambda: workspace.run(competition, run, group).path,
        lambda: workspace.members(competition),
        lambda: workspace.ladder(competition, run),
        lambda: workspace.submission(competition, run),
        lambda: workspace.gold(competition),
        lambda: _safe_path(root, run),
    ):
        try:
            path = make()
        except BadInput:
            continue
        assert root in Path(os.path.normpath(path)).parents


@SETTINGS
@given(run=names, stem=names)
def test_neither_a_run_name_nor_a_member_leads_outside(outside: Path, run: str, stem: str) -> None:
    folder = outside / "work" / "deep" / "made elsewhere"
    run = run.replace("\ud800", "?")
    for file in ("test", "heldout"):
        write_answers(make_answers(run, {"q1": {"A": 1.0}}), folder / f"{file}.parquet")
    with suppress(BadInput):
        assert read_finished_run(folder).name == run
    toml = folder / f"{stem.replace('/', '_')}.toml"
    try:
        toml.write_text(f"run = {json.dumps(run)}\n")
    except (OSError, ValueError):
        return  # no such file can be
    write_competition(outside / "comp", {}, [])
    before = take_snapshot(outside)
    try:
        prepared = prepare_competition(find_competition(outside / "comp"), Workspace())
        forget_members(prepared, choose_members([toml], False), lambda line: None)
    except BadInput:
        pass
    assert take_snapshot(outside) == before
