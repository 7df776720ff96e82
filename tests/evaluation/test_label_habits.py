"""Letter shares against gold, order sensitivity and reliability, as quorum letter-bias shows and draws them."""

import json
from pathlib import Path
from typing import Any

import pytest

from quorum.evaluation.label_habits import LetterHabit, measure_habits
from quorum.files.answers import make_answers, write_answers
from quorum.question import Question
from tests.support.verb import run_verb

SOLVED = [
    Question(id=f"q{n}", text="Which?", choices=("x", "y", "z")[: 2 + n % 2], answer="AB"[n % 2]) for n in range(4)
]


def test_a_letter_counts_where_it_is_offered() -> None:
    habits = measure_habits("r", {f"q{n}": {"A": 1.0} for n in range(3)} | {"q3": {}}, SOLVED)
    assert (habits.n, habits.read, habits.accuracy) == (4, 3, pytest.approx(2 / 3))
    assert habits.letters == (
        LetterHabit("A", 3, 2 / 3, 1.0),
        LetterHabit("B", 3, 1 / 3, 0.0),
        LetterHabit("C", 1, 0.0, 0.0),
    )
    assert (habits.error, habits.loss, habits.bins) == (None, None, ())


def test_a_run_with_probabilities_has_an_error_and_a_loss() -> None:
    habits = measure_habits("r", {f"q{n}": {"A": 0.75, "B": 0.25} for n in range(4)}, SOLVED)
    assert habits.error == pytest.approx(0.25)
    assert habits.loss == pytest.approx((0.2877 + 1.3863) / 2, abs=1e-4)
    assert [(one.count, one.accuracy) for one in habits.bins] == [(4, 0.5)]


def letter_bias(folder: Path, *words: str) -> Any:
    done = run_verb("letter-bias", *words, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_letter_bias_takes_runs_as_csv_and_a_csv_of_ids_and_answers_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.csv").write_text("id,answer\nq0,A\nq1,a\nq2,C\nq3,\n")
    (tmp_path / "shares.csv").write_text("id,A,B\nq0,.75,.25\nq1,.75,.25\nq2,.75,.25\nq3,.75,.25\n")
    rows = ["q0,A", "q1,B", "q2,A", "q3,B"]
    (tmp_path / "gold.csv").write_text("\n".join(["id,answer", *rows]))
    (tmp_path / "solution.csv").write_text("\n".join(["id,answer,Usage", *(f"{row},Public" for row in rows)]))
    for gold in ("gold.csv", "solution.csv"):
        named, sure = letter_bias(tmp_path, "letters.csv", "shares.csv", "--gold", gold)
        assert (named["run"], named["n"], named["read"], named["accuracy"]) == ("letters", 4, 3, pytest.approx(1 / 3))
        assert [(one["letter"], one["count"]) for one in named["letters"]] == [("A", 3), ("B", 3), ("C", 3)]
        assert [one["answered"] for one in named["letters"]] == pytest.approx([2 / 3, 0, 1 / 3])
        assert (sure["run"], sure["read"], sure["error"]) == ("shares", 4, pytest.approx(0.25))


def test_letter_bias_measures_and_draws(tmp_path: Path) -> None:
    rows = "".join(f'{q.id},{q.text},"{list(q.choices)}",{q.answer}\n' for q in SOLVED)
    (tmp_path / "gold.csv").write_text("id,question,choices,answer\n" + rows)
    write_answers(make_answers("r", {f"q{n}": {"A": 0.75, "B": 0.25} for n in range(4)}), tmp_path / "run.parquet")
    (tmp_path / "run.json").write_text(
        '{"run": "r", "questions": {}, "counts": {}, "prompt": {}, "precision": {}, "calls": {}, "torn": {"run": 0.5}}'
    )
    (habits,) = letter_bias(tmp_path, "run.parquet", "--gold", "gold.csv", "--plot", "plot.png")
    assert (habits["order_sensitive"], habits["letters"][0]["answered"], len(habits["bins"])) == (0.5, 1.0, 1)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
