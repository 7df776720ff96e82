"""The official Kaggle client, signed in: each request ends in an answer or in one clear line."""

import contextlib
import importlib
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from quorum.errors import BadInput

T = TypeVar("T")

KAGGLE_SITE = "https://www.kaggle.com"

_NO_CREDENTIALS = (
    "no valid Kaggle credentials: make a token at https://www.kaggle.com/settings/api "
    "and put it into KAGGLE_API_TOKEN or ~/.kaggle/access_token"
)


# What a rehearsal is answered, in the service's own terms; to anything else, nothing. A dataset or model is there.
_ALL_WELL: dict[str, dict[str, Any]] = {
    "GetKernel": {"metadata": {"currentVersionNumber": 0}, "blob": {"source": ""}},
    "SaveKernel": {"versionNumber": 1},
    "GetKernelSessionStatus": {"status": "COMPLETE"},
    "GetDatasetStatus": {"status": "READY"},
    "StartBlobUpload": {"token": "token", "createUrl": "address"},
    "StartSubmissionUpload": {"token": "token", "createUrl": "address"},
    "GetSubmissionLimits": {"numAllowedNow": 1},
    "CreateSubmission": {"ref": 1},
    "CreateCodeSubmission": {"ref": 1},
    "GetSubmission": {"status": "COMPLETE"},
}


class KaggleError(BadInput):
    """Kaggle said no, failed, or did not answer; `status` is the HTTP status, None where no whole answer came back.

    `after` are the seconds after which Kaggle wants to be asked again.
    """

    def __init__(self, message: str, status: int | None, after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.after = after

    @property
    def ambiguous(self) -> bool:
        """Whether the request may have been carried out all the same."""
        return self.status is None or self.status >= 500

    @property
    def passing(self) -> bool:
        """Whether the same question may be answered later."""
        return self.ambiguous or self.status == 429


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for Kaggle, in seconds; the clock and the sleep come from the program.

    Waits between polls grow by half from `first_wait` to `longest_wait`; `answer` is the limit of one request, `upload`
    that of a folder's bytes, `whole` that of one thing waited for; `tries` is how often a harmless question is put.
    """

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    first_wait: float = 5.0
    longest_wait: float = 120.0
    answer: float = 60.0
    upload: float = 7200.0
    whole: float = 13 * 3600.0
    tries: int = 5

    def waits(self) -> Iterator[bool]:
        """Sleeps a while before each step, of which there is one at least, and stops when `whole` is over."""
        end, wait, left = self.clock() + self.whole, self.first_wait, self.whole
        while True:
            self.sleep(max(0.0, min(wait, left)))
            yield True
            if (left := end - self.clock()) <= 0:
                return
            wait = min(wait * 1.5, self.longest_wait)

    def before_another_try(self, waits: Iterator[bool], refused: KaggleError) -> bool:
        """Whether to ask again: sleeps the next of `waits`, but first as long as Kaggle asked for."""
        if not refused.passing or refused.after > self.whole:
            return False
        self.sleep(refused.after)
        return next(waits, False)


@dataclass(frozen=True)
class Kaggle:
    """The official client, signed in as `user`."""

    api: Any
    user: str


def sign_in(patience: RetryPolicy) -> Kaggle:
    """The official client with the credentials that it finds by itself (environment, ~/.kaggle).

    Raises:
        BadInput: the client is not installed, or there are no valid credentials.
        KaggleRefused: Kaggle could not be reached to check a token.
    """
    api = _client_class()()

    def authenticate() -> None:
        try:
            api.authenticate()
        except (TypeError, AttributeError):  # a kaggle.json may hold anything
            raise SystemExit from None

    try:
        ask_kaggle("signing in", authenticate, patience)
    except KaggleError:
        raise
    except (SystemExit, BadInput):  # what the client says of a token that is none may hold the token
        raise BadInput(_NO_CREDENTIALS) from None
    user = api.config_values["username"]
    if not isinstance(user, str):
        raise BadInput(_NO_CREDENTIALS)
    return Kaggle(api, user)


def make_dry_run_client(user: str, show: Callable[[str], None]) -> Kaggle:
    """A client for `user` that sends nothing: each request goes to `show`, and is answered as if all went well.

    A request is one line: its name and its JSON, a kernel's source by its size. Not among them are the sign-in and the
    download of a kernel's outputs, whose addresses Kaggle alone knows.

    Raises:
        BadInput: the client is not installed.
    """
    api = _client_class()()
    api.config_values = {"username": user}
    client = api.build_kaggle_client()
    uploaded: list[dict[str, str]] = []
    versions = 0

    def answer(_service: str, method: str, request: Any, kind: Any) -> Any:
        nonlocal versions
        told = request.to_dict(request)
        shown = told | {"text": f"({len(told['text'].encode())} bytes)"} if "text" in told else told
        show(f"{method} {json.dumps(shown, ensure_ascii=False)}")
        if method == "StartBlobUpload":
            uploaded.append({"name": told["name"]})
        versions += method in ("CreateDatasetVersion", "CreateModelInstanceVersion")
        counted = {"datasetFiles": uploaded, "currentVersionNumber": versions, "versionNumber": versions}
        return kind.from_dict(counted | _ALL_WELL.get(method, {}))

    def put(path: str, *_: Any, **__: Any) -> Any:
        show(f"PUT {json.dumps(path)}")
        return importlib.import_module("kaggle.api.kaggle_api_extended").ResumableUploadResult.COMPLETE

    client.http_client().call = answer
    api.build_kaggle_client = lambda: client
    api.upload_complete = put
    return Kaggle(api, user)


def make_dry_run_policy() -> RetryPolicy:
    """The patience for a rehearsal: it takes no time, and is over all the same where an answer does not come."""
    slept: list[float] = []
    return RetryPolicy(clock=lambda: sum(slept), sleep=slept.append, whole=600.0)


def ask_kaggle(
    what: str, call: Callable[[], T], patience: RetryPolicy, tries: int = 1, limit: float | None = None
) -> T:
    """What `call`, one request by the official client, returns; `what` names it in an error message.

    A question that changes nothing may have `tries`: it is repeated after a passing failure. The client's own prints
    are swallowed: signed addresses may be among them, and with VERBOSE=1 the Authorization header.

    Raises:
        KaggleRefused: an HTTP error, no answer in time, a connection that broke.
    """
    waits = patience.waits()
    for left in range(tries - 1, -1, -1):
        try:
            return _translated(what, call, limit or patience.answer)
        except KaggleError as refused:
            if not left or not patience.before_another_try(waits, refused):
                raise
    raise AssertionError("tries is at least 1")


def poll_until(look: Callable[[], T], patience: RetryPolicy) -> Iterator[T]:
    """What `look` sees, again and again until `patience.whole` is over; where it fails in passing, it sees nothing.

    Raises:
        KaggleRefused: `look` was refused for good.
    """
    for _ in patience.waits():
        try:
            seen = look()
        except KaggleError as refused:
            if not refused.passing:
                raise
        else:
            yield seen


def ask_service(
    kaggle: Kaggle, what: str, service: str, method: str, patience: RetryPolicy, tries: int = 1, **fields: Any
) -> Any:
    """The answer to one typed request of the client's: `method` of its kernels, competitions, datasets or models.

    Raises:
        KaggleRefused: as `ask_kaggle`.
    """
    api = {"competitions": "competition_api", "datasets": "dataset_api", "models": "model_api"}.get(
        service, "kernels_api"
    )
    name = "".join(word.capitalize() for word in method.split("_"))
    request = getattr(importlib.import_module(f"kagglesdk.{service}.types.{api}_service"), f"Api{name}Request")()
    for field, value in fields.items():
        setattr(request, field, value)
    client = getattr(getattr(kaggle.api.build_kaggle_client(), service), f"{api}_client")
    return ask_kaggle(what, lambda: getattr(client, method)(request), patience, tries)


def _client_class() -> Any:
    """The official client's class. Importing it signs in at once, over the network, and prints help: not here."""
    try:
        transport = importlib.import_module("kagglesdk.kaggle_http_client").KaggleHttpClient
        transport._print = _say_nothing  # VERBOSE: a thread left behind would print signed addresses, and the token
        with _nothing_sent(transport), _nothing_said():
            return importlib.import_module("kaggle.api.kaggle_api_extended").KaggleApi
    except ModuleNotFoundError as error:
        raise BadInput(f"no module {error.name}: pip install -r requirements-kaggle.txt") from None


@contextlib.contextmanager
def _nothing_sent(transport: Any) -> Iterator[None]:
    """While this holds, each request of the client's fails before it leaves."""

    def refuse(*_: Any) -> None:
        raise ConnectionError

    call, transport.call = transport.call, refuse
    try:
        yield
    finally:
        transport.call = call


def _say_nothing(*_: Any) -> None:
    pass


@contextlib.contextmanager
def _nothing_said() -> Iterator[None]:
    """While this holds, nothing is printed."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _translated(what: str, call: Callable[[], T], limit: float) -> T:
    from requests import HTTPError, RequestException

    try:
        return _within(limit, call)
    except HTTPError as error:
        status = _status(error.response)
        told = f"{what}: Kaggle answered {status or 'nothing'}: {_said(error)}"
        raise KaggleError(told, status, _retry_after(error.response)) from None
    except TimeoutError:
        raise KaggleError(f"{what}: no answer within {limit:g} s", None) from None
    except (RequestException, ConnectionError) as error:  # its text holds addresses, which may be signed
        raise KaggleError(f"{what}: the connection failed ({type(error).__name__})", None) from None
    except KeyError as error:  # the client maps states by name, and Kaggle adds new ones
        raise KaggleError(f"{what}: the official client does not know Kaggle's answer {error}", None) from None
    except (TypeError, AttributeError, json.JSONDecodeError) as error:  # the client trusts that an answer is whole
        kind = type(error).__name__
        raise KaggleError(f"{what}: the official client cannot read Kaggle's answer ({kind})", None) from None
    except ValueError as error:  # what the client itself refuses
        told = "a header is not legal" if "header value" in str(error) else str(error)  # it holds the token
        raise BadInput(f"{what}: {told}") from None


def _status(response: Any) -> int | None:
    """The HTTP status of a refusal; where it comes with 200, the one in its body."""
    if response is None:
        return None
    if response.status_code < 400:
        with contextlib.suppress(ValueError, TypeError, KeyError, RuntimeError):
            return int(response.json()["code"])
    return int(response.status_code)


def _retry_after(response: Any) -> float:
    """The seconds that a refusal asks to wait; a date, which the header may hold instead, is not read."""
    told = response.headers.get("Retry-After", "") if response is not None else ""
    return float(told) if re.fullmatch(r"\d{1,6}", told) else 0.0


def _said(error: Exception) -> str:
    """Kaggle's words, on one line."""
    return " ".join(str(error).split()) or "no reason given"


def _within(limit: float, call: Callable[[], T]) -> T:
    """What `call` returns. The client sets no time limit of its own, so it runs in a thread that is left behind."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 (raised again below, where somebody hears it)
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    with _nothing_said():
        thread.start()
        thread.join(limit)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
