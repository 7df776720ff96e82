"""What a managed backend counts, and what it reports."""

import time

from quorum.model.endpoint import Endpoint, EndpointSettings
from quorum.model.managed import ManagedBackend
from quorum.question import Prompt
from tests.support.flaky_server import SERVER_WORDS, FlakyServer, completion


def test_prompts_that_a_server_fails_to_answer_are_counted_and_the_most_frequent_reason_is_reported() -> None:
    fates = {"text 1": 400, "text 3": 400, "text 4": []}
    prompts = [Prompt(question_id=f"q{i}", content=f"text {i}", labels=("A", "B")) for i in range(6)]
    with FlakyServer(lambda content, attempt: fates.get(content, completion("A"))) as server:
        table = {"name": "endpoint", "model": "m", "base_url": server.url, "concurrency": 1}
        settings = EndpointSettings(model="m", base_url=server.url, concurrency=1)
        model = ManagedBackend(Endpoint(settings), table, clock=time.monotonic)
        assert model.warning == ""
        assert [bool(reply.text) for reply in model.answer(prompts)] == [True, False, True, False, False, True]
    assert (model.failed, model.calls) == (3, 6)
    assert model.warning.startswith(
        "3 of 6 prompts failed and stay unread (q1, q3, q4); the most frequent reason (2 tim"
    )
    assert SERVER_WORDS in model.warning
    assert "\n" not in model.warning
