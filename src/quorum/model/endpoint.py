"""Any server that speaks OpenAI's protocol: LM Studio, vLLM, llama.cpp, a hosted API."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from random import Random
from threading import Lock
from typing import Any, Literal

from quorum.console import read_environment_key
from quorum.errors import BadInput
from quorum.question import Message, Prompt, Reply

_FIRST_WAIT = 0.5  # seconds before the first retry; doubled before each further one
_LONGEST_WAIT = 60.0  # seconds; a server that wants more has to do without this question
_LEAST_MASS = 0.5  # below this probability of all labels together, the model was about to say something else
_WORDS = 300  # characters of a server's words that are told


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """Which server and model, and how it is asked.

    Raises:
        BadInput: a setting is out of range.
    """

    model: str = field(metadata={"help": "Name of the model, as the server calls it."})
    base_url: str = field(metadata={"help": "Address of the server, up to and with /v1."})
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
        default=False, metadata={"help": "Ask vLLM's structured outputs for one of the labels and nothing else."}
    )
    extra: Mapping[str, Any] = field(default_factory=dict, metadata={"help": "Further fields of the request's body."})
    concurrency: int = field(default=8, metadata={"help": "Requests at a time."})
    retries: int = field(default=5, metadata={"help": "How often a failed request is repeated."})
    timeout: float = field(default=120.0, metadata={"help": "Seconds that a server may be silent."})

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise BadInput(f"endpoint: base_url is {self.base_url!r}; allowed is http://… or https://…")
        if self.concurrency < 1 or self.retries < 0 or self.timeout <= 0:
            raise BadInput(
                f"endpoint: concurrency {self.concurrency}, retries {self.retries}, timeout {self.timeout}; allowed are"
                " at least 1, at least 0, more than 0"
            )


class Endpoint:
    """A backend that asks a server over HTTP (chat completions), `concurrency` prompts at a time.

    `method`: *letter* wants the first token's log-probabilities and reads the labels out of them (tokens without their
    white space; normalised over the labels that are among the `top_logprobs`, the others are left out); where the
    server gives none, or the labels have less than half of the mass, the text counts. *generate* takes the text alone.

    Too many requests (429), server errors (5xx), timeouts and lost connections are asked again `retries` times, after
    0.5, 1, 2 … seconds with a seeded jitter, or what Retry-After says. A question that fails for good, or gets a reply
    of the wrong shape, gets an empty reply; `failures` tells which and why.

    Args:
        sleep: waits so many seconds between retries.

    Raises:
        BadInput: a setting is out of range, the key is not in the environment; the server fails as often in a row as
            2 x `concurrency`, 8 at least; or it has answered nothing yet, and refuses key or model (401, 403, 404) or
            fails on a whole batch of more than one. (A first question that fails alone is a failure like any other.)
    """

    def __init__(self, settings: EndpointSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        from openai import OpenAI

        key = read_environment_key(settings.key_variable) if settings.key_variable else "no-key"
        self._client = OpenAI(base_url=settings.base_url, api_key=key, timeout=settings.timeout, max_retries=0)
        self.settings, self.sleep = settings, sleep
        sampling = {"max_tokens": settings.max_new_tokens, "temperature": settings.temperature}
        self._sampling = {name: value for name, value in sampling.items() if value is not None}
        self.failures: list[str] = []
        self._patience = max(8, 2 * settings.concurrency)
        self._answered, self._lost_in_a_row, self._lock = 0, 0, Lock()
        self._given_up = self._refused = False

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order; empty where a question failed for good."""
        pool = ThreadPoolExecutor(self.settings.concurrency)
        try:
            replies = list(pool.map(self._answer_one, prompts))
        finally:
            pool.shutdown(cancel_futures=True)  # a Ctrl-C does not wait for what was not begun
        if self._given_up or (not self._answered and (self._refused or len(prompts) > 1)):
            raise BadInput(f"{self.settings.base_url} does not answer; the last failure: {self.failures[-1]}")
        return replies

    def _answer_one(self, prompt: Prompt) -> Reply:
        if self._given_up:
            return Reply("")
        found = self._asked(prompt)
        with self._lock:
            if isinstance(found, Reply):
                self._answered += 1
                self._lost_in_a_row = 0
                return found
            self._lost_in_a_row += 1
            self._given_up |= self._lost_in_a_row >= self._patience
            self.failures.append(f"question {prompt.question_id}: {found}")
        return Reply("")

    def _asked(self, prompt: Prompt) -> Reply | str:
        """The reply, after as many retries as it takes; or, when they are used up, why there is none."""
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

        chance = Random(f"{self.settings.seed}/{prompt.question_id}")
        for attempt in range(self.settings.retries + 1):
            try:
                return self._once(prompt)
            except (RateLimitError, InternalServerError, APITimeoutError, APIConnectionError) as error:
                words = self._words(error)
                wait = min(_FIRST_WAIT * 2**attempt, _LONGEST_WAIT) * (0.5 + 0.5 * chance.random())
                wait = max(wait, _told_wait(error))
            except (AuthenticationError, PermissionDeniedError, NotFoundError) as error:
                self._refused = True
                return self._words(error)
            except (OpenAIError, BadInput, UnicodeEncodeError) as error:  # half a surrogate pair can't be sent
                return self._words(error)
            if wait > _LONGEST_WAIT:
                return f"{words} (wants {wait:.0f} seconds of patience; {_LONGEST_WAIT:.0f} is the most)"
            if attempt < self.settings.retries:
                self.sleep(wait)
        return f"{words} (asked {self.settings.retries + 1} times)"

    def _once(self, prompt: Prompt) -> Reply:
        turns = (Message("user", prompt.content),) if isinstance(prompt.content, str) else prompt.content
        letters_wanted = self.settings.method == "letter" and bool(prompt.labels)
        fields: dict[str, Any] = dict(self._sampling)
        if self.settings.seed is not None:
            fields["seed"] = (
                self.settings.seed + prompt.repeat
            )  # a server that keeps to its seed would say the same each time
        if letters_wanted:
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
        return _reply_in(response.text, prompt.labels if letters_wanted else ())

    def _words(self, error: Exception) -> str:
        """What an error says, in one line, without the key, and only then cut."""
        why = f"{error} {error.__cause__ or ''}".replace(self._client.api_key, "[key]")
        return " ".join(why.split())[:_WORDS]


def _reply_in(body: str, labels: Sequence[str]) -> Reply:
    """The reply in the body of a chat completion.

    Raises:
        BadInput: it has another shape.
    """
    try:
        choice = json.loads(body)["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BadInput(f"a reply of the wrong shape: {body!r}") from None
    if text is not None and not isinstance(text, str):
        raise BadInput(f"a reply of the wrong shape: its content is {text!r}")
    return Reply(text or "", _first_token_logprobs(choice, labels))


def _first_token_logprobs(choice: Mapping[str, Any], labels: Sequence[str]) -> dict[str, float] | None:
    """The labels' log-probabilities at the first token that is not blank, or None (see `Endpoint`)."""
    try:
        token = next(token for token in choice["logprobs"]["content"] if token["token"].strip())
        said = {each["token"]: float(each["logprob"]) for each in (*token["top_logprobs"], token)}
    except (LookupError, TypeError, ValueError, AttributeError, StopIteration):
        return None  # a server may give log-probabilities in any shape, or none
    mass = dict.fromkeys(labels, 0.0)
    for text, logprob in said.items():
        if text.strip() in mass:
            mass[text.strip()] += math.exp(min(logprob, 0.0))
    total = sum(mass.values())
    if not total >= _LEAST_MASS:  # nor where it is no number
        return None
    return {label: math.log(share / total) for label, share in mass.items() if share > 0}


def _told_wait(error: Exception) -> float:
    """The seconds that a Retry-After header asks for: a number, or a date by the server's own clock; 0 without one."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    told = headers.get("retry-after", "")
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(told) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
        except (TypeError, ValueError):
            return 0.0
    return seconds if seconds > 0 else 0.0
