"""The vote kernel, with a rule that is selected on labelled questions."""

import polars as pl

from quorum.ballot import find_heaviest
from quorum.data.read import write_questions
from quorum.data.split import HELD_OUT, SPLIT, Split, write_split
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.question import Question
from tests.support.kernel_folder import run, vote_settings, write_run


def labelled_runs(folder, wrong_split=False):
    """Two members over 80 held-out questions and q1: the good one is right on 9 of 10, the bad one on 1 of 4."""
    questions = [
        Question(id=f"h{n}", text=f"What of number {n}?", choices=("one", "two"), answer="AB"[n % 2]) for n in range(80)
    ]
    write_questions(questions, folder / "gold" / "heldout.parquet")
    folds = [3 if wrong_split and n == 7 else HELD_OUT for n in range(80)]
    order = sorted(range(80), key=lambda n: f"h{n}")
    split = {"id": [f"h{n}" for n in order], "cluster": order, "fold": [folds[n] for n in order]}
    write_split(Split(pl.DataFrame(split, schema=SPLIT)), folder / "split.parquet")
    for name, right in (("good", lambda n: n % 10 > 0), ("bad", lambda n: n % 4 == 0), ("worse", lambda n: n % 5 == 0)):
        rows = [(q.id, q.answer if right(n) else "BA"[n % 2], 1.0) for n, q in enumerate(questions)]
        write_run(folder, name, rows)
        (folder / f"{name}.parquet").rename(folder / f"{name}-held.parquet")
        write_run(folder, name, [(id, "A" if name == "good" else "B", 1.0) for id in ("q1", "q2", "q3")])
    names = ("good", "bad", "worse")
    held = ", ".join(f'"{name}-held.parquet"' for name in names)
    more = f'labelled = [{held}]\ngold = "gold/heldout.parquet"\nsplit = "split.parquet"\n'
    return vote_settings(*(f"{name}.parquet" for name in names)) + more


def test_the_rule_is_selected_on_the_held_out_questions_and_scored_where_it_was_not_fitted(folder):
    settings = labelled_runs(folder)
    done = run(folder, "vote", settings)
    assert done.returncode == 0, done.stderr
    assert "selected on 80 labelled questions (good 0.38, bad -0.19, worse -0.18)" in done.stderr
    assert "q1,A" in (folder / "voted" / "submission.csv").read_text()  # two of three runs say B
    crossed = ballots_from_answers(read_answers(folder / "voted" / "heldout.parquet"))
    right = [find_heaviest(crossed[f"h{n}"]) == "AB"[n % 2] for n in range(80)]
    assert sum(right) == 72
    assert run(folder, "vote", settings, "method=majority").returncode == 0
    assert "q1,B" in (folder / "voted" / "submission.csv").read_text()


def test_a_rule_is_not_selected_on_questions_that_members_were_trained_on(folder):
    done = run(folder, "vote", labelled_runs(folder, wrong_split=True))
    assert done.returncode == 2
    assert "1 labelled questions are not held out in split.parquet: h7" in done.stderr


def test_a_run_that_is_named_twice_does_not_vote_twice(folder):
    write_run(folder, "good", [(id, "A", 1.0) for id in ("q1", "q2", "q3")])
    done = run(folder, "vote", vote_settings("good.parquet", "good.parquet"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "good.parquet and good.parquet: both hold answers of run good, which would vote twice" in done.stderr


def test_one_run_s_answers_in_two_files_are_one_run(folder):
    write_run(folder, "good", [("q1", "A", 1.0), ("q2", "B", 1.0)])
    (folder / "good.parquet").rename(folder / "first.parquet")
    write_run(folder, "good", [("q3", "A", 1.0)])
    assert run(folder, "vote", vote_settings("first.parquet", "good.parquet")).returncode == 0
