import logging
import math
import time
import traceback
from email.utils import formatdate

import pytest

from quorum.ask.reply import ballot_from_reply
from quorum.errors import BadInput
from quorum.model.around.deadline import DeadlineBackend
from quorum.model.around.journal import JournalBackend
from quorum.model.backend import open_backend
from quorum.model.endpoint import Endpoint, EndpointSettings
from quorum.question import Message, Prompt, Reply
from tests.support.flaky_server import SERVER_WORDS, SILENCE, FlakyServer, completion

KEY = "k3y-that-nobody-may-see-0123456789"
ABC = ("A", "B", "C")


def prompts(count):
    return [Prompt(question_id=f"q{i}", content=f"text {i}", labels=ABC) for i in range(count)]


def endpoint(server, waits=None, **settings):
    waits = [] if waits is None else waits
    return Endpoint(
        EndpointSettings(model="m", base_url=server.url, **{"timeout": 30.0, **settings}), sleep=waits.append
    )


def echo(content, attempt):
    return completion(f"to {content}")


def failing_first(fate, times=1):
    return lambda content, attempt: fate if attempt < times else completion(f"to {content}")


def test_replies_keep_the_order_of_the_prompts_in_any_order_of_the_server():
    def plan(content, attempt):
        time.sleep(0.02 * (7 - int(content[-1])))
        return echo(content, attempt)

    with FlakyServer(plan) as server:
        replies = endpoint(server, concurrency=4).answer(prompts(8))
    assert [reply.text for reply in replies] == [f"to text {i}" for i in range(8)]
    assert 1 < server.most_at_once <= 4


def test_only_the_messages_and_the_settings_are_sent():
    turns = (Message("system", "Be brief."), Message("user", "Which?"))
    with FlakyServer(echo) as server:
        endpoint(server, seed=None, extra={"chat_template_kwargs": {"enable_thinking": False}}, structured=True).answer(
            [Prompt(question_id="q", content=turns, labels=ABC)]
        )
        endpoint(server, method="generate", max_new_tokens=9, temperature=None).answer(
            [Prompt(question_id="q", content="Which?", labels=ABC)]
        )
    assert server.bodies[0] == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which?"}],
        "max_tokens": 16,
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": 20,
        "structured_outputs": {"choice": ["A", "B", "C"]},
        "chat_template_kwargs": {"enable_thinking": False},
    }
    messages = [{"role": "user", "content": "Which?"}]
    assert server.bodies[1] == {"model": "m", "messages": messages, "max_tokens": 9, "seed": 0}


# --- what a server says -----------------------------------------------------------------------------------------------


def test_each_sampled_vote_has_a_seed_of_its_own():
    with FlakyServer(echo) as server:
        votes = [Prompt(question_id="q", content="Which?", labels=ABC, repeat=repeat) for repeat in range(3)]
        endpoint(server, method="generate", temperature=0.7, seed=5, concurrency=1).answer(votes)
        endpoint(server, method="generate", temperature=0.7, seed=None).answer(votes)
    assert [body.get("seed") for body in server.bodies] == [5, 6, 7, None, None, None]


def said(fate, prompt=None, **settings):
    with FlakyServer(lambda content, attempt: fate) as server:
        return endpoint(server, **settings).answer([prompt or Prompt(question_id="q", content="Which?", labels=ABC)])[0]


def test_label_probabilities_are_those_of_tokens_without_white_space_and_sum_to_one():
    tokens = {" B": math.log(0.5), "B": math.log(0.1), "A": math.log(0.2), "b": math.log(0.1), "Bo": math.log(0.1)}
    reply = said(completion("B", tokens))
    assert reply.label_logprobs == pytest.approx({"A": math.log(0.25), "B": math.log(0.75)})
    assert "C" not in reply.label_logprobs  # not among the top tokens: not known


def test_a_first_token_of_white_space_is_skipped():
    fate = completion("\nC", {"\n": -0.01, "A": -5.0})
    first = {"token": "C", "logprob": -0.1, "top_logprobs": [{"token": "C", "logprob": -0.1}]}
    fate["choices"][0]["logprobs"]["content"].append(first)
    assert said(fate).label_logprobs == {"C": 0.0}


@pytest.mark.parametrize("tokens", [None, {"The": -0.01, "A": -4.9}, {"TR": -0.1, "true": -3.0}])
def test_if_labels_have_little_mass_the_text_is_used(tokens):
    prompt = Prompt(question_id="q", content="Which?", labels=ABC)
    reply = said(completion("The answer is B.", tokens), prompt)
    assert reply.label_logprobs is None
    assert ballot_from_reply(reply, prompt) == {"B": 1.0}


@pytest.mark.parametrize(
    "logprobs",
    [{"content": None}, {"content": []}, [], "none", {"tokens": ["B"]}, {"content": [{"token": "B", "logprob": "x"}]}],
)
def test_malformed_log_probabilities_are_ignored(logprobs):
    fate = completion("B")
    fate["choices"][0]["logprobs"] = logprobs
    assert said(fate) == Reply(text="B", finish="stop")


def test_an_open_question_asks_for_no_log_probabilities_and_an_empty_content_is_an_empty_reply():
    with FlakyServer(lambda content, attempt: completion(None)) as server:
        backend = endpoint(server)
        assert backend.answer([Prompt(question_id="q", content="How many?", labels=())]) == [
            Reply(text="", finish="stop")
        ]
    assert "logprobs" not in server.bodies[0]
    assert backend.failures == []


def test_the_finish_reason_and_the_number_of_tokens_are_those_of_the_server():
    fate = completion("The answer is A\n\nBut wait, I have")
    fate["choices"][0]["finish_reason"] = "length"
    fate["usage"] = {"prompt_tokens": 9, "completion_tokens": 16}
    reply = said(fate, method="generate")
    assert reply == Reply(text="The answer is A\n\nBut wait, I have", finish="length", tokens=16)


@pytest.mark.parametrize("reason", ["content_filter", "tool_calls", None, 3])
def test_a_finish_reason_of_another_kind_is_not_known(reason):
    fate = completion("B")
    fate["choices"][0]["finish_reason"] = reason
    assert said(fate).finish == ""


def test_the_labels_probability_before_it_is_normalised_is_kept():
    tokens = {"B": math.log(0.5), " B": math.log(0.1), "A": math.log(0.2), "The": math.log(0.1)}
    assert said(completion("B", tokens)).label_mass == pytest.approx(0.8)
    low = said(completion("The answer is B.", {"The": math.log(0.9), "A": math.log(0.1)}))
    assert (low.label_logprobs, low.label_mass) == (None, pytest.approx(0.1))
    assert said(completion("The answer is B.")).label_mass is None
    assert said(completion("B", {"B": math.nan})).label_mass is None


THOUGHTS = [
    ({"content": "Alright: is it C?</think>\n\nB"}, "Alright: is it C?</think>\n\nB"),
    ({"content": "<think>Is it C?</think>B"}, "<think>Is it C?</think>B"),
    ({"content": "B", "reasoning_content": "A is odd."}, "<think>A is odd.</think>B"),
    ({"content": "B", "reasoning": "A is odd."}, "<think>A is odd.</think>B"),
]


@pytest.mark.parametrize(("message", "text"), THOUGHTS)
def test_letters_at_the_start_of_reasoning_are_not_scored_and_such_replies_are_counted(message, text):
    fate = completion("", {"A": math.log(0.9), "B": math.log(0.05)})
    fate["choices"][0]["message"] |= message
    prompt = Prompt(question_id="q", content="Which?", labels=ABC)
    with FlakyServer(lambda content, attempt: fate) as server:
        backend = endpoint(server)
        (reply,) = backend.answer([prompt])
    assert (reply.text, reply.label_logprobs, reply.label_mass) == (text, None, None)
    assert backend.unscored == 1
    assert ballot_from_reply(reply, prompt) == {"B": 1.0}


@pytest.mark.parametrize("content", ["", None])
def test_reasoning_that_was_cut_before_an_answer_is_no_answer(content):
    fate = completion(content)
    fate["choices"][0]["message"]["reasoning_content"] = "The answer is C. Or"
    fate["choices"][0]["finish_reason"] = "length"
    prompt = Prompt(question_id="q", content="Which?", labels=ABC)
    reply = said(fate, prompt, method="generate")
    assert reply.text == "<think>The answer is C. Or"
    assert ballot_from_reply(reply, prompt) == {}


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", [429, 500, 503, "cut", "torn"])
def test_a_temporary_failure_is_retried_after_a_growing_wait(fate):
    waits: list[float] = []
    with FlakyServer(failing_first(fate, 3)) as server:
        backend = endpoint(server, waits)
        assert [reply.text for reply in backend.answer(prompts(1))] == ["to text 0"]
    assert len(server.bodies) == 4
    assert [low <= wait <= 2 * low for low, wait in zip((0.25, 0.5, 1.0), waits, strict=True)] == [True] * 3
    assert backend.failures == []


def test_a_silent_server_is_retried_after_the_timeout():
    begin = time.monotonic()
    with FlakyServer(failing_first("silence")) as server:
        assert endpoint(server, timeout=0.3).answer(prompts(1)) == [Reply(text="to text 0", finish="stop")]
        assert time.monotonic() - begin < SILENCE
    assert len(server.bodies) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_in_retry_after_is_respected(status):
    waits: list[float] = []
    with FlakyServer(failing_first((status, {"retry-after": "7"}))) as server:
        endpoint(server, waits).answer(prompts(1))
    assert waits == [7.0]


def test_a_date_in_retry_after_is_read_by_the_server_s_clock_and_nonsense_is_ignored():
    waits: list[float] = []
    with FlakyServer(failing_first((429, {"retry-after": formatdate(time.time() + 30, usegmt=True)}))) as server:
        endpoint(server, waits).answer(prompts(1))
    assert 25 < waits[0] < 31
    for nonsense in ("soon", "-5", "nan", ""):
        with FlakyServer(failing_first((429, {"retry-after": nonsense}))) as server:
            endpoint(server, waits).answer(prompts(1))
    assert all(wait <= 0.5 for wait in waits[1:])


def test_a_question_fails_if_the_server_asks_to_wait_an_hour():
    waits: list[float] = []
    with FlakyServer(
        lambda content, n: (429, {"retry-after": "3600"}) if content == "text 1" else echo(content, n)
    ) as s:
        backend = endpoint(s, waits, concurrency=1)
        assert [reply.text for reply in backend.answer(prompts(3))] == ["to text 0", "", "to text 2"]
    assert waits == []
    assert "asks to wait 3600 seconds" in backend.failures[0]


def test_the_jitter_is_seeded():
    def waited(seed):
        waits: list[float] = []
        with FlakyServer(failing_first(500, 3)) as server:
            endpoint(server, waits, seed=seed).answer(prompts(1))
        return waits

    assert waited(1) == waited(1) != waited(2)


WRONG_SHAPES = [
    "torn json {",
    "[" * 100_000,
    "<html>a proxy's page</html>",
    "null",
    [],
    {"choices": []},
    {"choices": None},
    {"choices": [{"message": None}]},
    {"choices": [{"text": "B"}]},
    completion(["B"]),
    {"error": {"message": "said with status 200"}},
]


@pytest.mark.parametrize("fate", WRONG_SHAPES, ids=range(len(WRONG_SHAPES)))
def test_a_malformed_response_fails_only_its_question(fate):
    with FlakyServer(lambda content, n: fate if content == "text 1" else echo(content, n)) as server:
        backend = endpoint(server, concurrency=1)
        assert [reply.text for reply in backend.answer(prompts(3))] == ["to text 0", "", "to text 2"]
    assert len(server.bodies) == 3  # what has a wrong shape once will have it again
    assert len(backend.failures) == 1
    assert backend.failures[0].startswith("question q1: malformed response")


@pytest.mark.parametrize(("count", "tokens"), [(7, 7), (-1, None), (1 << 32, None), ("7", None), (None, None)])
def test_only_a_number_of_tokens_that_can_be_kept_is_taken_from_the_server(count, tokens):
    with FlakyServer(lambda content, n: completion("A") | {"usage": {"completion_tokens": count}}) as server:
        (reply,) = endpoint(server).answer(prompts(1))
    assert reply.tokens == tokens


@pytest.mark.parametrize(("fate", "asked"), [(500, 3), (429, 3), ("cut", 3), (400, 1), (404, 1), (422, 1)])
def test_a_question_whose_attempts_all_fail_stays_unread_and_is_counted(fate, asked):
    with FlakyServer(lambda content, n: fate if content == "text 1" else echo(content, n)) as server:
        backend = endpoint(server, retries=2)
        assert [reply.text for reply in backend.answer(prompts(3))] == ["to text 0", "", "to text 2"]
    assert server.attempts["text 1"] == asked
    assert len(backend.failures) == 1
    assert fate == "cut" or SERVER_WORDS in backend.failures[0]


def test_a_text_that_cannot_be_encoded_fails_only_its_question():
    with FlakyServer(echo) as server:
        backend = endpoint(server, concurrency=1)
        asked = [*prompts(1), Prompt(question_id="half", content="\udc80", labels=ABC)]
        assert backend.answer(asked) == [Reply(text="to text 0", finish="stop"), Reply(text="")]
    assert backend.failures[0].startswith("question half: ")


def test_if_nothing_is_answered_the_server_s_message_is_reported():
    with FlakyServer(lambda content, attempt: 400) as server, pytest.raises(BadInput, match=SERVER_WORDS):
        endpoint(server).answer(prompts(3))
    with pytest.raises(BadInput, match="does not answer"):  # nobody listens there any more
        endpoint(server).answer(prompts(2))


@pytest.mark.parametrize("fate", [400, 500, "cut", "no json"])
def test_a_bad_first_question_fails_alone_though_a_deadline_asks_it_alone(fate):
    with FlakyServer(lambda content, n: fate if content == "text 0" else echo(content, n)) as server:
        timely = DeadlineBackend(endpoint(server, retries=1), time.monotonic() + 1e4, time.monotonic)
        assert [reply.text for reply in timely.answer(prompts(30))] == ["", *(f"to text {n}" for n in range(1, 30))]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_key_or_a_model_that_the_server_refuses_ends_the_run_at_its_first_question(status):
    with FlakyServer(lambda content, n: status) as server, pytest.raises(BadInput, match=SERVER_WORDS):
        endpoint(server).answer(prompts(1))
    assert len(server.bodies) == 1


def test_single_questions_that_all_fail_end_the_run_at_the_failure_limit():
    with FlakyServer(lambda content, n: 400) as server:
        backend = endpoint(server, concurrency=1)
        for prompt in prompts(7):
            assert backend.answer([prompt]) == [Reply(text="")]
        with pytest.raises(BadInput, match=SERVER_WORDS):
            backend.answer(prompts(8)[7:])


def test_a_server_that_dies_is_given_up_after_the_limit_of_failures_in_a_row():
    with FlakyServer(lambda content, n: echo(content, n) if int(content.split()[1]) < 20 else 500) as server:
        backend = endpoint(server, concurrency=2, retries=1)
        assert all(reply.text for reply in backend.answer(prompts(20)))
        with pytest.raises(BadInput, match=SERVER_WORDS):
            backend.answer(prompts(500))
    assert len(server.bodies) <= 20 + 20 + 2 * 10


def test_a_single_failure_at_the_end_does_not_end_the_run():
    with FlakyServer(lambda content, n: 400 if content == "text 9" else echo(content, n)) as server:
        backend = endpoint(server)
        backend.answer(prompts(9))
        assert backend.answer(prompts(10)[9:]) == [Reply(text="")]


def test_a_journal_does_not_store_a_failure(tmp_path):
    with FlakyServer(lambda content, n: 400 if content == "text 1" and n == 0 else echo(content, n)) as server:
        for replies in (["to text 0", "", "to text 2"], ["to text 0", "to text 1", "to text 2"]):
            journal = JournalBackend(endpoint(server), tmp_path / "journal.sqlite", "m")
            assert [reply.text for reply in journal.answer(prompts(3))] == replies
            journal.close()
    assert len(server.bodies) == 4


# --- the key ----------------------------------------------------------------------------------------------------------


def test_the_key_goes_to_the_server_and_nowhere_else(monkeypatch, caplog, capfd, tmp_path):
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level(logging.DEBUG)

    def tell_tale(content, attempt):
        return 429 if attempt == 0 else {"error": f"wrong key {KEY}, {'x' * 218} {KEY}"}  # the second at the cut

    with FlakyServer(tell_tale) as server:
        backend = endpoint(server, key_variable="MY_KEY", retries=1)
        with pytest.raises(BadInput) as told:
            JournalBackend(backend, tmp_path / "journal.sqlite", "m").answer(prompts(2))
    assert f"Bearer {KEY}" in server.headers[0].values()
    written = [path.read_bytes() for path in tmp_path.iterdir()]
    out = "".join(
        [*traceback.format_exception(told.value), repr(backend), *backend.failures, caplog.text, *capfd.readouterr()]
    )
    assert "wrong key [secret]" in out
    assert KEY[:8] not in out
    assert not any(KEY.encode() in data for data in written)


def test_without_key_variable_no_key_is_sent_though_one_is_set(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    with FlakyServer(echo) as server:
        endpoint(server).answer(prompts(1))
    assert KEY not in str(server.headers)


def test_a_key_in_the_place_of_its_name_is_refused_and_not_repeated():
    with pytest.raises(BadInput, match="never the key itself") as told:
        endpoint(FlakyServerAt("http://localhost/v1"), key_variable=KEY)
    assert KEY not in str(told.value)


@pytest.mark.parametrize(
    ("held", "words"), [("", "is not set or empty"), ("two\nlines", "is not a key"), ("ké", "is not a key")]
)
def test_a_variable_without_a_usable_key_is_refused(monkeypatch, held, words):
    monkeypatch.setenv("MY_KEY", held)
    with pytest.raises(BadInput, match=words) as told:
        endpoint(FlakyServerAt("http://localhost/v1"), key_variable="MY_KEY")
    assert not held or held not in str(told.value)


# --- settings
# ------------------------------------------------------------------------------------------------------------


class FlakyServerAt:
    def __init__(self, url):
        self.url = url


def test_a_toml_table_opens_an_endpoint_and_bad_settings_are_refused():
    table = {"name": "endpoint", "model": "m", "base_url": "http://localhost:1/v1"}
    opened = open_backend({**table, "temperature": ""})
    assert isinstance(opened, Endpoint)
    assert opened.settings.concurrency == 8
    for settings, words in (
        ({"base_url": "localhost:1"}, "allowed is http"),
        ({"concurrency": 0}, "concurrency 0"),
        ({"method": "option"}, "allowed are letter, generate"),
        ({"sleep": "x"}, "unknown setting 'sleep'; allowed are model, base_url"),
    ):
        with pytest.raises(BadInput, match=words):
            open_backend({**table, **settings})
