"""A small Kaggle on this machine: it answers the official client's requests, keeps what it is sent, and fails on order.

Its addresses, fields and states are those of the client; its rules (who may what, how many a day) are a model of the
service. `KaggleStub.environment` points the unmodified client here and at nothing else.
"""

import json
import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from quorum.kaggle.client import RetryPolicy

USER = "ada"


class Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with one request: refused, carried out but the answer is lost, or no answer for a while."""

    status: int = 503  # 0: the connection is cut
    message: str = "try later"
    done: bool = False  # carried out all the same
    seconds: float = 0.0
    instead: str = ""  # another hand saves this source at the same time
    after: str = ""  # the Retry-After of the answer


@dataclass
class KaggleStub:
    """The service's memory, and the knobs that a test turns."""

    port: int = 0
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)  # requests for any other host
    kernels: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    datasets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    models: dict[str, list[dict[str, bytes]]] = field(default_factory=dict)
    blobs: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    submissions: list[dict[str, Any]] = field(default_factory=list)
    troubles: dict[str, list[Trouble]] = field(default_factory=lambda: defaultdict(list))
    competitions: set[str] = field(default_factory=lambda: {"letters"})
    outputs: dict[str, bytes] = field(default_factory=lambda: {"submission.csv": b"id,answer\n1,A\n"})
    data: bytes = b""  # the competition's files, zipped
    log: str = '[{"stream_name":"stdout","time":0.1,"data":"2 x Tesla T4\\ndone\\n"}]'
    states: list[str] = field(default_factory=lambda: ["QUEUED", "RUNNING", "COMPLETE"])
    dataset_states: list[str] = field(default_factory=lambda: ["BLOBS_RECEIVED", "READY"])
    dataset_versions: dict[str, int] = field(default_factory=lambda: defaultdict(lambda: 1))
    dataset_lag: int = 0  # how often a dataset with a new version is still shown as it was before
    lagging: int = 0
    submission_states: list[str] = field(default_factory=lambda: ["PENDING", "COMPLETE"])
    failure: str = ""
    save_error: str = ""
    daily: int = 5
    joined: bool = True
    score: Callable[[bytes], str] = lambda data: "0.71250"

    def environment(self, home: Path) -> dict[str, str]:
        """A whole environment for the client: no real credential in it, and no way out but this stub."""
        here = f"http://127.0.0.1:{self.port}"
        proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), here)
        login = {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": "0" * 32, "KAGGLE_API_ENVIRONMENT": "LOCALHOST"}
        return {"HOME": str(home), "TMPDIR": str(home), "PATH": "/usr/bin:/bin"} | login | proxies

    def count(self, method: str) -> int:
        """How often `method` was asked for."""
        return sum(name == method for name, _ in self.asked)

    def last(self, method: str) -> dict[str, Any]:
        """The body of the last request for `method`."""
        return next(body for name, body in reversed(self.asked) if name == method)

    # What the service does, each under the snake_case of its name on the wire.

    def introspect_token(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("token") != "a-good-token":
            raise Refusal(404, "token not found")
        return {"active": True, "username": USER}

    def save_kernel(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.save_error:
            return {"error": self.save_error}
        if len(body["text"]) > 1_000_000:
            raise Refusal(400, "The kernel source must be less than 1 megabytes in size.")
        versions = self.kernels[body["slug"]]
        versions.append(body | {"polls": 0})
        unknown = {
            f"invalid{kind}Sources": [name for name in body.get(wire, []) if self._bare(name) not in known]
            for kind, wire, known in self._sources()
        }
        return {"versionNumber": len(versions)} | unknown

    def get_kernel(self, body: dict[str, Any]) -> dict[str, Any]:
        versions = self._kernel(body)
        shown = {  # as the service is said to show them: datasets without a version, kernels under code/
            wire: [
                {"Dataset": self._bare(name), "Kernel": f"code/{name}"}.get(kind, name)
                for name in versions[-1].get(wire, [])
                if self._bare(name) in known
            ]
            for kind, wire, known in self._sources()
        }
        return {
            "metadata": {"currentVersionNumber": len(versions), "slug": body["kernelSlug"]} | shown,
            "blob": {"source": versions[-1]["text"]},
        }

    def get_kernel_session_status(self, body: dict[str, Any]) -> dict[str, Any]:
        version = self._kernel(body)[int(body["versionLabel"][1:]) - 1]
        state = self.states[min(version["polls"], len(self.states) - 1)]
        version["polls"] += 1
        return {"status": state} | ({"failureMessage": self.failure} if self.failure and state == "ERROR" else {})

    def list_kernel_session_output(self, body: dict[str, Any]) -> dict[str, Any]:
        self._kernel(body)
        names, start = sorted(self.outputs), int(body.get("pageToken") or 0)
        page = names[start : start + 2]  # small pages, so that two files and one more need two
        more = {"nextPageToken": str(start + 2)} if start + 2 < len(names) else {}
        files = [{"fileName": name, "url": f"http://127.0.0.1:{self.port}/out/{names.index(name)}"} for name in page]
        return {"files": files, "log": self.log} | more

    def start_blob_upload(self, body: dict[str, Any]) -> dict[str, Any]:
        token = f"blob-{len(self.blobs)}"
        self.blobs[token] = (body.get("name") or body["fileName"], b"")
        return {"token": token, "createUrl": f"http://127.0.0.1:{self.port}/upload/{token}"}

    start_submission_upload = start_blob_upload

    def get_dataset(self, body: dict[str, Any]) -> dict[str, Any]:
        lag, self.lagging = min(1, self.lagging), max(0, self.lagging - 1)
        return {"currentVersionNumber": self.dataset_versions[self._dataset(body)] - lag}

    def get_dataset_status(self, body: dict[str, Any]) -> dict[str, Any]:
        self._dataset(body)
        if self.lagging:
            return {"status": "READY"}
        return {"status": self.dataset_states.pop(0) if len(self.dataset_states) > 1 else self.dataset_states[0]}

    def create_dataset(self, body: dict[str, Any]) -> dict[str, Any]:
        self.datasets[f"{body['ownerSlug']}/{body['slug']}"] = self._files(body)
        return {"status": "ok"}

    def create_dataset_version(self, body: dict[str, Any]) -> dict[str, Any]:
        self.datasets[self._dataset(body)] = self._files(body["body"])
        self.dataset_versions[self._dataset(body)] += 1
        self.lagging = self.dataset_lag
        return {"status": "ok"}

    def list_dataset_files(self, body: dict[str, Any]) -> dict[str, Any]:
        files = self.datasets[self._dataset(body)]
        return {"datasetFiles": [{"name": name, "totalBytes": len(data)} for name, data in files.items()]}

    def get_model(self, body: dict[str, Any]) -> dict[str, Any]:
        if not any(name.startswith(f"{body['ownerSlug']}/{body['modelSlug']}") for name in self.models):
            raise Refusal(404, "Model not found")
        return {"slug": body["modelSlug"]}

    def create_model(self, body: dict[str, Any]) -> dict[str, Any]:
        self.models[f"{body['ownerSlug']}/{body['slug']}"] = []
        return {"id": 1}

    def get_model_instance(self, body: dict[str, Any]) -> dict[str, Any]:
        versions = self.models.get(self._variation(body, body["instanceSlug"]))
        if versions is None:
            raise Refusal(404, "Model instance not found")
        return {"slug": body["instanceSlug"], "versionNumber": len(versions)}

    def create_model_instance(self, body: dict[str, Any]) -> dict[str, Any]:
        inner = body["body"]
        self.models[self._variation(body | inner, inner["instanceSlug"])] = [self._files(inner)]
        return {"id": 2}

    def create_model_instance_version(self, body: dict[str, Any]) -> dict[str, Any]:
        self.models[self._variation(body, body["instanceSlug"])].append(self._files(body["body"]))
        return {"id": 3}

    def get_submission_limits(self, body: dict[str, Any]) -> dict[str, Any]:
        if not self.joined:
            return {}
        today = len(self.submissions)
        return {"numToday": today, "numTotal": today, "numAllowedNow": max(0, self.daily - today)}

    def create_submission(self, body: dict[str, Any]) -> dict[str, Any]:
        name, data = self.blobs[body["blobFileTokens"]]
        return self._submitted(body, name, data)

    def create_code_submission(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._submitted(body, body["fileName"], self.outputs[body["fileName"]])

    def list_submissions(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"submissions": self.submissions[::-1]}

    def get_submission(self, body: dict[str, Any]) -> dict[str, Any]:
        submission = self.submissions[body["ref"] - 1]
        state = submission["states"].pop(0) if len(submission["states"]) > 1 else submission["states"][0]
        error = {"errorDescription": self.failure} if state == "ERROR" else {}
        return {key: value for key, value in submission.items() if key != "states"} | {"status": state} | error

    def _kernel(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        versions = self.kernels.get(f"{body['userName']}/{body['kernelSlug']}")
        if not versions:
            raise Refusal(403, "Permission 'kernels.get' was denied")
        return versions

    def _sources(self) -> list[tuple[str, str, Container[str]]]:
        """What a kernel may be given: the kind's name, its field on the wire, and what there is."""
        there = {
            "Dataset": self.datasets,
            "Competition": self.competitions,
            "Kernel": self.kernels,
            "Model": self.models,
        }
        return [(kind, f"{kind.lower()}DataSources", known) for kind, known in there.items()]

    def _bare(self, name: str) -> str:
        """A source's name without its version."""
        return re.sub(r"/\d+$", "", name)

    def _dataset(self, body: dict[str, Any]) -> str:
        id = f"{body['ownerSlug']}/{body['datasetSlug']}"
        if id not in self.datasets:
            raise Refusal(403, "Permission 'datasets.get' was denied")
        return id

    def _files(self, body: dict[str, Any]) -> dict[str, bytes]:
        return dict(self.blobs[item["token"]] for item in body["files"])

    def _variation(self, body: dict[str, Any], instance: str) -> str:
        framework = body["framework"].removeprefix("MODEL_FRAMEWORK_").lower()
        return f"{body['ownerSlug']}/{body['modelSlug']}/{framework}/{instance}"

    def _submitted(self, body: dict[str, Any], name: str, data: bytes) -> dict[str, Any]:
        if body["competitionName"] not in self.competitions:
            raise Refusal(404, "Competition not found")
        if len(self.submissions) >= self.daily:
            raise Refusal(400, "You have reached your daily limit")
        self.submissions.append(
            {
                "ref": len(self.submissions) + 1,
                "fileName": name,
                "description": body.get("submissionDescription", ""),
                "publicScore": self.score(data),
                "states": list(self.submission_states),
            }
        )
        return {"message": "Successfully submitted", "ref": len(self.submissions)}


@contextmanager
def kaggle_stub() -> Iterator[KaggleStub]:
    """A stub that listens on a free port of the loopback device."""
    stub = KaggleStub()

    class Handler(_Handler):
        service = stub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: KaggleStub

    def log_message(self, *_: Any) -> None:
        pass

    def do_CONNECT(self) -> None:  # noqa: N802 (the server's own names)
        """An https request of the client's, which could only be for the real Kaggle."""
        self.service.strays.append(self.path)
        self.close_connection = True
        self._reply(403, b"")

    def do_POST(self) -> None:  # noqa: N802
        target = urlsplit(self.path)
        if target.hostname not in (None, "localhost", "127.0.0.1"):
            self.service.strays.append(self.path)
        method = target.path.rsplit("/", 1)[-1]
        if method == "DownloadDataFiles":  # answered with where the archive is
            self._body()
            self._reply(302, b"", headers={"Location": f"http://127.0.0.1:{self.service.port}/data/letters.zip"})
            return
        body = json.loads(self._body() or b"{}")
        self.service.asked.append((method, body))
        trouble = self.service.troubles[method].pop(0) if self.service.troubles[method] else None
        if trouble and trouble.instead:
            self._answer(method, body | {"text": trouble.instead})
        if trouble is None or trouble.done:
            status, answer = self._answer(method, body)
        if trouble:
            time.sleep(trouble.seconds)
            if not trouble.status:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            status, answer = trouble.status, {"code": trouble.status, "message": trouble.message}
        after = {"Retry-After": trouble.after} if trouble and trouble.after else {}
        self._reply(status, json.dumps(answer).encode(), headers=after)

    def do_PUT(self) -> None:  # noqa: N802
        token = self.path.rsplit("/", 1)[-1]
        data = self._body()
        if self.service.troubles["PUT"]:
            self._reply(self.service.troubles["PUT"].pop(0).status, b"")
            return
        self.service.blobs[token] = (self.service.blobs[token][0], data)
        self._reply(200, b"{}")

    def do_GET(self) -> None:  # noqa: N802
        if self.path.endswith("/data/letters.zip"):
            self._reply(200, self.service.data)
            return
        names = sorted(self.service.outputs)
        data = self.service.outputs[names[int(unquote(self.path).rsplit("/", 1)[-1])]]
        cut = self.service.troubles["GET"].pop(0) if self.service.troubles["GET"] else None
        self._reply(200, data, length=len(data) + 100 if cut else None)
        self.close_connection = cut is not None

    def _answer(self, method: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        handler = getattr(self.service, re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower())
        try:
            return 200, handler(body)
        except Refusal as refusal:
            return refusal.status, {"code": refusal.status, "message": str(refusal)}

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _reply(
        self, status: int, data: bytes, length: int | None = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if data.startswith(b"{") else "application/octet-stream")
        self.send_header("Content-Length", str(len(data) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


def patient(**limits: Any) -> RetryPolicy:
    """Patience that costs no time."""
    clock = Clock()
    return RetryPolicy(clock=lambda: clock.now, sleep=clock.sleep, **limits)
