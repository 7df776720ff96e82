"""Competitions outside English, commas and UTF-8: from raw files to a checked submission, without a quorum.toml."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from quorum.competition.folder import find_competition
from quorum.competition.prepare import prepare_competition
from quorum.competition.read_files import require_answers
from quorum.competition.run import find_kernel_toml
from quorum.competition.workspace import Workspace
from quorum.data.read import read_records
from quorum.errors import BadInput
from tests.support.competitions import write_german, write_korean, write_table, write_yes_no
from tests.support.verb import run_verb

COMPETITIONS: dict[str, tuple[Callable[[Path], Mapping[str, object]], str, str, set[str] | None]] = {
    "korean": (write_korean, "cp949", "id=문항번호 question=문제", {"1", "2", "3", "4"}),
    "german": (write_german, "separated by ';'", "id=Nr question=Frage", {"A", "B", "C", "D"}),
    "yes-no": (write_yes_no, "answers as probability", "passage=passage answer=answer", None),
}


@pytest.mark.parametrize("name", COMPETITIONS)
def test_the_files_are_understood_and_every_decision_is_reported(tmp_path, name):
    write, shown, roles, _ = COMPETITIONS[name]
    lines: list[str] = []
    answers = write(tmp_path / name)
    prepared = prepare_competition(find_competition(tmp_path / name), Workspace(tmp_path), report=lines.append)
    assert [question.id for question in prepared.test] == list(answers)
    assert {len(question.choices) for question in prepared.test} == {2 if name == "yes-no" else 4}
    assert any(shown in line for line in lines)
    assert any(roles in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPETITIONS)
def test_raw_files_become_a_checked_submission(tmp_path, name):
    write, _, _, allowed = COMPETITIONS[name]
    answers = write(tmp_path / name)
    done = run_verb("submit", tmp_path / name, "--member", find_kernel_toml("neighbour"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "checked against the sample submission: 2 files, 0 problems" in done.stderr
    encoding = "cp949" if name == "korean" else "utf-8-sig"
    text = (tmp_path / "submissions" / f"{name}-neighbour.csv").read_bytes()
    try:
        lines = text.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        lines = text.decode(encoding).splitlines()
    separator = ";" if ";" in lines[0] else ","
    rows = [line.split(separator) for line in lines[1:]]
    assert [id for id, _ in rows] == list(answers)
    for _, cell in rows:
        assert cell in allowed if allowed else 0 <= float(cell) <= 1


def test_train_without_an_answer_column_stops_at_once_and_lists_the_candidates(tmp_path):
    rows = [{"id": n, "question": f"Which is thing {n}?", "A": f"a{n}", "B": f"b{n}", "note": "x"} for n in range(9)]
    write_table(tmp_path / "train.csv", rows)
    with pytest.raises(BadInput) as error:
        require_answers(read_records(tmp_path / "train.csv"))
    assert "train.csv: no column of answers was recognised; columns without a role: 'note'" in str(error.value)
    assert 'answer = "…"' in str(error.value)


def test_the_sample_submission_shows_which_column_holds_the_ids(tmp_path):
    rows = [
        {"id": f"x{n}", "key": f"k{n}", "question": f"Which is thing {n}?", "A": f"a{n}", "B": f"b{n}"}
        for n in range(40)
    ]
    folder = tmp_path / "keys"
    folder.mkdir()
    write_table(folder / "train.csv", [row | {"answer": "AB"[n % 2]} for n, row in enumerate(rows[:30])])
    write_table(folder / "test.csv", rows[30:])
    write_table(folder / "sample_submission.csv", [{"Id": row["key"], "answer": "A"} for row in rows[30:]])
    prepared = prepare_competition(find_competition(folder), Workspace(tmp_path))
    assert [question.id for question in prepared.test] == [row["key"] for row in rows[30:]]
    assert {question.id[0] for question in prepared.held_out} == {"k"}


def test_a_passage_that_test_lacks_is_left_out_of_train(tmp_path):
    rows = [
        {"id": n, "question": f"Which is thing {n}?", "A": f"a{n}", "B": f"b{n}", "support": f"It is thing {n}. " * 5}
        for n in range(40)
    ]
    lines: list[str] = []
    folder = tmp_path / "help"
    folder.mkdir()
    write_table(folder / "train.csv", [row | {"answer": "AB"[n % 2]} for n, row in enumerate(rows[:30])])
    write_table(folder / "test.csv", [{k: v for k, v in row.items() if k != "support"} for row in rows[30:]])
    prepared = prepare_competition(find_competition(folder), Workspace(tmp_path), report=lines.append)
    assert {question.context for question in prepared.held_out} == {None}
    assert "train.csv: column 'support' is left out, because test.csv lacks it" in lines
