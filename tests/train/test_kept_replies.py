"""Rejection-sampled reasoning: kept replies of a run over training questions as training rows."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quorum.errors import BadInput
from quorum.files.kept_replies import PROMPTS, REPLIES, ReplyLog
from quorum.files.run_folder import RunFolder
from quorum.question import Question
from quorum.train.build_rows import Teaching, build_rows
from quorum.train.row_files import read_rows
from quorum.train.rows.replies import WorkedSolution, select_replies
from quorum.train.settings import RowSettings
from quorum.train.teacher_settings import KeptReplySettings
from tests.support.folds import make_folds
from tests.support.verb import run_verb

FRUIT = Question(id="q1", text="Which is a fruit?", choices=("stone", "apple", "brick"), answer="B")
LEGS = Question(id="q2", text="How many legs have four chairs?", answer="16", rationale="4 * 4 = 16")
PLAIN = Question(id="q3", text="Which one flows?", choices=("river", "wall"), answer="A")
ALL = (FRUIT, LEGS, PLAIN)
REASONED = RowSettings(style="cot", target="rationale")
GOOD = "An apple grows on a tree and can be eaten.\nAnswer: B"


def keep(folder: Path, *replies: dict[str, Any], file: str = "train") -> Path:
    """What a run keeps: the replies, each with its question and order."""
    log = ReplyLog(RunFolder(folder), file)
    rows = [
        dict.fromkeys(REPLIES)
        | {"pass": "vote", "repeat": number, "order": "ABC", "prompt": 0, "finish": "stop", "ballot": []}
        | reply
        for number, reply in enumerate(replies)
    ]
    log.add(rows, [dict.fromkeys(PROMPTS) | {"prompt": 0, "turns": [], "labels": [], "options": []}])
    log.close()
    return folder / f"{file}.replies.parquet"


def select(path: Path, *questions: Question, **settings: Any) -> dict[str, list[str]]:
    found = select_replies(KeptReplySettings((path,), **settings), questions or ALL)
    return {id: [each.text for each in solutions] for id, solutions in found.items()}


def test_right_whole_replies_of_training_questions_are_selected(tmp_path: Path) -> None:
    path = keep(
        tmp_path,
        {"id": "q1", "text": f" {GOOD}\n"},
        {"id": "q1", "text": "A stone is hard and grey, so it is one.\nAnswer: A"},  # wrong
        {"id": "q1", "text": "It could well be any of these three things, who knows."},  # no answer
        {"id": "q1", "text": f"{GOOD} because of", "finish": "length"},  # cut
        {"id": "q1", "text": "B"},  # no reasoning
        {"id": "q1", "text": "Answer: B"},  # too short
        {"id": "q2", "text": "Each chair has four legs, and four times four is 16.", "order": ""},
        {"id": "held-out", "text": GOOD},
    )
    lines: list[str] = []
    found = select_replies(KeptReplySettings((path,)), ALL, lines.append)
    assert found == {
        "q1": [WorkedSolution(FRUIT, GOOD)],
        "q2": [WorkedSolution(LEGS, "Each chair has four legs, and four times four is 16.")],
    }
    assert lines == [
        "7 replies to training questions: 2 whole ones lead to the right answer, and 2 of them become rows, of 2 of 3"
        " questions"
    ]


def test_near_duplicates_and_more_than_the_most_are_left_out(tmp_path: Path) -> None:
    different = (
        "Stones and bricks are minerals; an apple is grown.\nAnswer: B",
        "We eat fruit. Of the three things only one can be eaten, namely the second.\nAnswer: B",
        "Fruit has seeds inside, as apples do, while walls are built of bricks.\nAnswer: B",
    )
    texts = (GOOD, GOOD, GOOD.replace("can be", "may be"), *different)
    path = keep(tmp_path, *({"id": "q1", "text": text} for text in texts))
    assert select(path, most=9)["q1"] == [GOOD, *different]
    assert select(path, most=2)["q1"] == [GOOD, different[0]]


def test_a_reply_to_another_order_of_the_options_keeps_its_order_and_is_right_there(tmp_path: Path) -> None:
    text = "Bricks are not eaten but apples are.\nAnswer: A"
    path = keep(tmp_path, {"id": "q1", "text": text, "order": "BCA"}, {"id": "q1", "text": text, "order": "CBA"})
    found = select_replies(KeptReplySettings((path,)), ALL)
    ((solution,),) = found.values()
    assert (solution.question.choices, solution.question.answer) == (("apple", "brick", "stone"), "A")
    (row, *_) = build_rows(make_folds([FRUIT]), REASONED, None, Teaching(replies=found)).rows
    assert (row.prompt.options, row.answer, row.completion) == (("apple", "brick", "stone"), "A", text)


def test_a_reply_to_a_part_of_the_options_or_of_another_pass_is_left_out(tmp_path: Path) -> None:
    path = keep(
        tmp_path,
        {"id": "q1", "text": GOOD, "order": "AB"},
        {"id": "q1", "text": GOOD, "order": "AB-"},
        {"id": "q1", "text": GOOD, "pass": "verify"},
        {"id": "q1", "text": GOOD, "pass": "eliminate"},
    )
    with pytest.raises(BadInput, match="2 replies to training questions: 0 whole ones lead to the right answer"):
        select(path)


def test_a_question_has_a_row_for_each_reply_and_others_are_as_before(tmp_path: Path) -> None:
    path = keep(
        tmp_path,
        {"id": "q1", "text": GOOD},
        {"id": "q1", "text": "Stones and bricks are minerals; an apple is grown.\nAnswer: B"},
        {"id": "q2", "text": "Each chair has four legs, and four times four is 16.", "order": ""},
    )
    built = build_rows(
        make_folds(ALL), REASONED, None, Teaching(replies=select_replies(KeptReplySettings((path,)), ALL))
    )
    assert [(row.prompt.question_id, row.completion) for row in built.rows] == [
        ("q1", GOOD),
        ("q1", "Stones and bricks are minerals; an apple is grown.\nAnswer: B"),
        ("q2", "Each chair has four legs, and four times four is 16."),
        ("q3", "A"),
    ]
    assert built.without_rationale == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [("train.parquet", "names files of kept replies"), ("other.replies.parquet", "no kept replies; a run keeps them")],
)
def test_a_file_without_kept_replies_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        select(tmp_path / name)


def test_replies_need_a_row_with_reasoning() -> None:
    with pytest.raises(BadInput, match=r"rows\.replies are worked solutions"):
        RowSettings(replies=KeptReplySettings((Path("a.replies.parquet"),)))
    with pytest.raises(BadInput, match=r"rows\.replies: most is 0"):
        KeptReplySettings(most=0)


def test_quorum_rows_writes_the_replies_to_questions_of_the_training_folds_alone(tmp_path: Path) -> None:
    pl.DataFrame(
        [{"id": "q1", "question": FRUIT.text, "A": "stone", "B": "apple", "C": "brick", "answer": "B"}]
        + [
            {"id": f"n{n}", "question": f"What is {n} + 1?", "A": str(n), "B": str(n + 1), "C": "0", "answer": "B"}
            for n in range(30)
        ]
    ).write_csv(tmp_path / "train.csv")
    assert run_verb("split", str(tmp_path / "train.csv"), "--out", str(tmp_path / "split")).returncode == 0
    fold_of = dict(pl.read_parquet(tmp_path / "split" / "split.parquet").select("id", "fold").iter_rows())
    replies = [{"id": id, "text": "I add one to it, of course.\nAnswer: B"} for id in fold_of]
    path = keep(tmp_path / "run", *replies)
    written = run_verb(
        *("rows", str(tmp_path / "train.csv"), "--split", str(tmp_path / "split" / "split.parquet")),
        *("--out", str(tmp_path / "rows.jsonl"), "rows.style=cot", "rows.target=rationale", "rows.fallback=false"),
        f'rows.replies.files=["{path}"]',
    )
    assert written.returncode == 0, written.stderr
    ids = {row.prompt.question_id for row in read_rows(tmp_path / "rows.jsonl")}
    assert ids == {id for id, fold in fold_of.items() if fold != 0}
    assert any(fold == 0 for fold in fold_of.values())
