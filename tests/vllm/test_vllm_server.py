"""The endpoint backend against vLLM's own server, on a tiny real model. Runs where vllm is (see test_vllm.py)."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

if find_spec("vllm") is None:
    pytest.skip(
        "vllm is not installed in this environment; `make test` runs this in .venv-vllm", allow_module_level=True
    )

from quorum.errors import BadInput
from quorum.model.endpoint import Endpoint, EndpointSettings
from quorum.model.transformers import Transformers, TransformersSettings
from quorum.question import Message, Prompt, Reply, letters
from tests.support.flaky_server import FlakyServer
from tests.support.tiny import tiny_model

KEY = "a-key-for-loopback-alone"
PATIENCE = 300  # seconds for the server to load
PROMPTS = [
    Prompt(
        question_id=str(n),
        content=(Message("user", f"Question: {n} + {n} is\nA. {n}\nB. {2 * n}\nAnswer:"),),
        labels=letters(2 + n % 5),
    )
    for n in range(24)
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = str(tiny_model("qwen3", chat=True, head_dim=32))
    settings = {"model": model, "served-model-name": "tiny", "host": "127.0.0.1", "port": port, "api-key": KEY}
    settings |= {"dtype": "float32", "max-model-len": 512, "max-num-seqs": 16, "block-size": 32}
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"]
    command += [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1"}
    environment = {**os.environ, **settings, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        end = time.monotonic() + PATIENCE
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < end, "the server does not come up"
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def ask(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TINY_KEY", KEY)

    def asked(**settings: Any) -> list[Reply]:
        given = {"model": "tiny", "base_url": server, "key_variable": "TINY_KEY", "retries": 1, **settings}
        return Endpoint(EndpointSettings(**given)).answer(PROMPTS)

    return asked


@pytest.mark.slow
def test_structured_choices_equal_the_letters_and_probabilities_of_the_transformers_backend(ask: Any) -> None:
    expected = Transformers(TransformersSettings(model=str(tiny_model("qwen3", chat=True, head_dim=32)))).answer(
        PROMPTS
    )
    for found, right in zip(ask(structured=True), expected, strict=True):
        assert found.text == right.text
        assert found.label_logprobs == pytest.approx(right.label_logprobs, abs=1e-4)


@pytest.mark.slow
def test_network_failures_change_no_answer_and_a_malformed_response_is_unread(server: str, ask: Any) -> None:
    fates = [(429, {"retry-after": "0"}), 500, "silence", "cut", "torn", "{}", "pass"]

    def plan(content: str, attempt: int) -> Any:
        return "pass" if attempt else fates[int(content.split()[1]) % len(fates)]

    with FlakyServer(plan, behind=server) as flaky:
        found = ask(structured=True, base_url=flaky.url, retries=5, timeout=2.0)
    expected = ask(structured=True)
    shapeless = [fates[n % len(fates)] == "{}" for n in range(len(PROMPTS))]
    for lost, one, other in zip(shapeless, found, expected, strict=True):
        assert one.text == ("" if lost else other.text)
        assert lost or one.label_logprobs == pytest.approx(other.label_logprobs, abs=1e-4)
    assert sum(flaky.attempts.values()) > len(PROMPTS)


@pytest.mark.slow
def test_generated_text_equals_that_of_the_transformers_backend(ask: Any) -> None:
    model = Transformers(
        TransformersSettings(
            model=str(tiny_model("qwen3", chat=True, head_dim=32)), method="generate", max_new_tokens=16
        )
    )
    # where the last token ends within a character, the one shows it and the other does not
    texts = [[reply.text.rstrip("\ufffd").strip() for reply in replies] for replies in (ask(), model.answer(PROMPTS))]
    assert texts[0] == texts[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"key_variable": None}, "401"),
        ({"model": "huge"}, "404 - The model `huge` does not exist"),
        ({"top_logprobs": 1000}, "400 - Requested sample logprobs of 1000"),
    ],
)
def test_the_server_s_refusal_is_reported_with_its_message(ask: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        ask(**settings)
