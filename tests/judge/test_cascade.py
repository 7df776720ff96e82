"""The cascade: which cheap answers are taken, which questions the model is asked, and what stops it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import infer
import numpy as np
import pytest

from quorum.ballot import Ballot, find_heaviest
from quorum.errors import BadInput
from quorum.files.answers import ballots_from_answers, make_answers, read_answers, write_answers
from quorum.judge.cascade import find_sure, fit_cascade
from quorum.judge.settings import CascadeSettings
from quorum.model.backend import Backend
from quorum.model.simulated import ScriptedModel
from quorum.question import Prompt, Question, Reply
from tests.support.bench import Bench, accuracy, made, write
from tests.support.run_settings import register_names, run_settings


def wrong(question: Question) -> str:
    return next(label for label in question.labels if label != question.answer)


def cheap_run(folder: Path, file: str, questions: Sequence[Question], sure: Sequence[float]) -> Path:
    """A run that is right where `sure` is above 0.6, and wrong elsewhere."""
    ballots: dict[str, Ballot] = {}
    for question, share in zip(questions, sure, strict=True):
        label = question.answer if share > 0.6 else wrong(question)
        ballots[question.id] = {label or "": share, **{other: 0.0 for other in question.labels if other != label}}
        ballots[question.id][next(x for x in question.labels if x != label)] = 1 - share
    write_answers(make_answers("cheap", ballots), folder / f"{file}.parquet")
    return folder


class Expensive:
    """A model that knows the answers, and notes what it was asked."""

    def __init__(self, solved: Sequence[Question], silent: Sequence[str] = ()) -> None:
        self.answers = {question.id: question.answer or "" for question in solved}
        self.silent, self.asked = set(silent), list[str]()

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        self.asked += [prompt.question_id for prompt in prompts]
        ids = [prompt.question_id for prompt in prompts]
        return [Reply(text="" if id in self.silent else self.answers[id]) for id in ids]


def test_the_model_is_asked_what_the_cheap_run_leaves_open_and_the_least_certain_first(bench: Bench) -> None:
    solved = made(20)
    sure = [0.9 if n % 2 else 0.51 + n / 1000 for n in range(20)]
    run = cheap_run(bench.folder / "cheap", "test", solved, sure)
    model = Expensive(solved)
    ballots = bench.ask(solved, {"answerer": model}, limits={"cascade": {"run": run, "sure": 0.8}})
    assert model.asked == [f"q{n}" for n in range(0, 20, 2)]
    assert accuracy(ballots, solved) == 1
    assert bench.calls == {"answerer": 10}


def test_a_share_limits_the_calls_and_an_unread_reply_leaves_the_cheap_answer(bench: Bench) -> None:
    solved = made(20)
    run = cheap_run(bench.folder / "cheap", "test", solved, [0.51 + n / 1000 for n in range(20)])
    model = Expensive(solved, silent=["q0"])
    ballots = bench.ask(solved, {"answerer": model}, limits={"cascade": {"run": run, "sure": 0.8, "share": 0.25}})
    assert model.asked == [f"q{n}" for n in range(5)]
    assert find_heaviest(ballots["q0"]) == wrong(solved[0])
    assert accuracy(ballots, solved) == 4 / 20


def test_what_the_deadline_leaves_unasked_keeps_the_cheap_answer(bench: Bench) -> None:
    solved = made(20)
    run = cheap_run(bench.folder / "cheap", "test", solved, [0.7] * 20)
    model = Expensive(solved)
    limits = {"cascade": {"run": run, "sure": 0.9}, "deadline": 0}
    ballots = bench.ask(solved, {"answerer": model}, limits=limits)
    assert model.asked == []
    assert accuracy(ballots, solved) == 1


def ask_with_gold(bench: Bench, sure: Sequence[float]) -> tuple[Expensive, dict[str, Ballot], dict[str, Ballot]]:
    """Ask a labelled file and one to submit, both with these confidences of the cheap run."""
    known, asked = made(len(sure), prefix="k"), made(len(sure))
    folder = bench.folder
    for file, questions in (("test", asked), ("dev", known)):
        cheap_run(folder / "cheap", file, questions, sure)
        write(folder / f"{file}.jsonl", questions, answers=False)
    (folder / "gold").mkdir()
    write(folder / "gold" / "dev.jsonl", known, answers=True)
    model = Expensive([*known, *asked])
    models: dict[str, Backend] = {"answerer": model}
    bench.patch.setattr("quorum.model.managed.open_backend", lambda table, solved: models[table["name"]])
    register_names(bench.patch, ["answerer"])
    cascade = {"run": folder / "cheap", "gold": folder / "gold" / "dev.jsonl"}
    settings: dict[str, Any] = {
        "questions": [folder / "test.jsonl", folder / "dev.jsonl"],
        "out": folder / "out",
        "limits": {"cascade": cascade},
    }
    infer.main(run_settings(run="r", backend={"name": "answerer"}, **settings))
    test, dev = (ballots_from_answers(read_answers(folder / "out" / f"{file}.parquet")) for file in ("test", "dev"))
    return model, test, dev


def test_the_confidence_is_fitted_on_labelled_questions_of_which_all_are_asked(bench: Bench) -> None:
    sure = [0.9] * 360 + [0.5] * 40
    model, test, dev = ask_with_gold(bench, sure)
    assert model.asked[:400] == [f"k{n}" for n in range(400)]
    assert model.asked[400:] == [f"q{n}" for n in range(360, 400)]
    assert accuracy(test, made(400)) == 1
    assert accuracy(dev, made(400, prefix="k")) == 1
    assert sum(max(ballot.values()) == pytest.approx(0.9) for ballot in dev.values()) == 360


def test_no_cheap_answer_is_taken_where_that_loses(bench: Bench) -> None:
    model, test, _ = ask_with_gold(bench, [0.55] * 300)
    assert len(model.asked) == 600
    assert accuracy(test, made(300)) == 1


def test_a_weak_cheap_run_is_stopped_and_a_good_one_answers_most() -> None:
    random = np.random.default_rng(5)
    confidence = random.random(1000)
    expensive = random.random(1000) < 0.8
    good, weak = random.random(1000) < 0.6 + 0.4 * confidence, random.random(1000) < 0.3 + 0.2 * confidence
    rule, taken = fit_cascade(confidence, good, expensive, np.arange(1000))
    assert rule.accuracy > rule.alone
    assert 0.2 < rule.asked < 0.9
    assert rule.asked == pytest.approx(1 - taken.mean())
    rule, taken = fit_cascade(confidence, weak, expensive, np.arange(1000))
    assert taken.mean() < 0.01
    assert rule.accuracy > rule.alone - 0.01 > rule.cheap


def test_a_few_labelled_questions_without_a_disagreement_are_no_proof() -> None:
    assert find_sure(np.full(30, 0.9), np.zeros(30)) == np.inf
    assert find_sure(np.full(400, 0.9), np.zeros(400)) == 0.9
    assert find_sure(np.zeros(400), np.zeros(400)) == np.inf  # unread answers are never taken


def test_a_question_is_judged_by_a_rule_that_did_not_see_its_cluster() -> None:
    confidence, clusters = np.full(1000, 0.9), np.arange(1000) // 200
    gain = np.where(clusters == 0, 1.0, 0.0)
    _, taken = fit_cascade(confidence, gain > 0, np.zeros(1000, dtype=bool), clusters)
    assert taken[clusters == 0].all()  # the other clusters show no loss
    _, taken = fit_cascade(confidence, np.zeros(1000, dtype=bool), gain > 0, clusters)
    assert taken[clusters == 0].all()  # the loss is not seen from outside
    assert not taken[clusters > 0].any()


def test_a_run_that_has_not_answered_the_file_and_contradictions_are_refused(bench: Bench) -> None:
    solved = made(4)
    model: dict[str, Backend] = {"answerer": ScriptedModel(lambda prompt: Reply(text="A"))}
    with pytest.raises(BadInput, match=r"test\.parquet does not exist"):
        bench.ask(solved, model, limits={"cascade": {"run": bench.folder / "none", "sure": 0.5}})
    with pytest.raises(BadInput, match="holds answers of none of the question files test"):
        bench.ask(solved, model, limits={"cascade": {"run": bench.folder, "gold": bench.folder / "dev.csv"}})
    for settings in ({"run": Path("r")}, {"run": Path("r"), "sure": 0.5, "gold": Path("g")}, {"sure": 0.5}):
        with pytest.raises(BadInput, match=r"limits\.cascade"):
            CascadeSettings(**settings)
    with pytest.raises(BadInput, match="allowed is 0 to 1"):
        CascadeSettings(share=1.5)
