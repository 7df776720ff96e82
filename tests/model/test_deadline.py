from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.model.around.deadline import DeadlineBackend
from quorum.question import Prompt, Reply


def prompts(count):
    return [Prompt(question_id=f"q{i}", content=f"text {i}", labels=("A", "B")) for i in range(count)]


class Slow:
    """A fake model with a clock of its own: each prompt takes its seconds, each call `call` seconds besides."""

    def __init__(self, seconds, call=0.0):
        self.seconds, self.call = seconds, call
        self.now, self.batches = 0.0, []

    def answer(self, asked):
        before = self.now
        self.now += self.call + sum(self.seconds(int(prompt.question_id[1:])) for prompt in asked)
        self.batches.append((len(asked), before, self.now))
        return [Reply(text=f"to {prompt.question_id}") for prompt in asked]

    def clock(self):
        return self.now


def test_at_a_constant_rate_all_that_fits_is_asked_and_nothing_is_late():
    slow = Slow(lambda _: 0.5)
    deadline = DeadlineBackend(slow, 30.0, slow.clock, most=16)
    replies = deadline.answer(prompts(100))
    assert [reply.text for reply in replies] == [f"to q{i}" for i in range(60)] + [""] * 40
    assert deadline.unasked == 40
    assert slow.now == 30.0


def test_with_time_enough_all_are_asked_in_chunks_that_double_up_to_the_largest():
    slow = Slow(lambda _: 0.1)
    assert len(DeadlineBackend(slow, 1e9, slow.clock, most=32).answer(prompts(100))) == 100
    assert [size for size, _, _ in slow.batches] == [1, 2, 4, 8, 16, 32, 32, 5]


def test_a_second_batch_starts_at_full_size():
    slow = Slow(lambda _: 0.1)
    deadline = DeadlineBackend(slow, 1e9, slow.clock, most=32)
    deadline.answer(prompts(100))
    slow.batches.clear()
    deadline.answer(prompts(64))
    assert [size for size, _, _ in slow.batches] == [32, 32]


def test_time_spent_before_the_first_question_counts():
    slow = Slow(lambda _: 1.0)
    slow.now = 31.0  # the model took long to load
    deadline = DeadlineBackend(slow, 30.0, slow.clock)
    assert deadline.answer(prompts(3)) == [Reply(text="")] * 3
    assert (slow.batches, deadline.unasked) == ([], 3)


def test_a_model_with_a_slow_first_prompt_is_judged_by_its_later_pace():
    slow = Slow(lambda i: 50.0 if i == 0 else 0.1)
    deadline = DeadlineBackend(slow, 110.0, slow.clock)
    deadline.answer(prompts(500))
    assert deadline.unasked == 0


def test_no_prompts_give_no_replies_and_a_model_that_takes_no_time_needs_none():
    slow = Slow(lambda _: 0.0)
    deadline = DeadlineBackend(slow, 1.0, slow.clock)
    assert deadline.answer([]) == []
    assert len(deadline.answer(prompts(1000))) == 1000
    assert deadline.unasked == 0


@settings(deadline=None, max_examples=200)
@given(
    seconds=st.lists(st.floats(0, 20), min_size=1, max_size=80),
    call=st.floats(0, 5),
    budget=st.floats(-5, 200),
    most=st.integers(1, 40),
    cuts=st.lists(st.integers(1, 40), max_size=4),
)
def test_any_rate_keeps_length_and_order_and_is_late_by_less_than_one_batch(seconds, call, budget, most, cuts):
    slow = Slow(lambda i: seconds[i], call)
    deadline = DeadlineBackend(slow, budget, slow.clock, most)
    asked = prompts(len(seconds))
    bounds = [0, *(place for place in accumulate(cuts) if place < len(asked)), len(asked)]
    replies = [reply for a, b in zip(bounds, bounds[1:], strict=False) for reply in deadline.answer(asked[a:b])]
    assert len(replies) == len(asked)
    assert all(reply.text in ("", f"to {prompt.question_id}") for prompt, reply in zip(asked, replies, strict=True))
    assert sum(reply == Reply(text="") for reply in replies) == deadline.unasked
    assert sum(size for size, _, _ in slow.batches) == len(asked) - deadline.unasked
    assert all(size <= most and before < budget for size, before, _ in slow.batches)
    # so the end is late by no more than the last batch took
    assert slow.now <= max(budget, 0) or slow.now - budget <= slow.batches[-1][2] - slow.batches[-1][1]


@settings(deadline=None, max_examples=200)
@given(pace=st.integers(1, 64), budget=st.integers(1, 2000), count=st.integers(1, 150), most=st.integers(1, 64))
def test_at_any_constant_rate_all_that_fits_is_asked_and_only_the_first_prompt_can_be_late(pace, budget, count, most):
    slow = Slow(lambda _: pace / 64)  # powers of two: exact in floating point
    deadline = DeadlineBackend(slow, budget / 64, slow.clock, most)
    deadline.answer(prompts(count))
    assert count - deadline.unasked == min(count, max(1, budget // pace))
