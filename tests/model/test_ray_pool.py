"""The ray backend, on a cluster of this machine: two workers, each a process of its own."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from quorum.errors import BadInput
from quorum.model.backend import Backend, open_backend
from quorum.model.ray_pool import RayPool, RaySettings, _RayWorker
from quorum.model.simulated import ScriptedModel
from quorum.question import Prompt, Reply
from tests.support.tiny import tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PROMPTS = [Prompt(question_id=f"q{n}", content=f"Question {n}?", labels=("A", "B", "C")) for n in range(100)]
FAKE = {"name": "fake", "accuracy": 0.7}


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()


@pytest.fixture
def pool() -> Iterator[Callable[..., RayPool]]:
    """Makes pools of two workers and lets them go."""
    made: list[RayPool] = []

    def make(opened: Callable[[Mapping[str, Any]], Backend] = open_backend, **settings: Any) -> RayPool:
        settings = {"inner": FAKE, "share": 7, **settings}
        made.append(RayPool(RaySettings(**settings), opener=opened))
        return made[-1]

    yield make
    for each in made:
        each.close()


def dying(marks: Path, question: str, deaths: int) -> Callable[[Mapping[str, Any]], Backend]:
    """Opens a backend that kills its own process, as often as `deaths` in all, when it is asked `question`."""

    def opened(table: Mapping[str, Any]) -> Backend:
        def reply(prompt: Prompt) -> Reply:
            with (marks / "asked").open("a") as file:
                file.write(f"{prompt.question_id}\n")
            died = len(list(marks.glob("death-*")))
            if prompt.question_id == question and died < deaths:
                (marks / f"death-{died}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return Reply(text=f"to {prompt.content}")

        return ScriptedModel(reply)

    return opened


def counting(table: Mapping[str, Any]) -> Backend:
    """Open a backend that counts every prompt as shortened."""

    class Counting:
        shortened = 0

        def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
            self.shortened += len(prompts)
            return [Reply(text="A")] * len(prompts)

    return Counting()


def test_a_pool_counts_the_prompts_that_its_workers_shortened(pool: Callable[..., RayPool]) -> None:
    backend = pool(counting)
    for total in (100, 200):
        backend.answer(PROMPTS)
        assert (backend.shortened, backend.unscored) == (total, 0)


def test_a_pool_gives_the_replies_of_its_backend_in_the_same_order() -> None:
    pool = open_backend({"name": "ray", "workers": 2, "share": 7, "inner": FAKE})
    assert isinstance(pool, RayPool)
    for count in (100, 1, 0, 13):
        assert pool.answer(PROMPTS[:count]) == open_backend(FAKE).answer(PROMPTS[:count])
    pool.close()


def test_both_workers_have_a_share(pool: Callable[..., RayPool], tmp_path: Path) -> None:
    def opened(table: Mapping[str, Any]) -> Backend:
        def reply(prompt: Prompt) -> Reply:
            (tmp_path / str(os.getpid())).touch()
            while len(list(tmp_path.iterdir())) < 2:  # the other is at work too, or this test never ends
                time.sleep(0.01)
            return Reply(text=str(os.getpid()))

        return ScriptedModel(reply)

    assert len({reply.text for reply in pool(opened, share=50).answer(PROMPTS)}) == 2


def test_a_killed_workers_share_is_asked_again_and_nothing_is_lost(
    pool: Callable[..., RayPool], tmp_path: Path
) -> None:
    broken = pool(dying(tmp_path, "q40", deaths=1))
    assert [reply.text for reply in broken.answer(PROMPTS)] == [f"to {prompt.content}" for prompt in PROMPTS]
    assert broken.lost == 1
    asked = (tmp_path / "asked").read_text().split()
    again = {question for question in asked if asked.count(question) > 1}
    assert again == {f"q{n}" for n in range(35, 41)}  # its own share, no other
    assert broken.answer(PROMPTS[:20]) == [Reply(text=f"to {prompt.content}") for prompt in PROMPTS[:20]]


def test_a_share_that_kills_every_worker_ends_in_one_line(pool: Callable[..., RayPool], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="3 workers died on the prompts from 35 on"):
        pool(dying(tmp_path, "q40", deaths=99)).answer(PROMPTS)


def test_workers_that_are_killed_from_outside_are_replaced(pool: Callable[..., RayPool]) -> None:
    process = pool(lambda table: ScriptedModel(lambda prompt: Reply(text=str(os.getpid()))), share=50)
    before = {reply.text for reply in process.answer(PROMPTS)}
    for pid in before:
        os.kill(int(pid), signal.SIGKILL)
    after = process.answer(PROMPTS)
    assert len(after) == 100
    assert not before & {reply.text for reply in after}


def test_a_backend_s_own_error_is_raised_as_without_ray(pool: Callable[..., RayPool]) -> None:
    with pytest.raises(BadInput, match="unknown setting 'akuracy'"):
        pool(inner={"name": "fake", "akuracy": 1})

    def opened(table: Mapping[str, Any]) -> Backend:
        def reply(prompt: Prompt) -> Reply:
            if prompt.question_id == "q8":
                raise BadInput("question q8: no labels")
            return Reply(text=prompt.question_id)

        return ScriptedModel(reply)

    picky = pool(opened)
    with pytest.raises(BadInput, match="question q8: no labels"):
        picky.answer(PROMPTS)
    assert picky.answer(PROMPTS[20:40]) == [Reply(text=f"q{n}") for n in range(20, 40)]


def test_a_cluster_without_resources_is_refused(pool: Callable[..., RayPool]) -> None:
    with pytest.raises(BadInput, match="no worker started within 1 s"):
        pool(gpus=1.0, patience=1.0)


def test_one_worker_is_enough_if_there_is_room_for_no_more(pool: Callable[..., RayPool]) -> None:
    assert pool(cpus=2.0).answer(PROMPTS) == open_backend(FAKE).answer(PROMPTS)


def test_workers_with_a_language_model_give_the_letters_of_a_single_one(pool: Callable[..., RayPool]) -> None:
    table = {"name": "transformers", "model": str(tiny_model("llama")), "dtype": "float32", "device": "cpu"}
    together, alone = pool(inner=table).answer(PROMPTS), open_backend(table).answer(PROMPTS)
    assert [reply.text for reply in together] == [reply.text for reply in alone]
    assert len({reply.text for reply in alone}) > 1
    for one, other in zip(together, alone, strict=True):
        assert one.label_logprobs == pytest.approx(other.label_logprobs, abs=1e-4)  # another batch, other roundings


def test_a_worker_returns_what_its_backend_has_newly_failed_to_answer():
    class Failing:
        def __init__(self):
            self.failures = ["question q0: earlier"]

        def answer(self, prompts):
            self.failures += [f"question {prompt.question_id}: no" for prompt in prompts]
            return [Reply(text="") for _ in prompts]

    worker = _RayWorker([None])
    worker.backend = Failing()
    asked = [Prompt(question_id="q1", content="x", labels=("A", "B"))]
    assert worker.answer(asked) == ([Reply(text="")], 0, 0, ["question q1: no"])
    assert worker.answer([]) == ([], 0, 0, [])
