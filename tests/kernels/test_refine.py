"""The kernel's second looks, end to end: what is undone, struck, joined, voted, and what stands if it is cut short."""

import json
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import infer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.prompt import render_prompt
from quorum.ballot import Ballot, find_heaviest
from quorum.errors import BadInput
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.manifest import read_manifest
from quorum.judge.agent import Agent
from quorum.judge.settings import CalibrateSettings, RefineSettings, VerifySettings
from quorum.model.backend import Backend
from quorum.model.simulated import ScriptedModel, SimulatedModel, SimulatedSettings
from quorum.question import Prompt, Question, Reply
from tests.support.bench import Bench, accuracy, made, write
from tests.support.biased import ACCURACY, BIAS, within_error
from tests.support.paths import KERNELS
from tests.support.run_settings import run_settings
from tests.support.verifiers import knowing

COUNT = 600


@pytest.mark.parametrize(
    ("tables", "calls"),
    [
        ({"shuffle": {"orders": "cyclic"}}, 4 * COUNT),
        ({"calibrate": {"prior": "content-free"}}, COUNT + 3),
        ({"calibrate": {"prior": "pride"}}, COUNT + 3 * COUNT // 20),
        ({"calibrate": {"prior": "corpus"}}, COUNT),
        ({"shuffle": {"orders": "random", "count": 3}, "calibrate": {"prior": "pride"}}, 3 * COUNT + 3 * COUNT // 20),
    ],
    ids=lambda case: json.dumps(case),
)
def test_each_setting_brings_back_what_a_biased_model_knows(bench: Bench, tables: dict[str, Any], calls: int) -> None:
    solved = made(COUNT)
    models: dict[str, Backend] = {
        "answerer": SimulatedModel(SimulatedSettings(accuracy=ACCURACY, bias=BIAS), solved=solved)
    }
    assert accuracy(bench.ask(solved, models), solved) < ACCURACY - 0.1
    assert within_error(accuracy(bench.ask(solved, models, **tables), solved), COUNT)
    assert bench.calls == {"answerer": calls}


@pytest.mark.parametrize("prior", ["pride", "content-free", "corpus"])
def test_a_prior_is_found_for_each_number_of_options_of_a_mixed_file(bench: Bench, prior: str) -> None:
    solved = made(COUNT, lambda n: (2, 3, 5, 26)[n % 4])
    models: dict[str, Backend] = {
        "answerer": SimulatedModel(SimulatedSettings(accuracy=ACCURACY, bias=BIAS), solved=solved)
    }
    before, after = (accuracy(bench.ask(solved, models, calibrate={"prior": p}), solved) for p in ("none", prior))
    assert before < ACCURACY - 0.1
    assert within_error(after, COUNT)


def test_a_question_whose_options_may_not_move_is_freed_and_never_shuffled(bench: Bench) -> None:
    pinned = Question(id="pinned", text="Which of these?", choices=("iron", "tin", "Both A and B"))
    seen: list[tuple[str, ...]] = []

    def reply(prompt: Prompt) -> Reply:
        if prompt.question_id == "pinned":
            seen.append(prompt.options)
        return Reply(text="A")

    bench.ask(
        [pinned, *made(3)],
        {"answerer": ScriptedModel(reply)},
        shuffle={"orders": "cyclic"},
        calibrate={"prior": "pride"},
    )
    assert seen == [pinned.choices]


@pytest.mark.parametrize("method", ["rescore", "eliminate"])
def test_an_open_question_keeps_its_answer_through_all_looks(bench: Bench, method: str) -> None:
    asked = [Question(id="sum", text="2 + 2?"), *made(3)]
    model = ScriptedModel(lambda prompt: Reply(text="A" if prompt.labels else "#### 4"))
    looks = {"shuffle": {"orders": "cyclic"}, "calibrate": {"prior": "pride", "temperature": 2.0}}
    ballots = bench.ask(asked, {"answerer": model}, verify={"method": method, "weight": 1.0}, **looks)
    assert ballots["sum"] == {"4": 1.0}


def test_how_many_answers_hang_on_the_order_is_told(bench: Bench) -> None:
    bench.ask(made(10), {"answerer": ScriptedModel(lambda prompt: Reply(text="A"))}, shuffle={"orders": "cyclic"})
    assert read_manifest(bench.folder / "out" / "run.json").order_sensitive == {"test": 1.0}


def test_sampled_votes_take_the_place_of_the_first_answer(bench: Bench) -> None:
    replies = iter("ABBBBBBBBB")
    ballots = bench.ask(
        made(1), {"answerer": ScriptedModel(lambda prompt: Reply(text=next(replies)))}, votes={"most": 5}
    )
    assert find_heaviest(ballots["q0"]) == "B"


def test_what_the_verifier_calls_false_is_struck_and_every_round_is_written_down(bench: Bench) -> None:
    metals = Question(id="m", text="Which is yellow?", choices=("iron", "zinc", "gold", "tin"), answer="C")

    def first_of(prompt: Prompt) -> Reply:
        return Reply(text=prompt.labels[0])

    models: dict[str, Backend] = {"answerer": ScriptedModel(first_of), "judge": knowing([metals], 0.9)}
    ballots = bench.ask([metals], models, verify={"method": "eliminate", "backend": {"name": "judge"}})
    assert ballots == {"m": {"C": 1.0}}
    assert [(label, round(true, 3), taken) for _, _, label, true, taken in bench.rounds] == [
        ("A", 0.1, True),
        ("B", 0.1, True),
        ("C", 0.9, False),
    ]
    assert bench.calls == {"answerer": 3, "verifier": 3}


OWN_WORDS = {
    "instruction": "Is the pupil right?",
    "question": "{context}{text}\n{choices}Proposed answer: {proposed}\n?",
}


@pytest.mark.parametrize(
    "looks", [{"method": "eliminate"}, {"method": "rescore", "weight": 1.0}, {"method": "rescore"}], ids=str
)
def test_a_verifier_sees_the_words_of_the_table_verdict(bench: Bench, looks: dict[str, Any]) -> None:
    solved, asked = made(40, prefix="t"), made(5)
    write(bench.folder / "train.jsonl", solved, answers=True)
    judge, seen = knowing([*solved, *asked], 0.9), list[str]()

    def verdict(prompt: Prompt) -> Reply:
        seen.append(str(prompt.content))
        return judge.reply(prompt)

    models: dict[str, Backend] = {
        "answerer": ScriptedModel(lambda prompt: Reply(text="A")),
        "judge": ScriptedModel(verdict),
    }
    verify = looks | {"backend": {"name": "judge"}}
    bench.ask(asked, models, verify=verify, verdict=OWN_WORDS, rehearse=40, train=bench.folder / "train.jsonl")
    assert len(seen) >= 5
    assert all(text.startswith("Is the pupil right?\n\n") and text.endswith("\n?") for text in seen)
    assert read_manifest(bench.folder / "out" / "run.json").prompt["verdict.instruction"] == "Is the pupil right?"


def test_a_verdict_without_the_proposed_answer_is_refused_before_anything_is_asked(bench: Bench) -> None:
    with pytest.raises(BadInput, match=r"refine\.verdict\.question: \{proposed\} is missing"):
        bench.ask(made(1), {}, verify={"method": "eliminate"}, verdict={"question": "{context}{text}{choices}"})


@pytest.mark.parametrize(("sure", "helps"), [(0.8, True), (0.5, False), (0.2, False)])
def test_a_soft_verifier_is_weighed_on_rehearsed_questions_and_off_where_it_does_not_help(
    bench: Bench, sure: float, helps: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    solved, asked = made(150, prefix="t"), made(200)
    write(bench.folder / "train.jsonl", solved, answers=True)
    models: dict[str, Backend] = {
        "answerer": SimulatedModel(SimulatedSettings(accuracy=ACCURACY), solved=[*solved, *asked]),
        "judge": knowing([*solved, *asked], sure),
    }
    plain = bench.ask(asked, models)
    soft = {"method": "rescore", "backend": {"name": "judge"}}
    joined = bench.ask(asked, models, verify=soft, rehearse=100, train=bench.folder / "train.jsonl")
    assert "100 rehearsed (out of fold 0." in capsys.readouterr().err
    if helps:
        assert accuracy(joined, asked) > accuracy(plain, asked) + 0.1
        assert bench.calls == {"answerer": 300, "verifier": 4 * 300}
        assert {label for id, _, label, _, _ in bench.rounds if id == "q0"} == set("ABCD")
    else:
        assert joined == plain
        assert bench.calls == {"answerer": 300, "verifier": 4 * 100}


@given(st.floats(0.02, 0.98), st.floats(0, 1), st.integers(0, 10**6))
@settings(deadline=None, max_examples=12)
def test_rehearsed_a_verifier_never_lowers_what_is_right_out_of_fold(sure: float, accuracy: float, seed: int) -> None:
    solved = made(60, prefix=f"{seed}-")
    answerer = SimulatedModel(SimulatedSettings(accuracy=accuracy, bias=BIAS, seed=seed), solved=solved)
    agent = Agent(
        answerer=answerer,
        ask=lambda question: render_prompt(question, "letter"),
        settings=RefineSettings(calibrate=CalibrateSettings(prior="corpus"), verify=VerifySettings(method="rescore")),
        verifier=knowing(solved, sure),
    )
    fitted = agent.rehearse(solved)
    assert fitted.verifier is not None
    weighed = fitted.verifier.ballots
    right = sum(find_heaviest(weighed[question.id]) == question.answer for question in solved) / len(solved)
    assert right >= fitted.verifier.alone
    assert (fitted.weight > 0) <= (fitted.verifier.combined > fitted.verifier.alone + fitted.verifier.error)


def test_a_temperature_is_fitted_on_rehearsed_questions_and_changes_no_answer(bench: Bench) -> None:
    solved, asked = made(150, prefix="t"), made(100)
    write(bench.folder / "train.jsonl", solved, answers=True)
    models: dict[str, Backend] = {
        "answerer": SimulatedModel(SimulatedSettings(accuracy=0.4, sureness=9.0), solved=[*solved, *asked])
    }
    plain = bench.ask(asked, models)
    cooled = bench.ask(asked, models, calibrate={"temperature": 0.0}, rehearse=150, train=bench.folder / "train.jsonl")
    assert [find_heaviest(ballot) for ballot in cooled.values()] == [find_heaviest(ballot) for ballot in plain.values()]
    assert sum(max(b.values()) for b in cooled.values()) < sum(max(b.values()) for b in plain.values()) - 10


def test_what_is_to_be_fitted_needs_questions_that_the_model_has_not_learnt(bench: Bench) -> None:
    write(bench.folder / "train.jsonl", made(9, prefix="t"), answers=True)
    with pytest.raises(BadInput, match=r"refine\.verify\.weight has to be fitted: set `train`, and `refine\.rehearse`"):
        bench.ask(made(3), {"answerer": ScriptedModel(lambda prompt: Reply(text="A"))}, verify={"method": "rescore"})
    with pytest.raises(BadInput, match=r"refine\.rehearse: the neighbour backend knows the answers of train"):
        infer.main(
            run_settings(
                run="r",
                questions=[bench.folder / "test.jsonl"],
                out=bench.folder / "out",
                backend={"name": "neighbour"},
                train=bench.folder / "train.jsonl",
                calibrate={"temperature": 0.0},
                rehearse=5,
            )
        )


def test_a_second_reader_reads_what_the_rules_can_not(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    models: dict[str, Backend] = {
        "answerer": ScriptedModel(
            lambda prompt: Reply(text="A" if prompt.question_id == "q0" else "Well, the yellow one.")
        ),
        "reader": ScriptedModel(lambda prompt: Reply(text="C")),
    }
    assert bench.ask(made(2), models, reader={"name": "reader"}) == {"q0": {"A": 1.0}, "q1": {"C": 1.0}}
    assert "1 of 2 questions were read by the second reader only" in capsys.readouterr().err
    assert bench.calls == {"answerer": 2, "reader": 1}


def test_a_deadline_amid_the_second_looks_takes_no_answer_away(bench: Bench) -> None:
    now = [0.0]

    def slow(prompt: Prompt) -> Reply:
        now[0] += 1.0
        return Reply(text=prompt.labels[1])

    bench.patch.setattr("infer.time.monotonic", lambda: now[0])
    asked = made(40)
    tables = {
        "shuffle": {"orders": "cyclic"},
        "verify": {"method": "eliminate"},
        "calibrate": {"prior": "content-free"},
    }
    ballots = bench.ask(asked, {"answerer": ScriptedModel(slow)}, deadline=1.0, batch=8, **tables)
    assert all(ballots[question.id] for question in asked)
    assert 55 <= bench.calls["answerer"] <= 61


def test_a_question_that_the_model_fails_on_costs_itself_alone_and_is_asked_again_by_the_next_run(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    trips, seen = ["q5"], list[str]()

    def reply(prompt: Prompt) -> Reply:
        if prompt.question_id in trips:
            raise RuntimeError("CUDA out of memory")
        seen.append(prompt.question_id)
        return Reply(text="B")

    def ask(models: dict[str, Backend]) -> dict[str, Ballot]:
        return bench.ask(made(20), models, batch=4, deadline=60.0, journal=bench.folder / "journal.sqlite")

    ballots = ask({"answerer": ScriptedModel(reply)})
    assert ballots == {f"q{n}": {} if n == 5 else {"B": 1.0} for n in range(20)}
    told = capsys.readouterr().err
    assert "1 of 4 prompts failed and stay unread (q5): RuntimeError: CUDA out of memory\n" in told
    assert "r, test: 1 of 20 questions are unread\n" in told
    trips.clear()
    seen.clear()
    assert ask({"answerer": ScriptedModel(reply)})["q5"] == {"B": 1.0}
    assert seen == ["q5"]


def test_a_model_that_fails_on_everything_ends_the_run_with_its_own_error(bench: Bench) -> None:
    calls = list[str]()

    def broken(prompt: Prompt) -> Reply:
        calls.append(prompt.question_id)
        raise RuntimeError("device-side assert triggered")

    with pytest.raises(RuntimeError, match="device-side assert triggered"):
        bench.ask(made(2000), {"answerer": ScriptedModel(broken)})
    assert len(calls) < 100


SHIPPED = {path.stem: tomllib.loads(path.read_text()) for path in sorted(KERNELS.glob("*.toml"))}


@pytest.mark.parametrize("name", [name for name, settings in SHIPPED.items() if "backend" in settings])
def test_a_kill_at_question_900_leaves_most_answers_with_the_settings_that_are_shipped(bench: Bench, name: str) -> None:
    asked = iter(range(1, 1254))

    def killed(prompt: Prompt) -> Reply:
        if next(asked) == 900:
            raise KeyboardInterrupt
        return Reply(text="B")

    batch = {setting: value for setting, value in SHIPPED[name].get("limits", {}).items() if setting == "batch"}
    with pytest.raises(KeyboardInterrupt):
        bench.ask(made(1253), {"answerer": ScriptedModel(killed)}, **batch)
    answers = ballots_from_answers(read_answers(bench.folder / "out" / "test.parquet"))
    assert sum(map(bool, answers.values())) > 900 - 513


MORTAL = """
import os, signal, sys
sys.path[:0] = [{kernels!r}, {root!r}]
import infer, quorum.model.managed
from tests.support.run_settings import run_settings
from quorum.model.simulated import ScriptedModel
from quorum.question import Reply
calls = []
def reply(prompt):
    calls.append(prompt)
    if len(calls) == {killed_at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return Reply(text="B" if prompt.labels[0] == "A" else "FALSE")
quorum.model.managed.open_backend = lambda table, solved: ScriptedModel(reply)
infer.main(run_settings(run="r", questions=["test.jsonl"], out="out", backend={{"name": "fake"}}, sample="sample.csv",
                        batch=4, {looks}))
"""


@pytest.mark.parametrize(
    ("looks", "killed_at"),
    [('shuffle={"orders": "cyclic"}', 13 + 17), ('verify={"method": "eliminate"}', 13 + 6)],
)
def test_a_kill_amid_the_second_looks_leaves_every_answer_that_was_there(
    tmp_path: Path, looks: str, killed_at: int
) -> None:
    asked = made(13)
    write(tmp_path / "test.jsonl", asked, answers=False)
    (tmp_path / "sample.csv").write_text("id,answer\n" + "".join(f"{question.id},A\n" for question in asked))
    script = MORTAL.format(kernels=str(KERNELS), root=str(KERNELS.parent), killed_at=killed_at, looks=looks)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    ballots = ballots_from_answers(read_answers(tmp_path / "out" / "test.parquet"))
    assert list(ballots) == [question.id for question in asked]
    assert all(ballots[question.id] == {"B": 1.0} for question in asked[4:]), "the second batch of looks was cut"
    assert (tmp_path / "out" / "submission.csv").read_text().splitlines()[5:] == [f"{q.id},B" for q in asked[4:]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"batch": 0}, r"limits\.batch is 0; allowed is at least 1"), ({"questions": ()}, "questions is empty")],
)
def test_a_run_over_nothing_is_refused(wrong: dict[str, Any], message: str) -> None:
    given = {"run": "r", "questions": ["test.csv"], "out": "out", "backend": {"name": "fake"}}
    with pytest.raises(BadInput, match=message):
        run_settings(**{**given, **wrong})


def test_prompts_that_lost_their_middle_are_told(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    answerer = ScriptedModel(lambda prompt: Reply(text="A"))
    answerer.shortened = 2  # type: ignore[attr-defined]
    bench.ask(made(3), {"answerer": answerer})
    told = capsys.readouterr().err
    assert "r: 2 prompts were too long for the model and lost their middle" in told
    assert f"r: 3 questions, answers in {bench.folder / 'out'}" in told
