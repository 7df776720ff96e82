"""Reasoning where it pays: the decision out of fold, and the kernel that keeps to it."""

import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.prompt import render_prompt
from quorum.ballot import Ballot, compute_share_right, is_right
from quorum.competition.climb import Attempt
from quorum.competition.ladder import climb_ladder
from quorum.competition.stages import StageOptions, list_stages
from quorum.errors import BadInput
from quorum.files.solution import make_solution
from quorum.judge.agent import Agent, FittedSettings
from quorum.judge.reason import ReasoningRule, fit_reasoning
from quorum.judge.settings import RefineSettings
from quorum.model.backend import Backend
from quorum.model.simulated import ScriptedModel
from quorum.question import Prompt, Question, Reply
from tests.support.bench import Bench, account, accuracy, made, write
from tests.support.paths import KERNELS

# how often a model is right in a subject: without reasoning, and with it
Skill = dict[str, tuple[float, float]]
SKILL: Skill = {"maths": (0.4, 0.9), "law": (0.8, 0.2)}


def of_subjects(count: int, prefix: str, *subjects: str | None) -> list[Question]:
    return [replace(q, subject=subjects[n % len(subjects)]) for n, q in enumerate(made(count, prefix=prefix))]


def reasons(prompt: Prompt) -> bool:
    return str(prompt.content).endswith("Reasoning:")


def skilled(solved: Sequence[Question], skill: Skill) -> ScriptedModel:
    """A model that is right as often as `skill` says, and names the next letter where it is wrong."""
    known = {question.id: question for question in solved}

    def reply(prompt: Prompt) -> Reply:
        question, cot = known[prompt.question_id], reasons(prompt)
        right = random.Random(f"{cot}/{question.id}").random() < skill[question.subject or ""][cot]
        place = (question.labels.index(question.answer or "") + (not right)) % len(question.labels)
        return Reply(text=f"Step by step.\nAnswer: {question.labels[place]}" if cot else question.labels[place])

    return ScriptedModel(reply)


def paid(
    bench: Bench, asked: Sequence[Question], train: Sequence[Question], model: ScriptedModel, **tables: Any
) -> Any:
    """The answers of a kernel that reasons where that pays."""
    write(bench.folder / "train.jsonl", train, answers=True)
    tables = {"reason": True, "rehearse": len(train), "train": bench.folder / "train.jsonl"} | tables
    return bench.ask(asked, {"answerer": model}, **tables)


def test_a_subject_in_which_reasoning_helps_reasons_and_one_in_which_it_hurts_does_not(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    train, asked = of_subjects(120, "t", "maths", "law"), of_subjects(300, "q", "maths", "law")
    model = skilled([*train, *asked], SKILL)
    never, always = (bench.ask(asked, {"answerer": model}, prompt=style) for style in ("letter", "cot"))
    found = paid(bench, asked, train, model)
    law = {q.id for q in asked if q.subject == "law"}
    assert found == {id: never[id] if id in law else always[id] for id in never}
    assert accuracy(found, asked) > max(accuracy(never, asked), accuracy(always, asked)) + 0.1
    assert bench.calls == {"answerer": 2 * 120 + 300 + 150}
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "reasons" in line)
    assert line.startswith("r: reasons in maths; out of fold on 120 rehearsed: never 0.")
    told = account(bench).reasoning
    assert (told["policy"], told["subjects"], told["otherwise"], told["count"]) == (
        "where it pays",
        ["maths"],
        False,
        120,
    )
    assert told["accuracies"]["where it pays"] > max(told["accuracies"]["never"], told["accuracies"]["always"])
    assert account(bench).prompt["reason"] is True


@pytest.mark.parametrize(("plain", "cot", "where"), [(0.2, 0.9, "everywhere"), (0.9, 0.2, "nowhere"), (0.5, 0.5, "")])
def test_questions_without_a_subject_are_one_group(
    bench: Bench, plain: float, cot: float, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train, asked = of_subjects(100, "t", None), of_subjects(50, "q", None)
    model = skilled([*train, *asked], {"": (plain, cot)})
    found = paid(bench, asked, train, model)
    assert f"reasons {where}" in capsys.readouterr().err
    assert found == bench.ask(asked, {"answerer": model}, prompt="cot" if bench.calls["answerer"] == 300 else "letter")


def test_a_subject_that_was_not_rehearsed_does_as_all_do_together(bench: Bench) -> None:
    train, asked = of_subjects(100, "t", "maths", "maths", "maths", "law"), of_subjects(40, "q", "logic")
    model = skilled([*train, *asked], SKILL | {"logic": (0.0, 1.0)})
    assert accuracy(paid(bench, asked, train, model), asked) == 1.0
    assert account(bench).reasoning["otherwise"]


def test_a_reasoned_reply_that_cannot_be_read_takes_no_answer_away(bench: Bench) -> None:
    train, asked = of_subjects(60, "t", "maths"), of_subjects(20, "q", "maths")
    able = skilled([*train, *asked], {"maths": (0.0, 1.0)})
    lost = {question.id for question in asked[:9]}
    model = ScriptedModel(
        lambda p: Reply(text="And so on and") if reasons(p) and p.question_id in lost else able.reply(p)
    )
    assert accuracy(paid(bench, asked, train, model), asked) == 11 / 20


def test_later_looks_ask_in_the_way_that_was_decided(bench: Bench) -> None:
    train, asked = of_subjects(80, "t", "maths", "law"), of_subjects(20, "q", "maths", "law")
    model, ways = skilled([*train, *asked], SKILL), Counter[tuple[str, bool]]()

    def reply(prompt: Prompt) -> Reply:
        ways[prompt.question_id, reasons(prompt)] += 1
        return model.reply(prompt)

    paid(bench, asked, train, ScriptedModel(reply), shuffle={"orders": "cyclic"})
    assert all(ways[q.id, True] == (4 if q.subject == "maths" else 0) for q in asked)
    assert all(ways[q.id, False] == (1 if q.subject == "maths" else 4) for q in asked)
    assert {ways[q.id, way] for q in train for way in (False, True)} == {1}, "nothing else is to be fitted"


def test_what_is_struck_is_asked_again_in_the_way_that_was_decided(bench: Bench) -> None:
    train, asked = of_subjects(80, "t", "maths", "law"), of_subjects(20, "q", "maths", "law")
    model, ways = skilled([*train, *asked], SKILL), Counter[tuple[str, bool]]()
    firsts = {question.id: question.choices[0] for question in asked}

    def reply(prompt: Prompt) -> Reply:
        if prompt.labels[0] == "TRUE":
            return Reply(text="FALSE" if f". {firsts[prompt.question_id]}\nTRUE" in str(prompt.content) else "TRUE")
        ways[prompt.question_id, reasons(prompt)] += 1
        if prompt.question_id in firsts:
            return Reply(text="So.\nAnswer: A" if reasons(prompt) else "A")
        return model.reply(prompt)

    paid(bench, asked, train, ScriptedModel(reply), verify={"method": "eliminate"})
    assert all((ways[q.id, False], ways[q.id, True]) == ((1, 2) if q.subject == "maths" else (2, 0)) for q in asked)


def test_a_verifier_is_weighed_on_answers_as_they_will_be_given(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    train, asked = of_subjects(100, "t", "maths", "law"), of_subjects(10, "q", "law")
    model = skilled([*train, *asked], {"maths": (0.0, 1.0), "law": (1.0, 0.0)})
    judge = ScriptedModel(lambda prompt: Reply(text="TRUE"))
    write(bench.folder / "train.jsonl", train, answers=True)
    tables: dict[str, Any] = {"reason": True, "rehearse": 100, "train": bench.folder / "train.jsonl"}
    verify = {"method": "rescore", "backend": {"name": "judge"}}
    found = bench.ask(asked, {"answerer": model, "judge": judge}, verify=verify, **tables)
    assert accuracy(found, asked) == 1.0
    assert bench.calls == {"answerer": 100 + 100 + 10, "verifier": 400}
    assert "100 rehearsed (out of fold 1.000 alone" in capsys.readouterr().err


def test_own_words_for_an_answer_alone_are_not_those_for_reasoning(bench: Bench) -> None:
    train, seen = of_subjects(5, "t", None), list[Prompt]()

    def reply(prompt: Prompt) -> Reply:
        seen.append(prompt)
        return Reply(text="A")

    words = {"instruction": "Just the letter.", "choice": "({label}) {choice}\n"}
    paid(bench, of_subjects(3, "q", None), train, ScriptedModel(reply), template=words)
    cot = [str(prompt.content) for prompt in seen if reasons(prompt)]
    assert len(cot) == 5
    assert all("Just the letter." not in text and "(A) " in text for text in cot)
    assert all("Just the letter." in str(prompt.content) for prompt in seen if not reasons(prompt))


def test_what_can_not_be_decided_is_refused(bench: Bench) -> None:
    with pytest.raises(BadInput, match=r"refine\.reason has to be fitted: set `train`, and `refine\.rehearse`"):
        bench.ask(made(2), {}, reason=True)
    with pytest.raises(BadInput, match=r"refine\.reason: prompt\.style is cot, which always reasons"):
        bench.ask(made(2), {}, reason=True, prompt="cot")


class Counting:
    """A backend that counts its batches."""

    def __init__(self, inner: Backend) -> None:
        self.inner, self.batches = inner, list[int]()

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        self.batches.append(len(prompts))
        return self.inner.answer(prompts)


def test_questions_are_reasoned_about_in_batches() -> None:
    asked = of_subjects(20, "q", "maths", "law")
    model = Counting(skilled(asked, SKILL))
    reasoning = ReasoningRule(
        policy="where it pays",
        subjects={"maths": True, "law": False},
        otherwise=False,
        accuracies={},
        gain=0.0,
        error=0.0,
        count=0,
        ballots={},
    )
    agent = Agent(
        answerer=model,
        ask=lambda q: render_prompt(q, "letter"),
        settings=RefineSettings(reason=True),
        verifier=model,
        batch=4,
        ask_reasoned=lambda q: render_prompt(q, "cot"),
    )
    fitted = FittedSettings(temperature=1.0, weight=0.0, reasoning=reasoning)
    list(agent.refine(asked, {q.id: {"A": 1.0} for q in asked}, fitted))
    assert model.batches == [4, 4, 2]


def test_a_deadline_amid_the_reasoning_leaves_the_plain_answers(bench: Bench) -> None:
    train, asked = of_subjects(10, "t", "maths"), of_subjects(40, "q", "maths")
    able, now = skilled([*train, *asked], {"maths": (0.0, 1.0)}), [0.0]

    def slow(prompt: Prompt) -> Reply:
        now[0] += 1.0
        return able.reply(prompt)

    bench.patch.setattr("infer.time.monotonic", lambda: now[0])
    found = paid(bench, asked, train, ScriptedModel(slow), deadline=1.25, batch=4)
    assert all(found.values())
    assert 10 <= sum(is_right(found[q.id], q.answer or "") for q in asked) <= 15


def test_a_deadline_amid_the_rehearsal_speaks_neither_for_reasoning_nor_against_it(bench: Bench) -> None:
    train, asked = of_subjects(40, "t", "maths"), of_subjects(10, "q", "maths")
    able, now = skilled([*train, *asked], {"maths": (1.0, 0.0)}), [0.0]

    def slow(prompt: Prompt) -> Reply:
        now[0] += 1.0
        return able.reply(prompt)

    bench.patch.setattr("infer.time.monotonic", lambda: now[0])
    found = paid(bench, asked, train, ScriptedModel(slow), deadline=50 / 60)
    assert accuracy(found, asked) == 1.0
    assert set(account(bench).reasoning["accuracies"].values()) == {1.0}


MORTAL = """
import os, signal, sys
sys.path[:0] = [{kernels!r}, {root!r}]
import infer, quorum.model.managed
from tests.support.run_settings import run_settings
from quorum.model.simulated import ScriptedModel
from quorum.question import Reply
log = open("asked.txt", "a")
def reply(prompt):
    cot = str(prompt.content).endswith("Reasoning:")
    print(prompt.question_id, cot, file=log, flush=True)
    if sum(1 for line in open("asked.txt")) == {killed_at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return Reply(text="So.\\nAnswer: B" if cot else "A")
quorum.model.managed.open_backend = lambda table, solved: ScriptedModel(reply)
infer.main(run_settings(run="r", questions=["test.jsonl"], out="out", backend={{"name": "fake"}}, sample="sample.csv",
                        batch=4, train="train.jsonl", rehearse=12, reason=True, journal="journal.sqlite"))
"""


@pytest.mark.parametrize("killed_at", [13 + 12 + 7, 13 + 24 + 6])
def test_a_kill_takes_no_answer_away_and_what_was_written_is_not_asked_again(tmp_path: Path, killed_at: int) -> None:
    asked = made(13)
    write(tmp_path / "test.jsonl", asked, answers=False)
    write(tmp_path / "train.jsonl", [replace(q, answer="B") for q in made(12, prefix="t")], answers=True)
    (tmp_path / "sample.csv").write_text("id,answer\n" + "".join(f"{question.id},A\n" for question in asked))
    command = [sys.executable, "-c", MORTAL.format(kernels=str(KERNELS), root=str(KERNELS.parent), killed_at=killed_at)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    submission = (tmp_path / "out" / "submission.csv").read_text().splitlines()[1:]
    assert [line.endswith(",B") for line in submission] == [killed_at > 40 and n < 4 for n in range(13)]
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "out" / "submission.csv").read_text().splitlines()[1:] == [f"{q.id},B" for q in asked]
    asked_twice = [
        what for what, count in Counter((tmp_path / "asked.txt").read_text().split("\n")).items() if count > 1
    ]
    assert 0 < len(asked_twice) <= 4, "no more than the batch that was cut"


def test_reasoning_where_it_pays_is_a_stage_of_the_ladder(bench: Bench) -> None:
    train, held = of_subjects(120, "t", "maths", "law"), of_subjects(200, "q", "maths", "law")
    model = skilled([*train, *held], SKILL)
    member = {"backend": {"name": "vllm"}}
    stages = [
        stage for stage in list_stages(member, StageOptions(rehearse=120)) if stage.name.startswith("chain-of-thought")
    ]

    def attempt(on: Sequence[Any]) -> Attempt:
        given = {
            setting: value
            for stage in on
            for setting, value in stage.settings.items()
            if not setting.startswith("backend")
        }
        return Attempt(paid(bench, held, train, model, **{"reason": False} | given), 1.0, 0.0)

    found = climb_ladder(stages, attempt, make_solution(held), "accuracy")
    assert [(rung.stage, rung.kept) for rung in found.rungs[1:]] == [
        ("chain-of-thought", False),
        ("chain-of-thought, where it pays", True),
    ]


def decided(
    rows: Sequence[tuple[str, bool, bool]], lied: Sequence[int] = ()
) -> tuple[ReasoningRule, dict[str, Ballot], dict[str, Ballot]]:
    """The decision on questions of (subject, right without reasoning, right with it) and the ballots of both ways, the
    answers of the folds `lied` being other ones."""
    known = {f"q{n}": row for n, row in enumerate(rows)}
    plain = {id: {"A" if without else "B": 1.0} for id, (_, without, _) in known.items()}
    reasoned = {id: {"A" if right else "B": 0.9} for id, (_, _, right) in known.items()}
    folds = {id: n % 5 for n, id in enumerate(known)}
    answers = {id: "B" if folds[id] in lied else "A" for id in known}
    found = fit_reasoning(plain, reasoned, answers, {id: row[0] for id, row in known.items()}, folds)
    return found, plain, reasoned


@given(st.lists(st.tuples(st.sampled_from(["", "maths", "law"]), st.booleans(), st.booleans()), max_size=60))
@settings(deadline=None, max_examples=100)
def test_out_of_fold_it_is_never_below_the_better_of_always_and_never(rows: list[tuple[str, bool, bool]]) -> None:
    found, plain, reasoned = decided(rows)
    answers = dict.fromkeys(plain, "A")
    shares = [compute_share_right(ballots, answers) for ballots in (found.ballots, plain, reasoned)]
    assert shares[0] >= max(shares[1:])
    assert found.accuracies["never"] == shares[1]
    assert found.accuracies["always"] == shares[2]
    assert found.gain == pytest.approx(shares[0] - shares[1])


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.booleans()), max_size=60))
@settings(deadline=None, max_examples=30)
def test_without_any_gain_nothing_is_reasoned_about(rows: list[tuple[str, bool]]) -> None:
    found, plain, _ = decided([(subject, right, right) for subject, right in rows])
    assert (found.policy, found.otherwise, dict(found.subjects), found.ballots) == ("never", False, {}, plain)
    assert found.summary.startswith("reasons nowhere")


def test_a_lucky_question_does_not_turn_a_subject() -> None:
    loses = [("law", True, n % 3 > 0) for n in range(90)]
    found, _, _ = decided([*loses, *[("maths", False, True)] * 40, ("logic", False, True)])
    assert found.policy == "where it pays"
    assert found.subjects == {"law": False, "maths": True, "logic": True}
    found, _, _ = decided([*loses, *[("maths", False, True)] * 20, ("logic", False, True)])
    assert found.subjects == {"law": False, "maths": True, "logic": False}


def test_a_folds_own_answers_do_not_choose_its_way() -> None:
    others = [("maths", False, True)] * 36 + [("law", True, False)] * 60
    rows = [("rare", False, True) if n % 5 == 0 else others.pop() for n in range(120)]
    (found, plain, _), (told, _, _) = decided(rows), decided(rows, lied=[0])
    assert found.policy == told.policy == "where it pays"
    assert found.subjects == {"rare": True, "maths": True, "law": False}
    held = [f"q{n}" for n in range(0, 120, 5)]
    assert [found.ballots[id] for id in held] == [plain[id] for id in held] == [told.ballots[id] for id in held]


def test_where_a_rule_by_subject_holds_out_of_fold_for_nothing_all_reason_or_none() -> None:
    swings = [
        ("law", False, True),
        *[("law", True, False)] * 4,
        *[("law", False, True), *[("maths", True, True)] * 4] * 9,
    ]
    found, _, reasoned = decided(swings)
    assert (found.policy, found.otherwise, dict(found.subjects), found.ballots) == ("always", True, {}, reasoned)
    assert found.summary.startswith("reasons everywhere; out of fold on 50 rehearsed: never 0.800")
    mirrored, plain, _ = decided([(subject, cot, without) for subject, without, cot in swings])
    assert (mirrored.policy, mirrored.otherwise, mirrored.ballots) == ("never", False, plain)
