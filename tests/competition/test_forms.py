"""A competition's own form is used from its files to its checked and scored submissions."""

import csv
import random
from pathlib import Path

import pytest

from quorum.competition.folder import find_competition
from quorum.competition.prepare import PreparedCompetition, prepare_competition
from quorum.competition.record import accept_entries, record_run
from quorum.competition.report_data import find_test_parts
from quorum.competition.run import make_shared_settings, run_prior
from quorum.competition.workspace import Workspace
from quorum.config import from_table
from quorum.errors import BadInput
from quorum.evaluation.ledger import find_shared_names, make_leaderboard, read_ledger
from quorum.evaluation.shakeup import Parts
from quorum.judge.settings import RunSettings
from tests.support.paths import KERNELS
from tests.support.verb import run_verb

WORDS = [
    *("moor", "vale", "reef", "dune", "oak", "elm", "ash", "yew", "tin", "zinc", "lead", "gold", "lark", "wren"),
    *("rook", "kite", "cliff", "grove", "quay", "weir"),
]


def make_rows(count: int, options: int, write: list[str], seed: int, start: int = 0) -> list[list[str]]:
    """Return rows of id, question, options and answer; the answer is `write` of the right option."""
    draw = random.Random(seed)
    rows = []
    for number in range(start, start + count):
        own = draw.sample(WORDS, options)
        right = draw.choices(range(options), [2, *[1] * (options - 1)])[0]
        near = " and ".join(draw.sample(WORDS, 3))
        text = f"Which thing near {near} number {number} in the year {1500 + 3 * number} is a {own[right][::-1]}?"
        rows.append([f"q{number}", text, *own, write[right] if write else own[right]])
    return rows


def write_table(path: Path, header: list[str], rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def make_competition(folder: Path, write: list[str], sample: str | None, options: int = 4, seed: int = 1) -> Path:
    """Write a competition of 60 and 10 questions; `sample` is the sample's cell, or `header|row` of several columns."""
    header = ["id", "question", *"ABCDE"[:options]]
    write_table(folder / "train.csv", [*header, "answer"], make_rows(60, options, write, seed))
    test = make_rows(10, options, write, seed + 1, start=100)
    write_table(folder / "test.csv", header, [row[:-1] for row in test])
    if sample is not None:
        columns, _, cells = sample.rpartition("|")
        rows = [[row[0], *(cells.split(",") if columns else [cells])] for row in test]
        write_table(folder / "sample_submission.csv", ["id", *(columns.split(",") if columns else ["answer"])], rows)
    return folder


def prepare(folder: Path, root: Path, form: str | None = None) -> tuple[PreparedCompetition, list[str]]:
    lines: list[str] = []
    competition = find_competition(folder, form)
    return prepare_competition(competition, Workspace(root), report=lines.append), lines


FORMS = [
    (list("1234"), "0", {"1"}, "index1"),
    (list("1234"), "1", {"1"}, "index1"),
    (list("1234"), "", {"1"}, "index1"),
    (list("0123"), "0", {"0"}, "index0"),
    (list("ABCD"), "a", {"a"}, "letter: a"),
    (list("ABCD"), "(A)", {"(A)"}, "letter: (A)"),
    (list("abcd"), "", {"a"}, "letter: a"),
    (list("ABCD"), "A B C", None, "ranked: A B C"),
    (list("ABCD"), "A,B,C,D|0.25,0.25,0.25,0.25", None, "probabilities: A B C D"),
    (list("1234"), None, {"1"}, "index1"),
    (list("ABCD"), None, {"A"}, "letter"),
]


@pytest.mark.parametrize(("write", "sample", "cells", "setting"), FORMS)
def test_the_prior_is_submitted_in_the_competitions_form_and_scored_by_its_label(
    tmp_path, write, sample, cells, setting
):
    prepared, _ = prepare(make_competition(tmp_path / "comp", write, sample), tmp_path)
    entry = record_run(prepared, run_prior(prepared))
    lines: list[str] = []
    assert accept_entries(prepared, [entry], lines.append) == [entry], lines
    path = prepared.workspace.submission(prepared.name, "prior")
    with path.open(newline="") as file:
        written = {row[1] for row in list(csv.reader(file))[1:]}
    assert cells is None or written == cells
    right = sum(question.answer == "A" for question in prepared.held_out)
    if prepared.metric == "accuracy":
        assert entry.held_out.value == right / len(prepared.held_out)
    settings = make_shared_settings(prepared, prepared.workspace.run("comp", "x"))
    assert settings["form"] == setting
    table = {**settings, "run": "x", "questions": ["q.csv"], "backend": {"name": "neighbour"}}
    assert from_table(RunSettings, table, "kernel").form == setting


def test_the_metric_that_a_sample_shows_is_reported_and_a_named_one_wins(tmp_path):
    folder = make_competition(tmp_path / "comp", list("ABCD"), "A B C")
    prepared, lines = prepare(folder, tmp_path)
    assert prepared.metric == "map@3"
    assert "metric: map@3, because the sample lists 3 labels; set metric in quorum.toml to change it" in lines
    (folder / "quorum.toml").write_text('metric = "accuracy"\n')
    prepared, lines = prepare(folder, tmp_path)
    assert prepared.metric == "accuracy"
    assert not any(line.startswith("metric:") for line in lines)


def test_a_form_that_nothing_settles_stops_before_the_split_and_can_be_named(tmp_path):
    folder = make_competition(tmp_path / "comp", list("ABCD"), "0")
    with pytest.raises(BadInput, match="form of answers is ambiguous"):
        prepare(folder, tmp_path)
    assert not (tmp_path / "data" / "split").exists()
    assert prepare(folder, tmp_path, "index1")[0].sample.setting == "index1"
    (folder / "quorum.toml").write_text('form = "index0"\n')
    assert prepare(folder, tmp_path)[0].sample.setting == "index0"


def test_a_sample_without_a_row_for_every_question_stops_before_the_split(tmp_path):
    folder = make_competition(tmp_path / "comp", list("ABCD"), "A")
    sample = folder / "sample_submission.csv"
    sample.write_text("".join(sample.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(BadInput, match=r"sample_submission.csv: no row for 'q\d+' of test.csv"):
        prepare(folder, tmp_path)
    assert not (tmp_path / "data" / "split").exists()


def test_an_unnamed_solution_is_used_only_if_it_solves_the_test(tmp_path):
    folder = make_competition(tmp_path / "comp", list("1234"), "0")
    write_table(folder / "solution.csv", ["id", "answer"], [[f"q{n}", "1"] for n in range(100, 110)])
    prepared, lines = prepare(folder, tmp_path)
    assert prepared.solution is not None
    assert prepared.solution.path == folder / "solution.csv"
    assert any("used as the solution" in line for line in lines)
    entry = record_run(prepared, run_prior(prepared))
    assert (entry.public, entry.private) == (1.0, 1.0)
    write_table(folder / "solution.csv", ["id", "answer"], [["q1", "1"]])
    prepared, lines = prepare(folder, tmp_path)
    assert prepared.solution is None
    assert any("it lacks 10 of 10 questions of the test file" in line for line in lines)


def test_an_unreadable_solution_stops_before_any_run_only_if_it_is_named(tmp_path):
    folder = make_competition(tmp_path / "comp", list("1234"), "0")
    (folder / "answer_keys.csv").write_text("id\nq100\n")
    prepared, lines = prepare(folder, tmp_path)
    assert prepared.solution is None
    assert any(line.startswith("answer_keys.csv: not used as a solution: ") for line in lines)
    assert find_test_parts(find_competition(folder), 0.3, lines.append) == Parts(3, 7, assumed=True)
    (folder / "quorum.toml").write_text('solution = "answer_keys.csv"\n')
    with pytest.raises(BadInput, match=r"answer_keys.csv: column 'id' is the only one"):
        prepare(folder, tmp_path)


def test_two_folders_with_one_name_have_two_boards(tmp_path):
    for number, parent in enumerate(("one", "two")):
        folder = make_competition(tmp_path / parent / "comp", list("ABCD"), "A", seed=number)
        prepared, lines = prepare(folder, tmp_path)
        accept_entries(prepared, [record_run(prepared, run_prior(prepared))], lines.append)
    assert any("has submissions of other data under the name 'comp'" in line for line in lines)
    boards = make_leaderboard(read_ledger(prepared.workspace.ledger))
    assert [(board.competition, len(board.standings)) for board in boards] == [("comp", 1), ("comp", 1)]
    assert find_shared_names(boards) == ["comp"]
    shown = run_verb("leaderboard", cwd=tmp_path)
    assert shown.stdout.count("comp: accuracy") == 2
    assert "boards of different data have this name" in shown.stdout


@pytest.mark.slow
def test_a_science_exam_works_from_its_files_to_the_report(tmp_path):
    """Options A to E, three of them ranked in "A B C", MAP@3; a friend's CSV takes part in the vote."""
    folder = make_competition(tmp_path / "science", list("ABCDE"), "prediction|A B C", options=5)
    answers = [(row[0], row[-1]) for row in make_rows(10, 5, list("ABCDE"), 2, start=100)]
    write_table(tmp_path / "gold.csv", ["id", "answer"], [list(each) for each in answers])
    friend = [[id, f"{label} {'B' if label == 'A' else 'A'} E"] for id, label in answers]
    write_table(tmp_path / "friend.csv", ["id", "prediction"], friend)
    steps: list[list[object]] = [
        ["submit", "science", "--member", KERNELS / "neighbour.toml"],
        [
            *("vote", "runs/science/neighbour/test.parquet", "friend.csv", "--out", "vote.csv"),
            *("--questions", "science/test.csv", "--sample", "science/sample_submission.csv"),
            *("--train", "science/train.csv", "--method", "mean"),
        ],
        ["check", "vote.csv", "science/sample_submission.csv", "--questions", "science/test.csv"],
        [
            *("compare", "vote.csv", "friend.csv", "submissions/science-neighbour.csv"),
            *("--gold", "gold.csv", "--metric", "map@3"),
        ],
        ["report", "science"],
    ]
    done = [run_verb(*step, cwd=tmp_path) for step in steps]
    assert [each.returncode for each in done] == [0] * len(steps), [each.stderr for each in done]
    assert "map@3, n = 15" in done[0].stdout
    assert all(len(line.split(",")[1].split()) == 3 for line in (tmp_path / "vote.csv").read_text().splitlines()[1:])
    assert "friend" in done[3].stdout
    assert "1.0000" in done[3].stdout, "the friend is right"
    assert "0.0000\n" not in done[3].stdout
    assert (tmp_path / "build" / "report" / "index.html").read_text().count("science") > 0
    assert folder.is_dir()


def test_a_table_without_a_role_is_reported(tmp_path):
    folder = make_competition(tmp_path / "comp", list("1234"), "0")
    assert not any("not used" in line for line in prepare(folder, tmp_path)[1])
    write_table(folder / "notes.csv", ["author", "year"], [["Ann", "2020"]])
    assert "files not used: notes.csv" in prepare(folder, tmp_path)[1]
