"""A built kernel pushed, waited for and read back."""

import hashlib
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from quorum.console import Progress
from quorum.disk import replace_file
from quorum.errors import BadInput, list_some
from quorum.kaggle.client import KAGGLE_SITE, Kaggle, KaggleError, RetryPolicy, ask_kaggle, ask_service, poll_until
from quorum.kaggle.metadata import KernelMetadata, read_kernel_metadata
from quorum.kaggle.secret import find_secrets

_INVALID = ("tags", "dataset_sources", "competition_sources", "kernel_sources", "model_sources")
# How many parts of a source's name say which it is; a version may follow.
_NAME_PARTS = {"dataset_sources": 2, "competition_sources": 1, "kernel_sources": 2, "model_sources": 4}
_BUSY = "session count"  # "Maximum batch GPU session count of 2 reached.": nothing was saved
_ENDED = ("COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED")
_NO_STATE = "unseen"
PUSHED_FILE = "pushed.json"  # what quorum push leaves beside the outputs: the version, and why it failed

# What a kernel's last lines often mean: a pattern, and what to do.
_CAUSES = (
    (r"CUDA out of memory|OutOfMemoryError", "GPU memory: a smaller model, batch or context length"),
    (r"allocate more memory than is available|exit code 137|\bKilled\b", "main memory: load one model at a time"),
    (r"No space left on device", "disk: write less to /kaggle/working"),
    (r"Bfloat16 is only supported", "the T4 has no bfloat16: set the type to float16"),
    (r"no kernel image is available", "another GPU than the wheels were built for: check machine_shape"),
    (r"No module named|ModuleNotFoundError", "a package is neither in the image nor in the wheels"),
    (r"No matching distribution found", "the wheels lack a package: quorum wheels checks the closure"),
    (
        r"name resolution|Max retries exceeded|NewConnectionError",
        "it wants the network, which is off: mount what it loads",
    ),
    (
        r"/kaggle/input.*(No such file|not found)|FileNotFoundError",
        "an input is missing: compare the mounts in the log",
    ),
    (r"[Tt]imed? ?out|exceeded the maximum (run)?time", "time: a nearer deadline, fewer samples or a smaller model"),
)


@dataclass(frozen=True)
class PushedVersion:
    """One version of a kernel at Kaggle."""

    id: str  # owner/slug
    version: int

    @property
    def url(self) -> str:
        return f"{KAGGLE_SITE}/code/{self.id}"


@dataclass(frozen=True)
class FetchedOutputs:
    """What a kernel left: its output files, and the lines it printed."""

    files: tuple[Path, ...]
    lines: tuple[str, ...]


def push_kernel(kaggle: Kaggle, folder: Path, patience: RetryPolicy, session: float | None = None) -> PushedVersion:
    """Saves the built kernel in `folder` as a new version and starts it, for at most `session` seconds.

    A push that failed half-way is looked up and never repeated: two sessions would run. A push that Kaggle turned
    away for now (too many requests, too many sessions) is repeated `patience.tries` times.

    Raises:
        BadInput: the metadata is wrong, belongs to another user, or names sources that Kaggle does not know; or the
            source holds what looks like a secret.
        KaggleRefused: Kaggle refused the push, or nobody knows whether it took it.
    """
    metadata = read_kernel_metadata(folder)
    if metadata.owner.lower() != kaggle.user.lower():
        raise BadInput(f"{folder}: kernel {metadata.id} is not yours: you are signed in as {kaggle.user}")
    source = (folder / metadata.code_file).read_text(encoding="utf-8")
    if secrets := find_secrets(source):
        raise BadInput(f"{folder / metadata.code_file}: what looks like a secret would be pushed: {list_some(secrets)}")
    before = latest_version(kaggle, metadata, patience)
    waits = patience.waits()
    for left in range(patience.tries - 1, -1, -1):
        try:
            return _saved(kaggle, folder, metadata, patience, session)
        except KaggleError as refused:
            if refused.ambiguous:
                return _looked_up(kaggle, metadata, before, source, patience, refused)
            if not left or not patience.before_another_try(waits, refused):
                raise
    raise AssertionError("tries is at least 1")


def latest_version(kaggle: Kaggle, metadata: KernelMetadata, patience: RetryPolicy) -> int:
    """The number of the kernel's newest version; 0 where Kaggle shows none."""
    kernel = _kernel(kaggle, metadata, patience)
    return kernel.metadata.current_version_number if kernel else 0


def wait_for_kernel(
    kaggle: Kaggle, pushed: PushedVersion, patience: RetryPolicy, progress: Progress | None = None
) -> str:
    """Waits until the version has ended; what comes out is why it failed, empty where it completed.

    An outage of Kaggle's is waited out; so is, for `patience.tries` questions, a version that does not show yet.

    Raises:
        KaggleRefused: it still runs when `patience.whole` is over, or Kaggle shows no such version.
    """
    state, start, unseen = "not told", patience.clock(), 0
    for state, reason in poll_until(partial(_session, kaggle, pushed, patience), patience):
        if state in _ENDED:
            return "" if state == "COMPLETE" else f"{state}: {reason or 'Kaggle gives no reason'}"
        unseen = unseen + 1 if state == _NO_STATE else 0
        if unseen == patience.tries:
            raise KaggleError(f"{pushed.url}: Kaggle shows no version {pushed.version}: {reason}", 404)
        if progress:
            progress(int(patience.clock() - start), int(patience.whole))  # seconds waited, of those there are
    raise KaggleError(f"{pushed.url} version {pushed.version}: {state} when the wait was over; it goes on there", None)


def fetch_kernel(kaggle: Kaggle, pushed: PushedVersion, folder: Path, patience: RetryPolicy) -> FetchedOutputs:
    """Downloads the version's output files into `folder`, and its log beside them as SLUG.log, which comes first.

    Raises:
        BadInput: a file's name leads out of the folder, stands there twice or is one of ours: nothing is downloaded
            then; or a file that cannot be written here, once the others are.
        KaggleRefused: Kaggle does not answer, or a download keeps breaking.
    """
    pages = list(_output_pages(kaggle, pushed, patience))
    listed = [(_safe_path(folder, file.file_name), file.url) for page in pages for file in page.files or []]
    lines = log_lines(next((page.log for page in pages if page.log), ""))
    log = _safe_path(folder, f"{pushed.id.split('/')[1]}.log")
    paths = [path for path, _ in listed]
    names = Counter([*paths, log, folder / PUSHED_FILE])
    if twice := sorted(path.name for path, count in names.items() if count > 1):
        raise BadInput(f"{pushed.url}: its outputs and ours have the same name twice: {list_some(twice)}")
    with replace_file(log) as part:
        part.write_text("\n".join([*lines, ""]), encoding="utf-8", errors="backslashreplace")
    unwritten = []
    for path, address in listed:
        download = partial(_download, path, address, patience.answer)
        why = ask_kaggle(f"downloading {path.name}", download, patience, patience.tries, patience.upload)
        unwritten += [f"{path.relative_to(folder)} ({why})"] if why else []
    if unwritten:
        raise BadInput(
            f"{folder}: an output cannot be written here: {list_some(unwritten)}; the others and the log are"
        )
    return FetchedOutputs(tuple(paths), tuple(lines))


def log_lines(log: str) -> list[str]:
    """The lines that a kernel printed, out of Kaggle's log (a JSON list of pieces, or plain text where it is none)."""
    try:
        text = "".join(str(piece["data"]) for piece in json.loads(log))
    except (ValueError, TypeError, KeyError, RecursionError):
        text = log
    return text.splitlines()


def likely_cause(lines: Iterable[str], reason: str = "") -> str | None:
    """What to do about a failed kernel, from its last lines and Kaggle's reason; the cause seen last wins."""
    for line in reversed([*lines, reason]):
        for pattern, cause in _CAUSES:
            if re.search(pattern, line):
                return cause
    return None


def _saved(
    kaggle: Kaggle, folder: Path, metadata: KernelMetadata, patience: RetryPolicy, session: float | None
) -> PushedVersion:
    timeout = None if session is None else str(math.ceil(session))  # 0 would be no limit
    what = f"pushing {metadata.id}"
    answer = ask_kaggle(what, lambda: kaggle.api.kernels_push(str(folder), timeout=timeout), patience)
    if answer.error:  # said in a body that comes with 200
        raise KaggleError(f"{what}: Kaggle answered: {answer.error}", 429 if _BUSY in answer.error else 400)
    if not answer.version_number or not isinstance(answer.version_number, int):
        raise KaggleError(f"{what}: Kaggle gave it no version", None)
    pushed = PushedVersion(metadata.id, answer.version_number)
    return _complete(pushed, {name: list(getattr(answer, f"invalid_{name}") or []) for name in _INVALID})


def _complete(pushed: PushedVersion, lacking: Mapping[str, Sequence[str]]) -> PushedVersion:
    """The version, which lacks nothing: else BadInput says what."""
    if any(lacking.values()):
        listed = "; ".join(f"{name} {', '.join(found)}" for name, found in lacking.items() if found)
        raise BadInput(
            f"{pushed.url} version {pushed.version} was saved and runs WITHOUT what Kaggle does not know or does "
            f"not show you: {listed}. Stop it there, mend the sources and push again"
        )
    return pushed


def _looked_up(
    kaggle: Kaggle, metadata: KernelMetadata, before: int, source: str, patience: RetryPolicy, refused: KaggleError
) -> PushedVersion:
    """The version that a push of unknown outcome made, known by its source.

    Raises:
        BadInput: it lacks sources that the metadata names: what Kaggle had to say of those is lost with its answer.
        KaggleRefused: none has appeared.
    """
    seen = poll_until(partial(_kernel, kaggle, metadata, patience), patience)
    for kernel in islice(seen, patience.tries):
        if kernel and kernel.metadata.current_version_number > before and _same_source(kernel.blob.source, source):
            return _complete(
                PushedVersion(metadata.id, kernel.metadata.current_version_number),
                _not_among(metadata, kernel.metadata),
            )
    url = PushedVersion(metadata.id, before).url
    raise KaggleError(f"{refused}; no new version shows at {url}: look there before you push again", None) from refused


def _not_among(metadata: KernelMetadata, theirs: Any) -> dict[str, list[str]]:
    """The sources that the kernel at Kaggle lacks, by their kind.

    Kaggle may show a source in other words: without its version, in small letters, under datasets/ or code/.
    """
    lacking = {}
    for kind, parts in _NAME_PARTS.items():
        shown = [f"/{name.lower()}/" for name in getattr(theirs, kind.replace("_sources", "_data_sources")) or []]
        bare = {name: "/".join(name.lower().split("/")[:parts]) for name in getattr(metadata, kind)}
        lacking[kind] = [name for name in bare if not any(f"/{bare[name]}/" in one for one in shown)]
    return lacking


def _same_source(theirs: str | None, ours: str) -> bool:
    digests = {hashlib.sha256(text.strip().encode()).digest() for text in (theirs or "", ours)}
    return len(digests) == 1


def _kernel(kaggle: Kaggle, metadata: KernelMetadata, patience: RetryPolicy) -> Any | None:
    """The kernel as Kaggle has it; None where it shows none (its answer is 403 for a kernel that does not exist)."""
    what, owner_slug = f"looking up {metadata.id}", {"user_name": metadata.owner, "kernel_slug": metadata.slug}
    try:
        return ask_service(kaggle, what, "kernels", "get_kernel", patience, patience.tries, **owner_slug)
    except KaggleError as refused:
        if refused.status in (403, 404):
            return None
        raise


def _session(kaggle: Kaggle, pushed: PushedVersion, patience: RetryPolicy) -> tuple[str, str]:
    """The state of the version's session, and Kaggle's reason where it failed or does not show the version."""
    try:
        answer = _asked_of(kaggle, pushed, "get_kernel_session_status", patience)
    except KaggleError as refused:
        if refused.status in (403, 404):
            return _NO_STATE, str(refused)
        raise
    return answer.status.name, answer.failure_message or ""


def _output_pages(kaggle: Kaggle, pushed: PushedVersion, patience: RetryPolicy) -> Iterator[Any]:
    token: str | None = ""
    while token is not None:
        page = _asked_of(kaggle, pushed, "list_kernel_session_output", patience, page_size=100, page_token=token)
        yield page
        token = page.next_page_token or None


def _asked_of(kaggle: Kaggle, pushed: PushedVersion, method: str, patience: RetryPolicy, **fields: Any) -> Any:
    """The answer to a question about this very version: without its label Kaggle tells of the newest one."""
    owner, slug = pushed.id.split("/")
    fields |= {"user_name": owner, "kernel_slug": slug, "version_label": f"v{pushed.version}"}
    return ask_service(kaggle, f"{method} {pushed.id}", "kernels", method, patience, patience.tries, **fields)


def _safe_path(folder: Path, name: str) -> Path:
    """Where the output `name` belongs; one that leads out of the folder is refused, as is one with a backslash."""
    parts = PurePosixPath(name).parts
    legible = all(sign.isprintable() or unicodedata.category(sign) == "Zs" for sign in name)
    if "\\" not in name and ".." not in parts and not name.startswith("/") and legible:
        path = folder.joinpath(*parts)
        if folder.resolve() in path.resolve().parents:
            return path
    raise BadInput(f"an output is named {name!r}, which leads out of {folder}; nothing was downloaded")


def _download(path: Path, address: str, timeout: float) -> str:
    """Writes the bytes at `address`, which is signed: it stands in no message. What comes out is why it could not."""
    import requests

    with requests.get(address, stream=True, timeout=timeout) as answer:
        if answer.status_code != 200:
            raise requests.HTTPError(answer.reason, response=answer)
        try:
            with replace_file(path) as part, part.open("wb") as file:
                for piece in answer.iter_content(1 << 20):
                    file.write(piece)
        except requests.RequestException:  # one of the system's errors too
            raise
        except OSError as error:
            return error.strerror or type(error).__name__
    return ""
