"""What a run keeps of its prompts and replies, end to end."""

from collections import Counter
from pathlib import Path
from typing import Any

import infer
import polars as pl
import pytest

from quorum.ballot import find_heaviest
from quorum.errors import BadInput
from quorum.files.kept_replies import KeptReplies, read_kept_replies
from quorum.files.run_folder import RunFolder
from quorum.judge.keep import find_option_order
from quorum.model.backend import Backend
from quorum.model.simulated import ScriptedModel, SimulatedModel, SimulatedSettings
from quorum.question import Message, Prompt, Question, Reply
from tests.support.bench import Bench, made, write
from tests.support.run_settings import register_names, run_settings


def read_kept(bench: Bench, file: str = "test") -> KeptReplies:
    found = read_kept_replies(RunFolder(bench.folder / "out"), file)
    assert found is not None
    return found


def knowing_model(solved: list[Question]) -> dict[str, Backend]:
    return {"answerer": SimulatedModel(SimulatedSettings(accuracy=0.6), solved=solved)}


def test_every_reply_of_every_pass_is_kept_and_every_prompt_once(bench: Bench) -> None:
    solved = made(40)
    bench.ask(
        solved,
        {**knowing_model(solved), "reader": ScriptedModel(lambda prompt: Reply(text="B"))},
        shuffle={"orders": "cyclic"},
        calibrate={"prior": "pride", "share": 0.1},
        verify={"method": "eliminate", "rounds": 3},
    )
    kept = read_kept(bench)
    assert set(kept.replies["pass"]) == {"first", "prior", "order", "verify", "eliminate"}
    assert len(kept.replies) == sum(bench.calls.values())
    assert Counter(kept.replies.filter(pass_is("first"))["id"]) == {question.id: 1 for question in solved}
    assert set(kept.replies["prompt"]) == set(kept.prompts)
    contents = [str((row["turns"], row["labels"], row["options"])) for row in kept.prompts.values()]
    assert len(set(contents)) == len(contents) < len(kept.replies)  # pride and the rotations ask the same
    assert not RunFolder(bench.folder / "out").parts("test").exists()


def test_the_order_leads_from_a_shown_letter_to_the_option_that_was_chosen(bench: Bench) -> None:
    solved = made(30)
    words = {question.id: question.choice(question.answer or "") for question in solved}
    right = ScriptedModel(lambda prompt: Reply(text=prompt.labels[prompt.options.index(words[prompt.question_id])]))
    ballots = bench.ask(solved, {"answerer": right}, shuffle={"orders": "random", "count": 3})
    rows = read_kept(bench).replies.to_dicts()
    own = {(row["id"], row["order"]["ABCD".index(row["label"])]) for row in rows}
    assert own == {(question.id, question.answer) for question in solved}
    assert {find_heaviest(ballots[id]) for id, _ in own} == {answer for _, answer in own}
    assert len({row["order"] for row in rows}) > 3


@pytest.mark.parametrize(
    ("options", "order"),
    [(("x", "y", "x"), "ABC"), (("x", "x", "y"), "ACB"), (("y", "x"), "BA"), (("y", "none of these"), "B-"), ((), "")],
)
def test_an_order_names_the_own_label_of_each_shown_option(options: tuple[str, ...], order: str) -> None:
    question = Question(id="q", text="?", choices=("x", "y", "x"))
    prompt = Prompt(question_id="q", content="?", labels=tuple("ABC"[: len(options)]), options=options)
    assert find_option_order(question, prompt) == order


def test_what_was_parsed_is_kept_with_its_reason_and_what_was_not(bench: Bench) -> None:
    texts = {"q0": "The answer is (C).", "q1": "I could not say.", "q2": "", "q3": "both \ud800"}
    replies = ScriptedModel(lambda prompt: Reply(text=texts[prompt.question_id], finish="stop", tokens=7))
    bench.ask(made(4), {"answerer": replies})
    rows = {row["id"]: row for row in read_kept(bench).replies.to_dicts()}
    assert rows["q0"] | {"seconds": 0} == {
        "id": "q0",
        "pass": "first",
        "repeat": 0,
        "order": "ABCD",
        "prompt": rows["q0"]["prompt"],
        "text": "The answer is (C).",
        "finish": "stop",
        "label": "C",
        "ballot": [{"label": "C", "weight": 1.0}],
        "reason": "answer",
        "mass": None,
        "tokens": 7,
        "seconds": 0,
    }
    assert [(rows[id]["label"], rows[id]["ballot"], bool(rows[id]["reason"])) for id in ("q1", "q2", "q3")] == [
        (None, [], True)
    ] * 3
    assert rows["q3"]["text"] == "both ?"


def test_probabilities_are_kept_with_the_mass_of_the_labels(bench: Bench) -> None:
    scored = Reply(text="A", label_logprobs={"A": -0.1, "B": -3.0, "C": -4.0, "D": -4.0}, label_mass=0.25)
    bench.ask(made(1), {"answerer": ScriptedModel(lambda prompt: scored)})
    (row,) = read_kept(bench).replies.to_dicts()
    assert (row["label"], row["reason"], row["mass"]) == ("A", "scores", 0.25)
    assert [each["label"] for each in row["ballot"]] == list("ABCD")


def test_a_reply_without_finite_scores_is_kept_as_unread(bench: Bench) -> None:
    bench.ask(made(1), {"answerer": ScriptedModel(lambda prompt: Reply(text="", label_logprobs={}))})
    (row,) = read_kept(bench).replies.to_dicts()
    assert (row["label"], row["ballot"], row["reason"]) == (None, [], "scores are not finite")


def test_turns_of_a_conversation_and_examples_with_scores_are_kept(bench: Bench) -> None:
    solved, train = made(3), made(20, prefix="t")
    write(bench.folder / "train.jsonl", train, answers=True)
    more: dict[str, Any] = {"train": bench.folder / "train.jsonl", "retrieval": {"examples": 2}}
    bench.ask(solved, knowing_model(solved), prompt={"style": "bare"}, **more)
    kept = read_kept(bench)
    assert [turn["role"] for turn in kept.prompts[0]["turns"]] == ["system", "system", "user"]
    assert Counter(kept.background["id"]) == {question.id: 2 for question in solved}
    assert set(kept.background["source"]) <= {question.id for question in train}
    shown = kept.background.filter(pl.col("id") == "q0")["similarity"].to_list()
    assert shown == sorted(shown)  # as in the prompt: the best is next to the question


def test_rehearsed_questions_are_kept_apart(bench: Bench) -> None:
    solved, train = made(3), made(40, prefix="t")
    write(bench.folder / "train.jsonl", train, answers=True)
    more: dict[str, Any] = {"calibrate": {"temperature": 0.0}, "rehearse": 30}
    bench.ask(solved, knowing_model(solved), train=bench.folder / "train.jsonl", **more)
    assert set(read_kept(bench).replies["id"]) == {question.id for question in solved}
    assert len(read_kept(bench, "(rehearsal)").replies) == 30


def test_a_reply_from_the_journal_is_kept_like_any_other_without_seconds(bench: Bench) -> None:
    solved = made(12)
    bench.ask(solved[:5], knowing_model(solved), journal=bench.folder / "journal", batch=4)
    first = read_kept(bench).replies
    bench.ask(solved, knowing_model(solved), journal=bench.folder / "journal", batch=4)
    again = read_kept(bench).replies
    assert again.head(5).drop("seconds").equals(first.drop("seconds"))
    assert again["seconds"].is_null().to_list() == [True] * 5 + [False] * 7
    assert first["seconds"].null_count() == 0


def test_a_run_that_stops_leaves_the_replies_that_were_saved(bench: Bench) -> None:
    solved, asked = made(12), []

    def reply(prompt: Prompt) -> Reply:
        asked.append(prompt.question_id)
        if len(asked) > 9:
            raise KeyboardInterrupt
        return Reply(text="A")

    with pytest.raises(KeyboardInterrupt):
        bench.ask(solved, {"answerer": ScriptedModel(reply)}, batch=4)
    assert read_kept(bench).replies["id"].to_list() == [f"q{n}" for n in range(8)]
    only = read_kept_replies(RunFolder(bench.folder / "out"), "test", ["q5"])
    assert only
    assert (only.replies["id"].to_list(), len(only.prompts)) == (["q5"], 1)
    bench.ask(solved, {"answerer": ScriptedModel(lambda prompt: Reply(text="B"))})  # a later run replaces all
    assert set(read_kept(bench).replies["label"]) == {"B"}
    assert not RunFolder(bench.folder / "out").parts("test").exists()


def test_keep_answers_keeps_no_replies_and_removes_those_of_an_earlier_run(bench: Bench) -> None:
    solved = made(5)
    before = bench.ask(solved, knowing_model(solved))
    assert bench.ask(solved, knowing_model(solved), keep="answers") == before
    assert {path.name for path in (bench.folder / "out").iterdir()} == {"test.parquet", "run.json"}
    assert read_kept_replies(RunFolder(bench.folder / "out"), "test") is None


def test_two_prompts_differ_by_the_role_of_a_turn_or_by_their_labels(bench: Bench) -> None:
    from quorum.files.kept_replies import ReplyLog
    from quorum.judge.keep import ReplyRecorder

    recorder = ReplyRecorder(ReplyLog(RunFolder(bench.folder), "f"), {})
    one, other = (Message("user", "x"), Message("user", "y")), (Message("user", "x"), Message("system", "y"))
    prompts = [Prompt(question_id="q", content=content, labels=("A", "B")) for content in ("x", one, other, "x")]
    prompts.append(Prompt(question_id="q", content="x", labels=("A", "B", "C")))
    recorder.in_pass(ScriptedModel(lambda prompt: Reply(text="A")), "first").answer(prompts)
    recorder.log.close()
    found = read_kept_replies(RunFolder(bench.folder), "f")
    assert found
    assert found.replies["prompt"].to_list() == [0, 1, 2, 0, 3]


def test_a_file_that_is_no_kept_file_is_refused_in_one_line(tmp_path: Path) -> None:

    (tmp_path / "test.prompts.parquet").write_bytes(b"no")
    pl.DataFrame({"id": ["q"]}).write_parquet(tmp_path / "test.replies.parquet")
    with pytest.raises(BadInput, match=r"test\.replies\.parquet: these are not kept replies"):
        read_kept_replies(RunFolder(tmp_path), "test")


def pass_is(name: str) -> pl.Expr:
    return pl.col("pass") == name


@pytest.mark.parametrize("name", ["test.replies", "test.prompts", "test.background", "x.rounds"])
def test_a_question_file_with_the_name_of_a_kept_table_is_refused(bench: Bench, name: str) -> None:
    write(bench.folder / f"{name}.jsonl", made(2), answers=False)
    register_names(bench.patch, ["answerer"])
    settings = run_settings(
        run="r", backend={"name": "answerer"}, questions=[bench.folder / f"{name}.jsonl"], out=bench.folder / "out"
    )
    with pytest.raises(BadInput, match=rf"called '{name}'.*does not end with '\.{name.rpartition('.')[2]}'"):
        infer.main(settings)
