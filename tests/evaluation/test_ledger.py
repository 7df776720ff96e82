import json
import multiprocessing
import os
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.errors import BadInput
from quorum.evaluation.ledger import (
    Entry,
    append_entry,
    is_recorded,
    list_latest_entries,
    make_leaderboard,
    read_ledger,
)
from quorum.evaluation.metrics import Score
from tests.support.verb import run_verb


def entry(name="encoder", value=0.5, error=0.02, **more):
    fields = {
        "name": name,
        "submission": f"{name}.csv",
        "sha256": f"hash of {name}",
        "config": {"batch": 8, "backend": {"name": "encoder"}},
        "commit": "0123456789abcdef",
        "data": "d1",
        "split": "s1",
        "metric": "accuracy",
        "held_out": Score(value=value, error=error, low=value - 0.04, high=value + 0.04, n=400, unread=3),
        "members": ("a", "b"),
        "unread_test": 7,
        "seconds": 1.5,
        "when": "2026-11-21T03:00:00Z",
    }
    return Entry(**(fields | more))


def names(board):
    return [row.entry.name for row in board.standings]


def test_entries_survive_the_file(tmp_path):
    path = tmp_path / "deep" / "ledger.jsonl"
    first = entry("näme\n", held_out=Score(value=1.0, error=None, low=None, high=None, n=1, unread=0))
    second = entry("b", public=0.4, private=0.41, metric="map@3")
    append_entry(path, first)
    append_entry(path, second)
    assert read_ledger(path) == [first, second]
    assert path.read_bytes().count(b"\n") == 2


def test_a_line_from_before_the_competition_was_kept_is_read(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_entry(path, entry(competition="toys"))
    table = json.loads(path.read_text())
    assert table.pop("competition") == "toys"
    path.write_text(json.dumps(table) + "\n")
    assert read_ledger(path) == [entry(competition="")]


def test_a_line_with_looks_the_old_name_of_evaluations_is_read(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_entry(path, entry(evaluations=5))
    table = json.loads(path.read_text())
    table["looks"] = table.pop("evaluations")
    path.write_text(json.dumps(table) + "\n")
    assert read_ledger(path) == [entry(evaluations=5)]


def test_no_file_is_an_empty_ledger(tmp_path):
    assert read_ledger(tmp_path / "ledger.jsonl") == []
    assert make_leaderboard([]) == []


@pytest.mark.parametrize("cut", [1, 20, -2])
def test_an_incomplete_line_is_reported_and_the_next_entry_gets_its_own_line(tmp_path, cut):
    path = tmp_path / "ledger.jsonl"
    reported: list[str] = []
    append_entry(path, entry("a"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:cut])
    assert read_ledger(path, reported.append) == [entry("a")]
    assert reported == [f"{path}, line 2: incomplete line; skipped"]
    append_entry(path, entry("b"))
    assert read_ledger(path) == [entry("a"), entry("b")]


def test_an_entry_that_only_lost_its_line_end_is_kept(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_entry(path, entry("a"))
    path.write_bytes(path.read_bytes()[:-1])
    append_entry(path, entry("b"))
    assert read_ledger(path) == [entry("a"), entry("b")]


def test_a_line_that_is_no_entry_is_refused_with_its_number(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_entry(path, entry("a"))
    path.write_text(path.read_text() + '{"name": "x"}\n')
    with pytest.raises(BadInput, match=r"line 2: not a ledger entry"):
        read_ledger(path)
    path.write_text(json.dumps(json.loads(path.read_text().splitlines()[0]) | {"seconds": "long"}) + "\n")
    with pytest.raises(BadInput, match=r"line 1: entry: setting 'seconds' is 'long'"):
        read_ledger(path)


def test_an_entry_that_json_cannot_represent_is_refused_and_leaves_no_trace(tmp_path):
    with pytest.raises(BadInput, match="entry encoder"):
        append_entry(tmp_path / "ledger.jsonl", entry(seconds=float("nan")))
    with pytest.raises(BadInput, match="entry encoder"):
        append_entry(tmp_path / "ledger.jsonl", entry(config={"out": Path("x")}))
    assert read_ledger(tmp_path / "ledger.jsonl") == []


def append_many(path, name):
    for number in range(20):
        append_entry(path, entry(f"{name}{number}", config={"padding": "x" * 20_000}))


def test_runs_that_end_at_once_take_turns(tmp_path):
    path = tmp_path / "ledger.jsonl"
    reported: list[str] = []
    runs = [multiprocessing.get_context("fork").Process(target=append_many, args=(path, name)) for name in "abc"]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert {e.name for e in read_ledger(path, reported.append)} == {f"{name}{n}" for name in "abc" for n in range(20)}
    assert reported == []


@settings(deadline=None)
@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["held_out", "name", "value", "members", "config", "metric"]), inner)
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode())
)
def test_a_hostile_ledger_is_read_or_refused(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("l") / "ledger.jsonl"
    path.write_bytes(raw)
    try:
        assert make_leaderboard(read_ledger(path)) == []
    except BadInput as error:
        assert "ledger.jsonl, line" in str(error)  # noqa: PT017


@settings(deadline=None)
@given(st.sampled_from(sorted(entry().__dataclass_fields__)), st.sampled_from([None, 10**400, "", [], {}, True, -1]))
def test_an_entry_with_one_hostile_field_is_read_or_refused(tmp_path_factory, field, value):
    path = tmp_path_factory.mktemp("l") / "ledger.jsonl"
    append_entry(path, entry())
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    try:
        make_leaderboard(read_ledger(path))
    except BadInput as error:
        assert "ledger.jsonl, line 1" in str(error)  # noqa: PT017


def test_the_best_comes_first_and_ties_within_error_are_marked():
    board = make_leaderboard([entry("low", 0.40), entry("best", 0.50), entry("near", 0.46), entry("far", 0.44)])[0]
    assert names(board) == ["best", "near", "far", "low"]
    # 1.96 * sqrt(.02^2 + .02^2) = .0554
    assert [row.tied for row in board.standings] == [False, True, False, False]
    assert [row.rank for row in board.standings] == [1, 2, 3, 4]


def test_equal_scores_share_a_rank_in_the_order_of_the_ledger():
    board = make_leaderboard([entry("x", 0.4), entry("b", 0.5), entry("a", 0.5)])[0]
    assert [(s.rank, s.tied, s.entry.name) for s in board.standings] == [
        (1, False, "b"),
        (1, True, "a"),
        (3, False, "x"),
    ]


def test_with_an_unknown_error_every_run_is_tied():
    board = make_leaderboard([entry("one", 1.0, error=0.001, sha256="1"), entry("two", 0.0, error=0.001, sha256="2")])[
        0
    ]
    assert not board.standings[1].tied
    unsure = entry("two", 0.0, held_out=Score(value=0.0, error=None, low=None, high=None, n=1, unread=0))
    assert make_leaderboard([entry("one", 1.0), unsure])[0].standings[1].tied


def test_for_log_loss_lower_is_better():
    board = make_leaderboard([entry("high", 1.2, metric="log-loss"), entry("low", 0.8, metric="log-loss")])[0]
    assert names(board) == ["low", "high"]


@pytest.mark.parametrize("other", [{"data": "d2"}, {"split": "s2"}, {"metric": "map@3"}])
def test_runs_scored_on_different_questions_are_never_ranked_together(other):
    boards = make_leaderboard([entry("a"), entry("b", **other), entry("c")])
    assert [names(board) for board in boards] == [["a", "c"], ["b"]]  # the most recently used first


def test_the_same_submission_is_listed_once_with_its_latest_entry_and_its_known_public_score():
    board = make_leaderboard([entry("a", public=0.45), entry("b"), entry("a", value=0.6, when="later")])[0]
    assert names(board) == ["a", "b"]
    assert (board.standings[0].entry.when, board.standings[0].entry.public) == ("later", 0.45)


def test_two_runs_with_the_same_file_are_both_listed_and_count_as_one_evaluation():
    board = make_leaderboard(
        [entry("one", 0.5, sha256="1"), entry("two", 0.5, sha256="1"), entry("one", 0.5, sha256="1")]
    )[0]
    assert [(s.entry.name, s.evaluations) for s in board.standings] == [("one", 1), ("two", 1)]


def test_evaluations_count_the_different_submissions_of_a_held_out_set():
    board = make_leaderboard([entry("a", 0.3), entry("b", 0.5), entry("a", 0.3), entry("c", 0.4)])[0]
    assert [(s.entry.name, s.evaluations) for s in board.standings] == [("b", 2), ("c", 3), ("a", 1)]


def run(*arguments, columns="80"):
    return run_verb("leaderboard", *arguments, env=os.environ | {"COLUMNS": columns})


def test_quorum_leaderboard_fits_into_80_columns_and_says_all(tmp_path):
    path = tmp_path / "ledger.jsonl"
    for one in [entry("all-MiniLM-L6-v2 [sum]", 0.5, public=0.43), entry("neighbour", 0.48), entry("x", split="s2")]:
        append_entry(path, one)
    with path.open("ab") as file:
        file.write(b'{"torn')
    shown = run("--ledger", path)
    assert shown.returncode == 0, shown.stderr
    assert "line 4: incomplete" in shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    for part in ["0.500 ± 0.020", "0.460–0.540", "n = 400", "3+7", "0.430", "11-21", "0123456", "2≈", "[sum]"]:
        assert part in shown.stdout
    told = json.loads(run("--ledger", path, "--json").stdout)
    assert [len(board["standings"]) for board in told["boards"]] == [1, 2]


def test_without_a_ledger_quorum_leaderboard_says_how_to_make_one(tmp_path):
    shown = run("--ledger", tmp_path / "ledger.jsonl")
    assert shown.returncode == 0
    assert "quorum submit" in shown.stdout
    assert shown.stdout.count("\n") == 1


def test_metric_of_an_entry_must_be_known():
    with pytest.raises(BadInput, match="bleu"):
        replace(entry(), metric="bleu")


def test_an_entry_is_recorded_if_only_time_commit_and_unknown_scores_differ(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    append_entry(path, entry("a", config={"members": ("x", "y"), "scale": 2.0}, public=0.5))
    known = read_ledger(path)
    same = entry("a", config={"members": ["x", "y"], "scale": 2.0}, public=0.5)
    assert is_recorded(same, known)
    assert is_recorded(replace(same, when="2030-01-01T00:00:00+00:00", commit="other"), known)
    assert is_recorded(replace(same, public=None), known), "a later run does not know Kaggle's score"
    changes: list[dict[str, Any]] = [{"public": 0.6}, {"seconds": 1e6}, {"split": "z"}, {"sha256": "z"}]
    changes += [{"config": {}}, {"unread_test": 9}]
    for changed in changes:
        assert not is_recorded(replace(same, **changed), known), changed
    assert not is_recorded(same, [])


def test_a_line_that_cannot_be_written_to_its_end_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    append_entry(path, entry("a"))
    before = path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limit[1]))
    try:
        with pytest.raises(OSError, match="ledger.jsonl"):
            append_entry(path, entry("b"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before


def test_the_leaderboard_takes_linear_time():
    def measure(size):
        entries = [entry(f"m{n}", value=(n * 7919 % size) / size, sha256=str(n)) for n in range(size)]
        start = time.process_time()
        (board,) = make_leaderboard(entries)
        took = time.process_time() - start
        assert [row.rank for row in board.standings] == list(range(1, size + 1))
        assert sorted(row.evaluations for row in board.standings) == list(range(1, size + 1))
        return took

    small = measure(2000)
    assert measure(20_000) < 10 * max(small, 0.05) * 3  # a quadratic one takes 100 times as long


def test_the_latest_entry_is_the_last_one_in_the_ledger_though_the_clock_was_set_back():
    entries = [
        entry(when="2026-11-21T03:00:00Z", sha256="first", value=0.9),
        entry("other", when="2026-11-21T04:00:00Z"),
        entry(when="2020-01-01T00:00:00Z", sha256="second", value=0.4),
    ]
    (board,) = make_leaderboard(entries)
    latest = {each.name: each.sha256 for each in list_latest_entries(board, entries)}
    assert latest == {"encoder": "second", "other": "hash of other"}
