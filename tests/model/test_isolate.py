"""Prompts that a model fails on: what they cost, what is told, and when it is the model that is broken."""

import time

import pytest

from quorum.errors import BadInput
from quorum.model.around.isolate import IsolatingBackend
from quorum.model.managed import ManagedBackend
from quorum.model.simulated import ScriptedModel
from quorum.model.transformers import Transformers, TransformersSettings
from quorum.question import Prompt, Reply
from tests.support.tiny import tiny_model

CUDA = "CUDA out of memory.\nTried to allocate 2 GiB"
TOLD = "RuntimeError: CUDA out of memory. Tried to allocate 2 GiB"


def prompts(count):
    return [Prompt(question_id=f"q{n}", content=f"text {n}", labels=("A", "B")) for n in range(count)]


class Trips:
    """A fake model that raises where a batch holds one of `over`, or more than `most`; keeps the batches' sizes."""

    def __init__(self, *over, most=1000, error=RuntimeError):
        self.over, self.most, self.error = set(over), most, error
        self.batches = []

    def answer(self, prompts):
        self.batches.append(len(prompts))
        if len(prompts) > self.most or self.over & {prompt.question_id for prompt in prompts}:
            raise self.error(CUDA)
        return [Reply(text=f"to {prompt.content}") for prompt in prompts]


def sifted(model, *batches):
    """The replies' texts to each batch, and what was told."""
    told: list[str] = []
    sieve = IsolatingBackend(model, told.append)
    return [[reply.text for reply in sieve.answer(batch)] for batch in batches], told, sieve


def test_a_prompt_that_fails_stays_unread_alone_and_is_reported_with_the_error_in_one_line():
    ((texts,), told, sieve) = sifted(Trips("q5", "q11"), prompts(20))
    assert texts == ["" if n in (5, 11) else f"to text {n}" for n in range(20)]
    assert sieve.failed == 2
    assert told == ["2 of 20 prompts failed and stay unread (q5, q11): " + TOLD]


def test_a_batch_that_is_too_big_for_the_model_is_answered_in_parts_and_reported():
    model = Trips(most=6)
    ((texts,), told, sieve) = sifted(model, prompts(20))
    assert texts == [f"to text {n}" for n in range(20)]
    assert (model.batches, sieve.failed) == ([20, 10, 5, 5, 10, 5, 5], 0)
    assert told == [
        "a batch of 20 prompts failed and was answered in parts: " + " ".join(f"RuntimeError: {CUDA}".split())
    ]


def test_without_failures_nothing_is_reported_and_no_prompts_give_no_replies():
    (texts, told, _) = sifted(Trips(), prompts(3), [])
    assert (texts, told) == ([["to text 0", "to text 1", "to text 2"], []], [])


def test_a_model_that_has_answered_once_may_fail_on_all_later_prompts():
    (texts, told, sieve) = sifted(Trips(*(f"q{n}" for n in range(1, 60))), prompts(1), prompts(60)[1:])
    assert texts == [["to text 0"], [""] * 59]
    assert (sieve.failed, len(told)) == (59, 1)


@pytest.mark.parametrize(("count", "asked"), [(2, 2), (5, 5), (1000, 16)])
def test_a_model_that_answers_nothing_is_broken_and_ends_with_its_own_error(count, asked):
    model = Trips(*(f"q{n}" for n in range(count)))
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        sifted(model, prompts(count))
    assert model.batches.count(1) == asked + 1  # the last of them twice


def test_prompts_that_come_one_by_one_have_the_same_limit():
    model = Trips(*(f"q{n}" for n in range(16)))
    (texts, told, sieve) = sifted(model, *([prompt] for prompt in prompts(15)))
    assert (texts, sieve.failed, len(told)) == ([[""]] * 15, 15, 15)
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        sieve.answer(prompts(16)[15:])


@pytest.mark.parametrize("error", [BadInput, MemoryError, KeyboardInterrupt])
def test_an_error_of_the_whole_run_ends_it_at_once(error):
    model = Trips("q5", error=error)
    with pytest.raises(error):
        sifted(model, prompts(20))
    assert model.batches == [20]


def guarded(model, folder, **limits):
    limits = {"clock": time.monotonic, "journal": folder / "journal.sqlite", "report": lambda line: None, **limits}
    return ManagedBackend(model, {"name": "fake"}, **limits)


def test_a_failed_prompt_is_not_stored_and_a_later_run_asks_it_again(tmp_path):
    assert guarded(Trips("q5"), tmp_path).answer(prompts(20))[5] == Reply(text="")
    model = Trips()
    assert guarded(model, tmp_path).answer(prompts(20))[5] == Reply(text="to text 5")
    assert model.batches == [1]


def test_the_deadline_holds_while_a_batch_is_asked_again_in_parts(tmp_path):
    now = [0.0]

    def slow(prompt):
        now[0] += 1.0
        if prompt.question_id == "q30":
            raise RuntimeError(CUDA)
        return Reply(text="A")

    model = guarded(ScriptedModel(slow), tmp_path, clock=lambda: now[0], until=50.0, most=64)
    replies = model.answer(prompts(64))
    assert now[0] <= 50
    assert model.unasked + model.failed == replies.count(Reply(text="")) < 64


def test_a_sampled_vote_that_has_to_be_asked_again_is_the_same_vote():
    broken = [True]

    def breaks_once(done, total):
        if broken.pop() if broken else False:
            raise RuntimeError(CUDA)

    def sampler(progress=None):
        settings = TransformersSettings(
            model=str(tiny_model("llama")), method="generate", temperature=1.0, max_new_tokens=6
        )
        return Transformers(settings, progress)

    asked = [Prompt(question_id="q", content="import os\nAnswer:", labels=("A", "B"), repeat=vote) for vote in range(4)]
    ((texts,), told, _) = sifted(sampler(progress=breaks_once), asked)
    assert len(told) == 1
    assert texts == [reply.text for reply in sampler().answer(asked)]
