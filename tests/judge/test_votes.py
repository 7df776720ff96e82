"""Votes of one model: how many it takes, which the first answer is, and of whom they can't be had."""

import random
from collections import Counter
from math import exp, log, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta  # type: ignore[import-untyped]

from quorum.ballot import find_heaviest
from quorum.config import from_table
from quorum.errors import BadInput
from quorum.judge.settings import VoteSettings, check_votes
from quorum.judge.votes import VoteResult, vote_adaptively
from quorum.model.simulated import ScriptedModel
from quorum.question import Prompt, Reply, letters
from tests.support.bench import account, made
from tests.support.replies import logprobs_of
from tests.support.run_settings import run_settings


class Counted:
    """A fake that counts what it is asked, batch by batch."""

    def __init__(self, reply):
        self.inner, self.batches = ScriptedModel(reply), []

    def answer(self, prompts):
        self.batches.append(prompts)
        return self.inner.answer(prompts)


def scripted(*texts):
    """The first vote is the first text, and so on."""
    return Counted(lambda prompt: Reply(text=texts[prompt.repeat]))


def ask(id="q", count=4):
    return Prompt(question_id=id, content=f"{id}?", labels=letters(count))


def sampler(certainty):
    """A model that says the answer, C, as often as `certainty(the question's chance)` tells, else another letter."""

    def reply(prompt):
        right = certainty(random.Random(prompt.question_id))
        chance = random.Random(f"{prompt.question_id}/{prompt.repeat}")
        return Reply(text="C" if chance.random() < right else chance.choice("ABD"))

    return Counted(reply)


def rights_and_votes(certainty, settings, questions):
    found = vote_adaptively(sampler(certainty), [ask(f"q{number}") for number in range(questions)], settings)
    return [find_heaviest(one.ballot) == "C" for one in found], sum(len(one.votes) for one in found) / questions


def test_a_sure_question_of_unknown_probability_is_asked_four_times_in_two_rounds_of_a_vote_of_ten():
    model = scripted(*"AAAAAAAAAA")
    assert vote_adaptively(model, [ask()], VoteSettings()) == [VoteResult({"A": 1.0}, tuple("AAAA"), 2)]
    assert [[prompt.repeat for prompt in batch] for batch in model.batches] == [[0], [1, 2, 3]]


def test_where_no_vote_may_stand_alone_the_four_are_one_round():
    model = scripted(*"AAAAAAAAAA")
    assert vote_adaptively(model, [ask()], VoteSettings(alone=1.0)) == [VoteResult({"A": 1.0}, tuple("AAAA"), 1)]


def test_an_answer_that_is_there_is_the_first_vote_and_not_asked_for_again():
    model = scripted(*"xBBBBBBBBB")
    found = vote_adaptively(model, [ask("known"), ask("new")], VoteSettings(), first=[{"B": 1.0}, None])
    assert [one.votes for one in found] == [tuple("BBBB"), (None, *"BBBB")]
    assert sorted(p.repeat for batch in model.batches for p in batch if p.question_id == "known") == [1, 2, 3]
    assert sorted(p.repeat for batch in model.batches for p in batch if p.question_id == "new") == [0, 1, 2, 3, 4]


def test_a_sure_answer_that_is_there_costs_no_vote_and_keeps_its_probabilities():
    sure = {"A": 0.97, "B": 0.02, "C": 0.01}
    model = scripted()
    (found,) = vote_adaptively(model, [ask()], VoteSettings(), first=[sure])
    assert found == VoteResult(found.ballot, ("A",), 0)
    assert found.ballot == pytest.approx(sure)
    assert model.batches == []


def test_an_unread_answer_that_is_there_is_a_vote_spent():
    model = scripted(*"xAAAA")
    assert vote_adaptively(model, [ask()], VoteSettings(), first=[{}])[0].votes == (None, *"AAAA")


def test_where_no_other_vote_can_be_read_the_only_one_keeps_its_probabilities():
    doubtful = {"A": 0.6, "B": 0.4}
    found = vote_adaptively(
        ScriptedModel(lambda prompt: Reply(text="")), [ask(count=2)], VoteSettings(), first=[doubtful]
    )[0]
    assert found.ballot == pytest.approx(doubtful)


def test_a_doubtful_question_is_asked_until_the_rest_can_not_change_it():
    found = vote_adaptively(scripted(*"ABABABABAA"), [ask()], VoteSettings())[0]
    assert found.votes == tuple("ABABABABAA")
    assert found.ballot == {"A": 0.6, "B": 0.4}
    assert found.rounds > 1


def test_a_round_asks_only_the_questions_still_open_in_one_batch():
    model = Counted(lambda prompt: Reply(text="A" if prompt.question_id == "sure" else "AB"[prompt.repeat % 2]))
    sure, doubtful = vote_adaptively(model, [ask("sure"), ask("doubtful")], VoteSettings(alone=1.0))
    assert len(sure.votes) == 4
    assert len(doubtful.votes) == 10
    assert {prompt.question_id for prompt in model.batches[0]} == {"sure", "doubtful"}
    assert all(prompt.question_id == "doubtful" for batch in model.batches[1:] for prompt in batch)
    assert len(model.batches) == doubtful.rounds
    assert sum(map(len, model.batches)) == 14


def test_no_prompts_are_no_votes():
    assert vote_adaptively(scripted(), [], VoteSettings()) == []


def test_one_vote_is_the_reply_itself():
    assert vote_adaptively(scripted("B"), [ask()], VoteSettings(most=1))[0].ballot == {"B": 1.0}


def test_an_unread_reply_costs_a_vote_and_counts_for_nothing():
    found = vote_adaptively(
        scripted("", "B", "Hard to say.", "B", "I can not tell.", *"BBBBB"), [ask()], VoteSettings()
    )[0]
    assert found.votes == (None, "B", None, "B", None, "B", "B")
    assert found.ballot == {"B": 1.0}


def test_a_reply_that_claims_two_labels_shares_its_vote():
    found = vote_adaptively(scripted("A or B", "B", "B"), [ask()], VoteSettings(most=3))[0]
    assert found.votes[0] is None
    assert found.ballot == pytest.approx({"A": 0.5 / 3, "B": 2.5 / 3})
    first = vote_adaptively(scripted("", "B", "B"), [ask()], VoteSettings(most=3), first=[{"A": 0.5, "B": 0.5}])[0]
    assert first.ballot == pytest.approx({"A": 0.5 / 3, "B": 2.5 / 3})


def test_a_reply_that_was_cut_off_is_half_a_vote():
    cut = Reply(text="The answer is A because", finish="length")
    replies = [cut, Reply(text="The answer is B.")]
    model = ScriptedModel(lambda prompt: replies[prompt.repeat])
    found = vote_adaptively(model, [ask()], VoteSettings(most=2))[0]
    assert found.votes == ("A", "B")
    assert found.ballot == pytest.approx({"A": 1 / 3, "B": 2 / 3})


def test_a_question_that_nobody_reads_stays_unread():
    found = vote_adaptively(ScriptedModel(lambda prompt: Reply(text="")), [ask()], VoteSettings())[0]
    assert found.ballot == {}
    assert found.votes == (None,) * 10


def test_a_last_vote_that_could_make_it_a_tie_is_asked():
    found = vote_adaptively(scripted(*"BABABABABA"), [ask()], VoteSettings())[0]
    assert found.votes == tuple("BABABABABA")
    assert find_heaviest(found.ballot) == "A"


def test_a_tie_goes_to_the_first_letter():
    assert find_heaviest(vote_adaptively(scripted(*"BA"), [ask()], VoteSettings(most=2))[0].ballot) == "A"


@pytest.mark.parametrize("count", [2, 26])
def test_any_number_of_choices_is_voted_on(count):
    last = letters(count)[-1]
    assert vote_adaptively(ScriptedModel(lambda prompt: Reply(text=last)), [ask(count=count)], VoteSettings())[
        0
    ].ballot == {last: 1.0}


def test_numbers_of_an_open_question_are_voted_on():
    open_question = Prompt(question_id="sum", content="2 + 2?", labels=())
    found = vote_adaptively(scripted("#### 4", "#### 5", *["#### 4"] * 8), [open_question], VoteSettings())[0]
    assert found.ballot == pytest.approx({"4": 6 / 7, "5": 1 / 7})


def believing(shares):
    return Counted(
        lambda prompt: Reply(
            text="", label_logprobs={label: log(share) for label, share in shares[prompt.repeat].items()}
        )
    )


def test_a_first_vote_that_is_sure_enough_stays_alone():
    sure, doubtful = {"A": 0.99, "B": 0.01}, {"A": 0.6, "B": 0.4}
    assert len(vote_adaptively(believing([sure] * 10), [ask(count=2)], VoteSettings())[0].votes) == 1
    assert len(vote_adaptively(believing([doubtful] * 10), [ask(count=2)], VoteSettings())[0].votes) == 4
    assert len(vote_adaptively(believing([doubtful, *[sure] * 9]), [ask(count=2)], VoteSettings())[0].votes) == 4


def test_at_1_no_first_vote_is_alone_however_sure():
    beyond = Counted(
        lambda prompt: Reply(text="A", label_logprobs={"A": 1e-12, "B": -60.0})
    )  # a server's sum of 1, and a rounding error
    assert len(vote_adaptively(beyond, [ask(count=2)], VoteSettings(alone=1.0))[0].votes) == 4


def test_a_text_whose_probability_is_not_known_is_never_alone():
    assert len(vote_adaptively(scripted(*"AAAAAAAAAA"), [ask()], VoteSettings(alone=0.0))[0].votes) == 4


def test_confidence_outvotes_a_doubtful_majority():
    doubtful, sure = {"A": 0.55, "B": 0.45}, {"A": 0.01, "B": 0.99}
    votes = [doubtful, doubtful, doubtful, sure, sure]
    plain = vote_adaptively(believing(votes), [ask(count=2)], VoteSettings(most=5))[0]
    weighted = vote_adaptively(believing(votes), [ask(count=2)], VoteSettings(most=5, sure=1.0, temperature=0.2))[0]
    assert find_heaviest(plain.ballot) == "A"
    assert find_heaviest(weighted.ballot) == "B"


def test_confidence_may_come_from_elsewhere():
    def confidence(prompts, replies):
        return [0.9 if reply.text == "B" else 0.1 for reply in replies]

    found = vote_adaptively(scripted(*"AAABB"), [ask()], VoteSettings(most=5, sure=1.0, temperature=0.2), confidence)[0]
    assert find_heaviest(found.ballot) == "B"


@pytest.mark.parametrize("wrong", [{"most": 0}, {"sure": 0.5}, {"alone": 1.1}, {"temperature": 0.001}])
def test_a_setting_out_of_range_is_refused(wrong):
    with pytest.raises(BadInput, match=rf"refine\.votes\.{next(iter(wrong))} is .*; allowed"):
        from_table(VoteSettings, wrong, "votes")


texts = st.lists(st.sampled_from(["A", "B", "C", ""]), min_size=12, max_size=12)


@settings(deadline=None, max_examples=60)
@given(texts, st.integers(1, 12), st.sampled_from([0.6, 0.8, 0.95, 0.99]))
def test_rounds_ask_not_one_vote_more_than_one_at_a_time(script, most, sure):
    found = vote_adaptively(scripted(*script), [ask()], VoteSettings(most=most, sure=sure))[0]
    counts: Counter[str] = Counter()
    for asked in range(1, most + 1):
        counts.update([script[asked - 1]] if script[asked - 1] else [])
        (_, first), (_, second) = [*counts.most_common(2), ("", 0), ("", 0)][:2]
        if first - second > most - asked or (first and beta.sf(0.5, first + 1, second + 1) >= sure):
            break
    assert len(found.votes) == asked


@settings(deadline=None, max_examples=60)
@given(texts, st.integers(1, 12))
def test_asking_until_nothing_can_change_finds_the_majority_of_all_votes(script, most):
    found = vote_adaptively(scripted(*script), [ask()], VoteSettings(most=most, sure=1.0))[0]
    counts = Counter(filter(None, script[:most]))
    assert (find_heaviest(found.ballot) if found.ballot else None) == (find_heaviest(dict(counts)) if counts else None)


MODELS = {
    "0.98 on every question": lambda chance: 0.98,
    "0.9": lambda chance: 0.9,
    "0.7": lambda chance: 0.7,
    "0.5": lambda chance: 0.5,
    "0.95, 0.95, 0.6 or 0.3": lambda chance: chance.choice([0.95, 0.95, 0.6, 0.3]),
    "any from 0.1 to 1": lambda chance: chance.uniform(0.1, 1),
}


@pytest.mark.parametrize(("model", "most_votes"), [("0.98 on every question", 4.5), ("0.95, 0.95, 0.6 or 0.3", 12)])
def test_an_adaptive_vote_is_as_right_as_the_full_one_at_a_fraction_of_the_votes(model, most_votes):
    adaptive, votes = rights_and_votes(MODELS[model], VoteSettings(most=20), 400)
    full, _ = rights_and_votes(MODELS[model], VoteSettings(most=20, sure=1.0), 400)
    assert sum(adaptive) == pytest.approx(sum(full), abs=2 * sqrt(0.25 * 400))
    assert votes < most_votes


KINDS = {
    "sure, and says how sure": (
        Reply(text="A", label_logprobs={"A": log(0.97), "B": log(0.02), "C": log(0.009), "D": log(0.001)}),
        1.0,
    ),
    "doubtful, and says so": (
        Reply(text="A", label_logprobs={"A": log(0.82), "B": log(0.13), "C": log(0.04), "D": log(0.01)}),
        4.0,
    ),
    "sure, in words": (Reply(text="The answer is A."), 4.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_kernel_a_sure_question_costs_one_sample_and_the_first_answer_is_a_vote(bench, kind):
    reply, calls = KINDS[kind]
    ballots = bench.ask(made(20), {"answerer": ScriptedModel(lambda prompt: reply)}, votes={"most": 10})
    assert account(bench).calls_per_question == calls
    if calls == 1:
        assert ballots["q0"] == pytest.approx({label: exp(height) for label, height in logprobs_of(reply).items()})


def test_every_sample_of_a_kernels_vote_is_another_draw_with_a_journal_and_without(bench):
    for journal in (None, bench.folder / "journal.sqlite"):
        drawn: list[int] = []

        def reply(prompt, drawn=drawn):
            drawn.append(prompt.repeat)
            return Reply(text="ABCDABCDAB"[prompt.repeat])

        bench.ask(made(1), {"answerer": ScriptedModel(reply)}, votes={"most": 10}, journal=journal)
        assert drawn == list(range(10))


def test_other_orders_are_voted_on_from_their_first_answer_and_the_given_one_goes_on(bench):
    asked: Counter[tuple[str, ...]] = Counter()

    def reply(prompt):
        asked[prompt.options] += 1
        return Reply(text=letters(len(prompt.options))[prompt.options.index(min(prompt.options))])

    (question,) = made(1)
    ballots = bench.ask(
        [question], {"answerer": ScriptedModel(reply)}, votes={"most": 10}, shuffle={"orders": "cyclic"}
    )
    assert find_heaviest(ballots["q0"]) == letters(4)[question.choices.index(min(question.choices))]
    assert set(asked.values()) == {4}
    assert len(asked) == 4


def test_a_deadline_amid_the_votes_leaves_a_first_answer_and_its_probabilities(bench):
    now = [0.0]

    def slow(prompt):
        now[0] += 1.0
        return Reply(text="A", label_logprobs={"A": log(0.6), "B": log(0.4)})

    bench.patch.setattr("infer.time.monotonic", lambda: now[0])
    ballots = bench.ask(made(10), {"answerer": ScriptedModel(slow)}, votes={"most": 10}, deadline=10 / 60)
    assert ballots == {f"q{n}": pytest.approx({"A": 0.6, "B": 0.4}) for n in range(10)}


SAMPLING = {"method": "generate", "temperature": 0.7}


@pytest.mark.parametrize(
    ("backend", "found"),
    [
        ({"name": "encoder"}, "the encoder backend writes no text"),
        ({"name": "neighbour"}, "the neighbour backend writes no text"),
        ({"name": "transformers"}, "method is 'letter'"),
        ({"name": "vllm", "temperature": 0.7}, "method is 'letter'"),
        ({"name": "seq2seq", "method": "option", "temperature": 0.7}, "method is 'option'"),
        ({"name": "endpoint", "temperature": ""}, "method is 'letter'"),
        ({"name": "endpoint", "method": "generate"}, "temperature is 0"),
        ({"name": "transformers", "method": "generate", "temperature": 0}, "temperature is 0"),
        ({"name": "ray", "inner": {"name": "vllm", "method": "generate"}}, "temperature is 0"),
        ({"name": "ray", "inner": {"name": "encoder"}}, "the encoder backend writes no text"),
    ],
    ids=str,
)
def test_votes_of_what_says_the_same_each_time_are_refused(backend, found):
    with pytest.raises(BadInput, match=f"^refine.votes: .*{found}.*; .*allowed"):
        check_votes(backend)


@pytest.mark.parametrize(
    "backend",
    [
        {"name": "transformers", **SAMPLING},
        {"name": "endpoint", "method": "generate", "temperature": ""},  # the server's own
        {"name": "ray", "inner": {"name": "vllm", **SAMPLING}},
        {"name": "fake"},
    ],
    ids=str,
)
def test_votes_of_what_samples_are_taken(backend):
    check_votes(backend)


def test_the_kernel_refuses_before_anything_is_read_or_asked(bench):
    import infer

    with pytest.raises(BadInput, match=r"votes: .*method = .generate. and a temperature above 0"):
        infer.main(
            run_settings(
                run="r",
                questions=["no such file"],
                out=bench.folder / "out",
                backend={"name": "vllm", "model": "m"},
                votes={"most": 5},
            )
        )
    assert list(bench.folder.iterdir()) == []


def print_table(questions=4000):
    """docs/calibration.md's table; the column before the last is a vote that is as dear, but the same for all."""
    for name, certainty in MODELS.items():
        for most in (10, 40):
            adaptive, votes = rights_and_votes(certainty, VoteSettings(most=most), questions)
            full, _ = rights_and_votes(certainty, VoteSettings(most=most, sure=1.0), questions)
            fixed, _ = rights_and_votes(certainty, VoteSettings(most=round(votes), sure=1.0), questions)
            gains = [one - other for one, other in zip(adaptive, full, strict=True)]
            error = sqrt(sum(gain**2 for gain in gains)) / questions
            print(
                f"| {name} | {most} | {sum(full) / questions:.4f} | {sum(adaptive) / questions:.4f} | "
                f"{sum(gains) / questions:+.4f} ± {error:.4f} | {votes:.1f} | {sum(fixed) / questions:.4f} |"
            )


if __name__ == "__main__":
    print_table()
