"""Ask a server with an OpenAI-compatible API: LM Studio, vLLM, llama.cpp, a hosted model."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from random import Random
from threading import Lock
from typing import Any, Literal

from quorum.console import read_environment_key
from quorum.engine.thoughts import begins_with_reasoning
from quorum.errors import BadInput, redact, redact_known, remember_secrets
from quorum.question import FINISHES, Message, Prompt, Reply

_FIRST_WAIT = 0.5  # seconds before the first retry; doubled before each further one
_LONGEST_WAIT = 60.0  # seconds; if a server asks for more, the question fails
_LEAST_MASS = 0.5  # below this probability of all labels together, the model was about to write something else
_REASONING_FIELDS = ("reasoning_content", "reasoning")  # of a message: DeepSeek, vLLM, llama.cpp; OpenRouter
_MOST_TOKENS = 1 << 32  # what a server counts above it is no number of tokens
_MESSAGE_LENGTH = 300  # characters of a server's error message that are reported


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """Settings of a model behind an OpenAI-compatible API.

    Raises:
        BadInput: a setting is out of range.
    """

    model: str = field(metadata={"help": "Name of the model at the server."})
    base_url: str = field(metadata={"help": "Address of the server, ending with /v1."})
    method: Literal["letter", "generate"] = field(
        default="letter",
        metadata={
            "help": "letter: read the labels from the first token's log-probabilities. generate: parse the text."
        },
    )
    key_variable: str | None = field(
        default=None, metadata={"help": "Name of the environment variable that holds the key; no key when not set."}
    )
    max_new_tokens: int | None = field(default=16, metadata={"help": "Longest reply, in tokens; not sent when empty."})
    temperature: float | None = field(default=0.0, metadata={"help": "Sampling temperature; not sent when empty."})
    seed: int | None = field(
        default=0, metadata={"help": "Seed of sampling; a sampled vote adds its number. Not sent when empty."}
    )
    top_logprobs: int = field(default=20, metadata={"help": "Log-probabilities requested for the first token."})
    structured: bool = field(
        default=False, metadata={"help": "Restrict the reply to the labels by vLLM's structured outputs."}
    )
    extra: Mapping[str, Any] = field(default_factory=dict, metadata={"help": "More fields of the request's body."})
    concurrency: int = field(default=8, metadata={"help": "Requests in flight at a time."})
    retries: int = field(default=5, metadata={"help": "How often a failed request is retried."})
    timeout: float = field(default=120.0, metadata={"help": "Seconds to wait for a response."})

    def __post_init__(self) -> None:
        remember_secrets({"base_url": self.base_url, "extra": self.extra})
        if not self.base_url.startswith(("http://", "https://")):
            raise BadInput(f"endpoint: base_url is {redact(self.base_url)!r}; allowed is http://… or https://…")
        if self.concurrency < 1 or self.retries < 0 or self.timeout <= 0:
            raise BadInput(
                f"endpoint: concurrency {self.concurrency}, retries {self.retries}, timeout {self.timeout}; allowed are"
                " at least 1, at least 0, more than 0"
            )


class Endpoint:
    """A backend that asks a server over HTTP (chat completions), `concurrency` prompts at a time.

    Methods:
        letter: request the log-probabilities of the first token and read the labels from them. Tokens are compared
            without white space; probabilities are normalised over the labels among the `top_logprobs`, and labels that
            are not among them are left out. If the server returns none, or the labels have less than half of the
            probability mass, only the text of the reply is used; so it is if the reply begins with reasoning, where a
            first letter is no answer (`unscored` counts these replies).
        generate: use only the text.

    Reasoning that the server sends apart from the content is put before it, between <think> and </think>.

    Too many requests (429), server errors (5xx), timeouts and lost connections are retried `retries` times, after 0.5,
    1, 2 … seconds with a seeded jitter, or after the time in Retry-After. A question for which all attempts fail, or
    whose response is malformed, gets an empty reply; `failures` lists these questions with the reason.

    Args:
        sleep: called with the seconds to wait between retries.

    Raises:
        BadInput: a setting is out of range; the key is not in the environment; 2 x `concurrency` questions in a row (8
            at least) failed; or the server has answered nothing so far and refuses the key or the model (401, 403, 404)
            or fails on a whole batch of more than one. (A first question that is asked alone may fail.)
    """

    def __init__(self, settings: EndpointSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        from openai import OpenAI

        key = read_environment_key(settings.key_variable) if settings.key_variable else "no-key"
        self._client = OpenAI(base_url=settings.base_url, api_key=key, timeout=settings.timeout, max_retries=0)
        self.settings, self.sleep = settings, sleep
        sampling = {"max_tokens": settings.max_new_tokens, "temperature": settings.temperature}
        self._sampling = {name: value for name, value in sampling.items() if value is not None}
        self.failures: list[str] = []
        self.unscored = 0
        self._failure_limit = max(8, 2 * settings.concurrency)
        self._answered, self._failed_in_a_row, self._lock = 0, 0, Lock()
        self._given_up = self._refused = False

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return one reply for each prompt, in the same order; empty if all attempts failed."""
        pool = ThreadPoolExecutor(self.settings.concurrency)
        try:
            replies = list(pool.map(self._answer_one, prompts))
        finally:
            pool.shutdown(cancel_futures=True)  # on Ctrl-C, do not wait for requests that have not started
        if self._given_up or (not self._answered and (self._refused or len(prompts) > 1)):
            raise BadInput(f"{redact(self.settings.base_url)} does not answer; the last failure: {self.failures[-1]}")
        return replies

    def _answer_one(self, prompt: Prompt) -> Reply:
        if self._given_up:
            return Reply(text="")
        result = self._request_with_retries(prompt)
        with self._lock:
            if isinstance(result, Reply):
                self._answered += 1
                self._failed_in_a_row = 0
                self.unscored += bool(self._scored_labels(prompt)) and begins_with_reasoning(result.text)
                return result
            self._failed_in_a_row += 1
            self._given_up |= self._failed_in_a_row >= self._failure_limit
            self.failures.append(f"question {prompt.question_id}: {result}")
        return Reply(text="")

    def _request_with_retries(self, prompt: Prompt) -> Reply | str:
        """Return the reply, or the reason of the failure once the retries are used up."""
        from openai import (
            APIConnectionError,
            APITimeoutError,
            AuthenticationError,
            InternalServerError,
            NotFoundError,
            OpenAIError,
            PermissionDeniedError,
            RateLimitError,
        )

        rng = Random(f"{self.settings.seed}/{prompt.question_id}")
        for attempt in range(self.settings.retries + 1):
            try:
                return self._request(prompt)
            except (RateLimitError, InternalServerError, APITimeoutError, APIConnectionError) as error:
                message = self._one_line(error)
                wait = min(_FIRST_WAIT * 2**attempt, _LONGEST_WAIT) * (0.5 + 0.5 * rng.random())
                wait = max(wait, _read_retry_after(error))
            except (AuthenticationError, PermissionDeniedError, NotFoundError) as error:
                self._refused = True
                return self._one_line(error)
            except (OpenAIError, BadInput, UnicodeEncodeError) as error:  # half a surrogate pair cannot be encoded
                return self._one_line(error)
            if wait > _LONGEST_WAIT:
                return f"{message} (the server asks to wait {wait:.0f} seconds; the limit is {_LONGEST_WAIT:.0f})"
            if attempt < self.settings.retries:
                self.sleep(wait)
        return f"{message} ({self.settings.retries + 1} attempts)"

    def _request(self, prompt: Prompt) -> Reply:
        turns = (Message("user", prompt.content),) if isinstance(prompt.content, str) else prompt.content
        labels = self._scored_labels(prompt)
        fields: dict[str, Any] = dict(self._sampling)
        if self.settings.seed is not None:
            # with one seed for all, a deterministic server would send the same reply for every vote
            fields["seed"] = self.settings.seed + prompt.repeat
        if labels:
            fields |= {"logprobs": True, "top_logprobs": self.settings.top_logprobs}
        extra = dict(self.settings.extra)
        if self.settings.structured and prompt.labels:
            extra["structured_outputs"] = {"choice": list(prompt.labels)}
        response = self._client.chat.completions.with_raw_response.create(
            model=self.settings.model,
            messages=[{"role": turn.role, "content": turn.content} for turn in turns],  # type: ignore[misc]
            extra_body=extra,
            **fields,
        )
        return _parse_completion(redact_known(response.text), labels)

    def _scored_labels(self, prompt: Prompt) -> tuple[str, ...]:
        """Return the labels whose probabilities are requested; none for method generate."""
        return prompt.labels if self.settings.method == "letter" else ()

    def _one_line(self, error: Exception) -> str:
        """Return the message of an error in one line; secrets are removed before the message is truncated."""
        return " ".join(redact(f"{error} {error.__cause__ or ''}").split())[:_MESSAGE_LENGTH]


def _parse_completion(body: str, labels: Sequence[str]) -> Reply:
    """Return the reply in the body of a chat completion, with the probabilities of the labels if there are any.

    Raises:
        BadInput: the body is malformed.
    """
    try:
        completion = json.loads(body)
        choice = completion["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BadInput(f"malformed response: {body!r}") from None
    if text is not None and not isinstance(text, str):
        raise BadInput(f"malformed response: the content is {text!r}, expected text")
    reason = choice.get("finish_reason")
    finish = reason if reason in FINISHES else ""
    reply = Reply(
        text=_prepend_reasoning(choice["message"], text or "", finish),
        finish=finish,
        tokens=_count_completion(completion),
    )
    if not labels or begins_with_reasoning(reply.text):
        return reply
    mass = _first_token_mass(choice, labels)
    total = sum(mass.values())
    logprobs = {label: math.log(share / total) for label, share in mass.items() if share > 0}
    return replace(
        reply,
        label_logprobs=logprobs if total >= _LEAST_MASS else None,
        label_mass=min(total, 1.0) if mass and math.isfinite(total) else None,
    )


def _prepend_reasoning(message: Mapping[str, Any], text: str, finish: str) -> str:
    """Return the text after the reasoning that a server sends beside it; cut reasoning stays open."""
    reasoning = next((message[name] for name in _REASONING_FIELDS if isinstance(message.get(name), str)), "")
    if not reasoning.strip():
        return text
    return f"<think>{reasoning}" if finish == "length" and not text else f"<think>{reasoning}</think>{text}"


def _count_completion(completion: Mapping[str, Any]) -> int | None:
    """Return the number of generated tokens, if the server counts them."""
    usage = completion.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and 0 <= count < _MOST_TOKENS else None


def _first_token_mass(choice: Mapping[str, Any], labels: Sequence[str]) -> dict[str, float]:
    """Return the labels' probabilities at the first token that is not white space; empty if the server sends none."""
    try:
        token = next(token for token in choice["logprobs"]["content"] if token["token"].strip())
        logprobs = {each["token"]: float(each["logprob"]) for each in (*token["top_logprobs"], token)}
    except (LookupError, TypeError, ValueError, AttributeError, StopIteration):
        return {}  # a server may send log-probabilities in any shape, or none
    mass = dict.fromkeys(labels, 0.0)
    for text, logprob in logprobs.items():
        if text.strip() in mass:
            mass[text.strip()] += math.exp(min(logprob, 0.0))
    return mass


def _read_retry_after(error: Exception) -> float:
    """Return the seconds in a Retry-After header: a number, or a date by the server's own clock; 0 without one."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
        except (TypeError, ValueError):
            return 0.0
    return seconds if seconds > 0 else 0.0
