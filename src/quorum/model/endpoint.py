"""Any server that speaks OpenAI's protocol: LM Studio, vLLM, llama.cpp, a hosted API."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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


class Endpoint:
    """A backend that asks a server over HTTP (chat completions), `concurrency` prompts at a time.

    `method`: *letter* wants the first token's log-probabilities and reads the labels out of them (tokens without their
    white space; normalised over the labels that are among the `top_logprobs`, the others are left out); where the
    server gives none, or the labels have less than half of the mass, the text counts. *generate* takes the text alone.

    Too many requests (429), server errors (5xx), timeouts and lost connections are asked again `retries` times, after
    0.5, 1, 2 … seconds with a seeded jitter, or what Retry-After says. A question that fails for good, or gets a reply
    of the wrong shape, gets an empty reply; `failures` tells which and why.

    Args:
        base_url: up to and with /v1.
        key_variable: the name of the environment variable that holds the key; no key is sent where None.
        structured: vLLM's structured_outputs: the reply is one of the labels and nothing else.
        extra: further fields of the request's body, as the server wants them.
        max_new_tokens, temperature, seed: sent as they are, a sampled vote's `repeat` added to the seed; a setting that
        is
            None is not sent.
        timeout: seconds that a server may be silent.
        sleep: waits so many seconds.

    Raises:
        BadInput: a setting is out of range, the key is not in the environment; the server fails as often in a row as
            2 x `concurrency`, 8 at least; or it has answered nothing yet, and refuses key or model (401, 403, 404) or
            fails on a whole batch of more than one. (A first question that fails alone is a failure like any other.)
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        sleep: Callable[[float], None],
        method: Literal["letter", "generate"] = "letter",
        key_variable: str | None = None,
        max_new_tokens: int | None = 16,
        temperature: float | None = 0.0,
        seed: int | None = 0,
        top_logprobs: int = 20,
        structured: bool = False,
        extra: Mapping[str, Any] | None = None,
        concurrency: int = 8,
        retries: int = 5,
        timeout: float = 120.0,
    ) -> None:
        from openai import OpenAI

        if not base_url.startswith(("http://", "https://")):
            raise BadInput(f"endpoint: base_url is {base_url!r}; allowed is http://… or https://…")
        if concurrency < 1 or retries < 0 or timeout <= 0:
            raise BadInput(
                f"endpoint: concurrency {concurrency}, retries {retries}, timeout {timeout}; allowed are at least 1, "
                "at least 0, more than 0"
            )
        key = read_environment_key(key_variable) if key_variable else "no-key"
        self._client = OpenAI(base_url=base_url, api_key=key, timeout=timeout, max_retries=0)
        self.model, self.base_url, self.method = model, base_url, method
        self.structured, self.top_logprobs = structured, top_logprobs
        self.concurrency, self.retries, self.seed, self.sleep = concurrency, retries, seed, sleep
        sampling = {"max_tokens": max_new_tokens, "temperature": temperature}
        self._sampling = {name: value for name, value in sampling.items() if value is not None}
        self._extra = dict(extra or {})
        self.failures: list[str] = []
        self._patience = max(8, 2 * concurrency)
        self._answered, self._lost_in_a_row, self._lock = 0, 0, Lock()
        self._given_up = self._refused = False

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order; empty where a question failed for good."""
        pool = ThreadPoolExecutor(self.concurrency)
        try:
            replies = list(pool.map(self._answer_one, prompts))
        finally:
            pool.shutdown(cancel_futures=True)  # a Ctrl-C does not wait for what was not begun
        if self._given_up or (not self._answered and (self._refused or len(prompts) > 1)):
            raise BadInput(f"{self.base_url} does not answer; the last failure: {self.failures[-1]}")
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

        chance = Random(f"{self.seed}/{prompt.question_id}")
        for attempt in range(self.retries + 1):
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
            if attempt < self.retries:
                self.sleep(wait)
        return f"{words} (asked {self.retries + 1} times)"

    def _once(self, prompt: Prompt) -> Reply:
        turns = (Message("user", prompt.content),) if isinstance(prompt.content, str) else prompt.content
        letters_wanted = self.method == "letter" and bool(prompt.labels)
        fields: dict[str, Any] = dict(self._sampling)
        if self.seed is not None:
            fields["seed"] = self.seed + prompt.repeat  # a server that keeps to its seed would say the same each time
        if letters_wanted:
            fields |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        extra = dict(self._extra)
        if self.structured and prompt.labels:
            extra["structured_outputs"] = {"choice": list(prompt.labels)}
        response = self._client.chat.completions.with_raw_response.create(
            model=self.model,
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
