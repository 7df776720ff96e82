"""Soft labels: the answers of a teacher in training rows, in the losses of the trainers, and what is refused."""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.config import from_table
from quorum.data.learned import copy_learned, read_learned, write_learned
from quorum.errors import BadInput
from quorum.files.answers import make_answers, write_answers
from quorum.files.manifest import RunManifest, write_manifest
from quorum.model.backend import open_backend
from quorum.model.similarity import PACKAGED
from quorum.question import Prompt, Question
from quorum.train.build_rows import Teaching, build_rows
from quorum.train.encoder import option_loss, tune_encoder
from quorum.train.loss import make_plain_loss_trainer
from quorum.train.resume import fingerprint_rows
from quorum.train.row import TrainingRow
from quorum.train.row_files import read_rows, write_rows
from quorum.train.seq2seq import tune_seq2seq
from quorum.train.settings import CausalTuning, EncoderTuning, RowSettings, Seq2seqTuning
from quorum.train.sft import tune_causal
from quorum.train.teacher import make_soft_labels, read_teacher
from quorum.train.teacher_settings import TeacherSettings
from tests.support.folds import make_folds
from tests.support.largest import largest_questions, largest_rows
from tests.support.tiny import tiny_model

torch.set_num_threads(1)
FRUIT = Question(id="q1", text="Which is a fruit?", choices=("stone", "apple", "brick"), answer="B")
RIVER = Question(id="q2", text="Which one flows?", choices=("river", "wall"), answer="A")
OPEN = Question(id="q3", text="How many legs has a cow?", answer="4")
ALL = (FRUIT, RIVER, OPEN)


def write_run(folder: Path, ballots: dict[str, dict[str, float]], seen: tuple[str, ...] = ()) -> Path:
    """The answers of a run, with its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    write_answers(make_answers(folder.name, ballots), folder / "train.parquet")
    manifest = RunManifest(
        run=folder.name, questions={}, counts={}, prompt={}, precision={}, calls={}, seen={"train": seen}
    )
    write_manifest(manifest, folder / "run.json")
    return folder / "train.parquet"


def test_a_teacher_is_read_from_the_answers_of_a_run(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", {"q1": {"A": 1.0, "B": 3.0}, "q2": {}, "elsewhere": {"A": 1.0}})
    lines: list[str] = []
    assert read_teacher(TeacherSettings((path,)), ALL, lines.append) == {"q1": pytest.approx({"A": 0.25, "B": 0.75})}
    assert lines == ["teacher: answers to 1 of 2 training questions, accuracy 1.000"]


def test_several_teachers_are_averaged_and_a_table_of_probabilities_is_one(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", {"q1": {"A": 1.0}, "q2": {"A": 1.0}})
    table = tmp_path / "votes.csv"
    table.write_text("id,A,B,C\nq1,0.2,0.6,0.2\nq2,0.5,0.5,0\n")
    lines: list[str] = []
    found = read_teacher(TeacherSettings((one, table)), ALL, lines.append)
    assert found["q1"] == pytest.approx({"A": 0.6, "B": 0.3, "C": 0.1})
    assert found["q2"] == pytest.approx({"A": 0.75, "B": 0.25}, abs=1e-9)
    assert any("cannot be checked that the answers are out of fold" in line for line in lines)


def test_a_temperature_flattens_the_teacher(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", {"q1": {"A": 0.1, "B": 0.9}})
    (ballot,) = read_teacher(TeacherSettings((path,), temperature=2.0), ALL).values()
    assert ballot["B"] / ballot["A"] == pytest.approx(3.0)


def test_a_teacher_that_was_trained_on_the_questions_is_refused(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", {"q1": {"B": 1.0}, "q2": {"A": 1.0}}, seen=("q2", "other"))
    with pytest.raises(BadInput, match=r"was trained on 1 of the questions, or on near-duplicates of them: q2"):
        read_teacher(TeacherSettings((path,)), ALL)
    read_teacher(TeacherSettings((path,)), [FRUIT])  # only what it knew is refused


def test_a_teacher_that_is_always_right_is_reported(tmp_path: Path) -> None:
    questions = largest_questions(60)
    path = write_run(tmp_path / "a", {each.id: {str(each.answer): 1.0} for each in questions})
    lines: list[str] = []
    read_teacher(TeacherSettings((path,)), questions, lines.append)
    assert any("it has probably seen their answers" in line for line in lines)


def test_a_teacher_without_an_answer_to_any_question_is_refused(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", {"q3": {"4": 1.0}, "q2": {"Z": 1.0}})
    with pytest.raises(BadInput, match="no answers to any of the 2 training questions with choices"):
        read_teacher(TeacherSettings((path,)), ALL)
    with pytest.raises(BadInput, match="no such file"):
        read_teacher(TeacherSettings((tmp_path / "none.parquet",)), ALL)


@pytest.mark.parametrize("table", [{"weight": 0.0}, {"weight": 1.1}, {"temperature": 0.0}])
def test_settings_of_a_teacher_have_bounds(table: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="teacher: weight is"):
        from_table(TeacherSettings, table, "test")


def test_rows_get_the_teachers_part_and_the_target_mixes_it_with_the_answer() -> None:
    teaching = Teaching({"q1": {"A": 3.0, "B": 1.0}}, weight=0.4)
    rows = {row.prompt.question_id: row for row in build_rows(make_folds(ALL), RowSettings(), None, teaching).rows}
    assert rows["q1"].soft == pytest.approx((0.3, 0.1, 0.0))
    assert rows["q1"].target == pytest.approx((0.3, 0.7, 0.0))
    assert (rows["q2"].soft, rows["q2"].target) == ((), (1.0, 0.0))
    assert rows["q3"].soft == ()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.integers(0, 3), st.floats(0.05, 1))
def test_the_teachers_part_moves_with_the_options(weights: list[float], seed: int, weight: float) -> None:
    teaching = Teaching({"q1": dict(zip("ABC", weights, strict=True))}, weight)
    rows = build_rows(make_folds([FRUIT]), RowSettings(shuffles=5, seed=seed), None, teaching).rows
    assert len(rows) == 6
    own = dict(zip(FRUIT.choices, make_soft_labels(teaching.ballots["q1"], "ABC", weight), strict=True))
    for row in rows:
        assert dict(zip(row.prompt.options, row.soft, strict=True)) == pytest.approx(own)
        assert sum(row.target) == pytest.approx(1)


@pytest.mark.parametrize("form", ["prompt", "chat", "alpaca"])
def test_soft_labels_are_written_with_rows_and_read_back(form: Any, tmp_path: Path) -> None:
    rows = build_rows(make_folds(ALL), RowSettings(), None, Teaching({"q1": {"A": 3.0, "B": 1.0}}, 0.5)).rows
    write_rows(rows, tmp_path / "rows.jsonl", form)
    assert read_rows(tmp_path / "rows.jsonl") == rows


def test_soft_labels_are_part_of_a_trainings_identity_and_rows_without_them_keep_theirs() -> None:
    row = TrainingRow(Prompt(question_id="q", content="?", labels=("A", "B")), "A", "A")
    known = "42f660cc0279f714"  # of version 0.2
    soft = TrainingRow(row.prompt, "A", "A", (0.5, 0.5))
    assert fingerprint_rows([row]) != fingerprint_rows([soft])
    assert fingerprint_rows([row]).startswith(known)


@pytest.mark.parametrize("soft", [(0.5,), (-0.1, 0.3), (0.0, 0.0), (0.9, 0.2)])
def test_a_row_refuses_what_is_no_part_of_a_distribution(soft: tuple[float, ...]) -> None:
    with pytest.raises(BadInput, match="question q: soft is"):
        TrainingRow(Prompt(question_id="q", content="?", labels=("A", "B")), "A", "A", soft)


# The encoder


def test_the_loss_of_a_distribution_is_its_cross_entropy_over_the_questions_own_options() -> None:
    scores = [torch.tensor([1.0, 3.0]), torch.tensor([0.5, 0.0, -1.0])]
    targets = torch.tensor([[0.25, 0.75, 0.0], [0.2, 0.2, 0.6]])
    expected = 0.0
    for one, target in zip(scores, targets, strict=True):
        expected -= (torch.log_softmax(one, 0) * target[: len(one)]).sum().item() / 2
    assert option_loss(scores, targets).item() == pytest.approx(expected, rel=1e-6)
    hard = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert option_loss(scores, hard).item() == pytest.approx(option_loss(scores, torch.tensor([1, 0])).item())


def test_an_encoder_learns_from_a_teacher_who_contradicts_the_answers(tmp_path: Path) -> None:
    things = ("stone", "cloud", "river", "house", "apple", "violin")
    rows = []
    for thing in things:
        for big in ("big", "huge"):
            prompt = Prompt(
                question_id=f"{thing}-{big}",
                content="Which one do we want?",
                labels=("A", "B"),
                options=(f"{big} {thing}", f"tiny {thing}"),
            )
            rows.append(TrainingRow(prompt, "A", "A", (0.05, 0.95)))  # the answers say A, the teacher B
    tuning = EncoderTuning(epochs=6, batch=6, learning_rate=3e-4, frozen_layers=3, max_tokens=16)
    trained = tune_encoder(tuning, rows, tmp_path, lambda done, total: None)
    replies = open_backend({"name": "encoder", "model": str(trained.folder)}).answer([row.prompt for row in rows])
    assert sum(reply.text == "B" for reply in replies) > 0.8 * len(rows)
    assert trained.losses[-1][1] < trained.losses[0][1]
    assert PACKAGED not in str(trained.folder)


# The causal trainer


def soft_rows(count: int) -> list[TrainingRow]:
    """Rows of which every second has a teacher: it prefers the last option."""
    rows = largest_rows(count)
    for number in range(0, count, 2):
        row = rows[number]
        rest = 0.6 * 0.2 / (len(row.prompt.labels) - 1)
        soft = (*[rest] * (len(row.prompt.labels) - 1), 0.6 * 0.8)
        rows[number] = TrainingRow(row.prompt, row.answer, row.completion, soft)
    return rows


def run_causal(out: Path, rows: list[TrainingRow], **given_settings: Any) -> list[float]:
    table = {"model": str(tiny_model("qwen3", chat=True)), "engine": "trl", "steps": 3, "batch": 6, "log_every": 1}
    tuning = from_table(CausalTuning, {**table, "learning_rate": 0.01, **given_settings}, "test")
    return [loss for _, loss in tune_causal(tuning, rows, out, lambda done, total: None).losses]


def expected_loss(rows: list[TrainingRow]) -> float:
    """The first loss, computed row by row from the model's own log-probabilities."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from quorum.engine.checkpoint import find_end_tokens
    from quorum.engine.tokens import PromptTokenizer
    from quorum.train.rows.encode import encode_rows, find_stop_token

    folder = str(tiny_model("qwen3", chat=True))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    tokens = PromptTokenizer(tokenizer)
    encoded = encode_rows(tokens, rows, 500, find_stop_token(tokenizer, find_end_tokens(model)))
    total, count = 0.0, 0
    for row, each in zip(rows, encoded, strict=True):
        with torch.no_grad():
            logs = torch.log_softmax(model(torch.tensor([each.ids])).logits[0].float(), -1)
        for place in range(each.first, len(each.ids)):
            hard = -logs[place - 1, each.ids[place]].item()
            if row.soft and place == each.first:
                letters = [tokenizer(label, add_special_tokens=False).input_ids[0] for label in row.prompt.labels]
                assert each.ids[place] == letters[row.prompt.labels.index(row.answer)]
                own, target = torch.log_softmax(logs[place - 1, letters], -1), torch.tensor(row.target)
                mass = torch.logsumexp(logs[place - 1, letters], -1).item()
                hard = -(own * target).sum().item() - mass
            total, count = total + hard, count + 1
    return total / count


def test_the_causal_loss_is_that_over_the_rows_own_labels_and_of_their_total_probability(tmp_path: Path) -> None:
    rows = soft_rows(6)
    (loss,) = run_causal(tmp_path, rows, steps=1)
    assert loss == pytest.approx(expected_loss(rows), rel=1e-4)
    assert loss != pytest.approx(run_causal(tmp_path / "hard", largest_rows(6), steps=1)[0], rel=1e-3)


def test_packed_and_padded_rows_have_the_same_soft_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quorum.train import sft

    rows = soft_rows(6)
    flat = run_causal(tmp_path / "flat", rows)
    packed = run_causal(tmp_path / "packed", rows, packing=True, max_tokens=500, batch=8)
    monkeypatch.setattr(sft, "attend_row_by_row", lambda model: False)
    padded = run_causal(tmp_path / "padded", rows)
    assert padded == pytest.approx(flat, rel=1e-3)
    assert packed[0] == pytest.approx(flat[0], rel=1e-3)
    assert flat[-1] < flat[0]


def test_a_causal_model_learns_what_the_teacher_prefers(tmp_path: Path) -> None:
    rows = [
        TrainingRow(row.prompt, row.answer, row.answer, (0.0,) * (len(row.prompt.labels) - 1) + (1.0,))
        for row in largest_rows(24)
    ]
    run_causal(tmp_path, rows, steps=40, batch=8)
    backend = {"name": "transformers", "model": str(tiny_model("qwen3", chat=True)), "adapter": f"{tmp_path}/adapter"}
    replies = open_backend(backend).answer([row.prompt for row in rows])
    assert sum(reply.text == row.prompt.labels[-1] for reply, row in zip(replies, rows, strict=True)) > 16


def test_trainers_refuse_soft_labels_that_they_cannot_learn(tmp_path: Path) -> None:
    (row, *_) = soft_rows(2)
    option = TrainingRow(row.prompt, row.answer, row.prompt.options[0], row.soft)
    with pytest.raises(BadInput, match='has the completion .* set rows.target = "letter"'):
        run_causal(tmp_path, [option])
    with pytest.raises(BadInput, match="unsloth.* has a loss of its own"):
        run_causal(tmp_path, [row], engine="unsloth")
    with pytest.raises(BadInput, match="'seq2seq' learns no soft labels"):
        tune_seq2seq(Seq2seqTuning(), [row], tmp_path, lambda done, total: None)


def test_a_plain_trainer_without_soft_labels_looks_for_none() -> None:
    assert make_plain_loss_trainer().__name__ == "PlainLossTrainer"


# What a model has learned


def test_the_record_marks_whole_clusters_and_is_inherited_from_the_base(tmp_path: Path) -> None:
    questions = [Question(id=f"n{number}", text=str(number), answer="1") for number in range(6)]
    split = make_folds(questions, clusters={"n0": 1, "n1": 1, "n2": 2, "n3": 3}).split
    write_learned(tmp_path / "out", split, ["n0", "n3"])
    assert read_learned(tmp_path / "out") == {"n0": True, "n1": True, "n2": False, "n3": True, "n4": False, "n5": False}
    write_learned(tmp_path / "base", split, ["n2"])
    copy_learned(tmp_path / "out", tmp_path / "model", base=str(tmp_path / "base"))
    assert {id for id, known in (read_learned(tmp_path / "model") or {}).items() if known} == {"n0", "n1", "n2", "n3"}
    copy_learned(tmp_path / "nothing", tmp_path / "copy", base="a/hub-model")
    assert read_learned(tmp_path / "copy") is None
    pl.DataFrame({"id": ["n0"]}).write_parquet(tmp_path / "out" / "learned.parquet")
    with pytest.raises(BadInput, match="columns are"):
        read_learned(tmp_path / "out")


def test_floats_of_a_target_sum_to_one() -> None:
    row = TrainingRow(Prompt(question_id="q", content="?", labels=("A", "B", "C")), "B", "B", (0.1, 0.1, 0.1))
    assert math.fsum(row.target) == pytest.approx(1)
