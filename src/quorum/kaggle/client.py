"""Send requests through the official Kaggle client; each ends with an answer or a one-line error."""

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


# The answers in a dry run, in the service's format; other requests get an empty answer. Datasets and models exist.
_DRY_RUN_ANSWERS: dict[str, dict[str, Any]] = {
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
    """Kaggle refused a request, failed, or did not answer.

    Args:
        status: the HTTP status; None if there was no complete answer.
        after: seconds after which Kaggle asks to retry.
    """

    def __init__(self, message: str, status: int | None, after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.after = after

    @property
    def ambiguous(self) -> bool:
        """Return whether Kaggle may have carried out the request nevertheless."""
        return self.status is None or self.status >= 500

    @property
    def temporary(self) -> bool:
        """Return whether the same request may succeed later."""
        return self.ambiguous or self.status == 429


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long to wait for Kaggle and how often to retry. Times are in seconds; the waits grow by half each time."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    first_wait: float = 5.0  # between two polls
    longest_wait: float = 120.0
    timeout: float = 60.0  # of one request
    transfer_timeout: float = 7200.0  # of an upload or a download
    total: float = 13 * 3600.0  # of polling for one result
    tries: int = 5  # of a request that changes nothing

    def waits(self) -> Iterator[bool]:
        """Sleep before each step, and stop when `total` is over; there is at least one step."""
        end, wait, left = self.clock() + self.total, self.first_wait, self.total
        while True:
            self.sleep(max(0.0, min(wait, left)))
            yield True
            if (left := end - self.clock()) <= 0:
                return
            wait = min(wait * 1.5, self.longest_wait)

    def wait_to_retry(self, waits: Iterator[bool], error: KaggleError) -> bool:
        """Sleep as long as Kaggle asked for and then the next of `waits`; return whether to retry."""
        if not error.temporary or error.after > self.total:
            return False
        self.sleep(error.after)
        return next(waits, False)


@dataclass(frozen=True)
class Kaggle:
    """The official client, signed in as `user`."""

    api: Any
    user: str


def sign_in(policy: RetryPolicy) -> Kaggle:
    """Return the official client, signed in with the credentials that it finds (environment, ~/.kaggle).

    Raises:
        BadInput: the client is not installed, or there are no valid credentials.
        KaggleError: Kaggle could not be reached to check a token.
    """
    api = _client_class()()

    def authenticate() -> None:
        try:
            api.authenticate()
        except (TypeError, AttributeError):  # kaggle.json may have any content
            raise SystemExit from None

    try:
        ask_kaggle("signing in", authenticate, policy)
    except KaggleError:
        raise
    except (SystemExit, BadInput):  # the client's message about an invalid token may contain the token
        raise BadInput(_NO_CREDENTIALS) from None
    user = api.config_values["username"]
    if not isinstance(user, str):
        raise BadInput(_NO_CREDENTIALS)
    return Kaggle(api, user)


def make_dry_run_client(user: str, show: Callable[[str], None]) -> Kaggle:
    """Return a client for `user` that sends nothing: each request goes to `show` and gets the answer of a success.

    A request is shown as one line: its name and its JSON, a kernel's source as its size. The sign-in, and the download
    of a kernel's outputs, whose addresses only Kaggle knows, are not shown.

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
        fields = request.to_dict(request)
        shown = fields | {"text": f"({len(fields['text'].encode())} bytes)"} if "text" in fields else fields
        show(f"{method} {json.dumps(shown, ensure_ascii=False)}")
        if method == "StartBlobUpload":
            uploaded.append({"name": fields["name"]})
        versions += method in ("CreateDatasetVersion", "CreateModelInstanceVersion")
        state = {"datasetFiles": uploaded, "currentVersionNumber": versions, "versionNumber": versions}
        return kind.from_dict(state | _DRY_RUN_ANSWERS.get(method, {}))

    def put(path: str, *_: Any, **__: Any) -> Any:
        show(f"PUT {json.dumps(path)}")
        return importlib.import_module("kaggle.api.kaggle_api_extended").ResumableUploadResult.COMPLETE

    client.http_client().call = answer
    api.build_kaggle_client = lambda: client
    api.upload_complete = put
    return Kaggle(api, user)


def make_dry_run_policy() -> RetryPolicy:
    """Return the policy of a dry run, whose waits take no time; it ends although some answers never come."""
    slept: list[float] = []
    return RetryPolicy(clock=lambda: sum(slept), sleep=slept.append, total=600.0)


def ask_kaggle(what: str, call: Callable[[], T], policy: RetryPolicy, tries: int = 1, limit: float | None = None) -> T:
    """Return the result of `call`, one request by the official client.

    The client's own output is suppressed, because it may contain signed addresses and, with VERBOSE=1, the
    Authorization header.

    Args:
        what: names the request in error messages.
        tries: how often to try; more than once only for requests that change nothing.
        limit: timeout in seconds, instead of the policy's.

    Raises:
        KaggleError: an HTTP error, no answer in time, or a broken connection.
    """
    waits = policy.waits()
    for left in range(tries - 1, -1, -1):
        try:
            return _translate_errors(what, call, limit or policy.timeout)
        except KaggleError as error:
            if not left or not policy.wait_to_retry(waits, error):
                raise
    raise AssertionError("tries is at least 1")


def poll_until(poll: Callable[[], T], policy: RetryPolicy) -> Iterator[T]:
    """Yield the results of `poll` until `policy.total` is over; temporary failures are skipped.

    Raises:
        KaggleError: `poll` failed permanently.
    """
    for _ in policy.waits():
        try:
            result = poll()
        except KaggleError as error:
            if not error.temporary:
                raise
        else:
            yield result


def ask_service(
    kaggle: Kaggle, what: str, service: str, method: str, policy: RetryPolicy, tries: int = 1, **fields: Any
) -> Any:
    """Return the answer to one typed request: `method` of the client's kernels, competitions, datasets or models.

    Raises:
        KaggleError: as `ask_kaggle`.
    """
    api = {"competitions": "competition_api", "datasets": "dataset_api", "models": "model_api"}.get(
        service, "kernels_api"
    )
    name = "".join(word.capitalize() for word in method.split("_"))
    request = getattr(importlib.import_module(f"kagglesdk.{service}.types.{api}_service"), f"Api{name}Request")()
    for field, value in fields.items():
        setattr(request, field, value)
    client = getattr(getattr(kaggle.api.build_kaggle_client(), service), f"{api}_client")
    return ask_kaggle(what, lambda: getattr(client, method)(request), policy, tries)


def _client_class() -> Any:
    """Import the official client's class, without the sign-in over the network and the output of its import."""
    try:
        transport = importlib.import_module("kagglesdk.kaggle_http_client").KaggleHttpClient
        transport._print = (
            _print_nothing  # with VERBOSE, an abandoned thread would print signed addresses and the token
        )
        with _block_requests(transport), _suppress_output():
            return importlib.import_module("kaggle.api.kaggle_api_extended").KaggleApi
    except ModuleNotFoundError as error:
        raise BadInput(f"no module {error.name}: pip install 'quorum[kaggle]'") from None


@contextlib.contextmanager
def _block_requests(transport: Any) -> Iterator[None]:
    """Make each request of the client fail before it is sent."""

    def refuse(*_: Any) -> None:
        raise ConnectionError

    call, transport.call = transport.call, refuse
    try:
        yield
    finally:
        transport.call = call


def _print_nothing(*_: Any) -> None:
    pass


@contextlib.contextmanager
def _suppress_output() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _translate_errors(what: str, call: Callable[[], T], limit: float) -> T:
    """Return the result of `call`; its errors become a KaggleError, or BadInput if the client refuses the request."""
    from requests import HTTPError, RequestException

    try:
        return _call_with_timeout(limit, call)
    except HTTPError as error:
        status = _error_status(error.response)
        message = f"{what}: Kaggle answered {status or 'nothing'}: {_one_line_reason(error)}"
        raise KaggleError(message, status, _retry_seconds(error.response)) from None
    except TimeoutError:
        raise KaggleError(f"{what}: no answer within {limit:g} s", None) from None
    except (RequestException, ConnectionError) as error:  # its text has addresses, which may be signed
        raise KaggleError(f"{what}: the connection failed ({type(error).__name__})", None) from None
    except KeyError as error:  # the client maps states by name, and Kaggle adds new ones
        raise KaggleError(f"{what}: the official client does not know Kaggle's answer {error}", None) from None
    except (TypeError, AttributeError, json.JSONDecodeError) as error:  # the client does not check for missing fields
        kind = type(error).__name__
        raise KaggleError(f"{what}: the official client cannot read Kaggle's answer ({kind})", None) from None
    except ValueError as error:  # the client itself refuses the request
        message = "a header is not legal" if "header value" in str(error) else str(error)  # a header has the token
        raise BadInput(f"{what}: {message}") from None


def _error_status(response: Any) -> int | None:
    """Return the HTTP status of an error; if the error was sent with status 200, the one in its body."""
    if response is None:
        return None
    if response.status_code < 400:
        with contextlib.suppress(ValueError, TypeError, KeyError, RuntimeError):
            return int(response.json()["code"])
    return int(response.status_code)


def _retry_seconds(response: Any) -> float:
    """Return the seconds in a Retry-After header; 0 without one, or if it has a date instead."""
    value = response.headers.get("Retry-After", "") if response is not None else ""
    return float(value) if re.fullmatch(r"\d{1,6}", value) else 0.0


def _one_line_reason(error: Exception) -> str:
    """Return Kaggle's message in one line."""
    return " ".join(str(error).split()) or "no reason given"


def _call_with_timeout(limit: float, call: Callable[[], T]) -> T:
    """Return the result of `call`, in a thread that is abandoned if it is late: the client has no timeout."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 (raised again below, in the caller's thread)
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    with _suppress_output():
        thread.start()
        thread.join(limit)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
