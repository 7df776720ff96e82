"""Push a built kernel, wait for it, and read its outputs back."""

import errno
import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from quorum.console import Progress
from quorum.disk import hold_lock, replace_file
from quorum.errors import BadInput, list_some
from quorum.kaggle.client import KAGGLE_SITE, Kaggle, KaggleError, RetryPolicy, ask_kaggle, ask_service, poll_until
from quorum.kaggle.kernel_log import parse_log, shorten_log
from quorum.kaggle.metadata import KernelMetadata, read_kernel_metadata
from quorum.kaggle.secret import find_secrets

_INVALID = ("tags", "dataset_sources", "competition_sources", "kernel_sources", "model_sources")
# The number of parts in a source's name, without its version.
_NAME_PARTS = {"dataset_sources": 2, "competition_sources": 1, "kernel_sources": 2, "model_sources": 4}
_BUSY = "session count"  # "Maximum batch GPU session count of 2 reached.": nothing was saved
_ENDED = ("COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED")
_NO_STATE = "unseen"
MOST_OUTPUT_BYTES = 21_000_000_000  # of all outputs of a version; /kaggle/working holds 20 GB
PUSHED_FILE = "pushed.json"  # in the folder of the outputs: the version, and why it failed


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
    """A kernel's output files, and the lines that it printed."""

    files: tuple[Path, ...]
    lines: tuple[str, ...]


def push_kernel(
    kaggle: Kaggle,
    folder: Path,
    policy: RetryPolicy,
    session: float | None = None,
    is_read: Callable[[PushedVersion], bool] = lambda version: True,
) -> PushedVersion:
    """Save the built kernel in `folder` as a new version and start it, for at most `session` seconds.

    Nothing is pushed if the newest version at Kaggle has the same source and inputs and `is_read` returns False for it:
    an earlier push was killed after Kaggle had it, and that version is returned. Two processes that push one folder
    take turns.

    A push whose outcome is unknown is looked up and never repeated, because two sessions would run. A push that Kaggle
    refuses for now (too many requests, too many sessions) is tried `policy.tries` times.

    Raises:
        BadInput: the metadata is wrong, belongs to another user, or names sources that Kaggle does not know; or the
            source has a possible secret.
        KaggleError: Kaggle refused the push, or the outcome is unknown.
    """
    metadata = read_kernel_metadata(folder)
    if metadata.owner.lower() != kaggle.user.lower():
        raise BadInput(f"{folder}: kernel {metadata.id} is not yours: you are signed in as {kaggle.user}")
    source = (folder / metadata.code_file).read_text(encoding="utf-8")
    if secrets := find_secrets(source):
        raise BadInput(f"{folder / metadata.code_file}: a possible secret would be pushed: {list_some(secrets)}")
    with hold_lock(folder, lambda: None):
        newest = _get_kernel(kaggle, metadata, policy)
        before = newest.metadata.current_version_number if newest else 0
        pushed = PushedVersion(metadata.id, before)
        if newest and _is_same_kernel(newest, metadata, source) and not is_read(pushed):
            return pushed
        return _push_source(kaggle, folder, metadata, policy, source=source, before=before, session=session)


def _is_same_kernel(newest: Any, metadata: KernelMetadata, source: str) -> bool:
    """Return whether the newest version at Kaggle has this source and all inputs of the metadata."""
    missing = _find_missing_sources(metadata, newest.metadata)
    return _same_source(newest.blob.source, source) and not any(missing.values())


def _push_source(
    kaggle: Kaggle,
    folder: Path,
    metadata: KernelMetadata,
    policy: RetryPolicy,
    *,
    source: str,
    before: int,
    session: float | None,
) -> PushedVersion:
    waits = policy.waits()
    for left in range(policy.tries - 1, -1, -1):
        try:
            return _save_version(kaggle, folder, metadata, policy, session)
        except KaggleError as error:
            if error.ambiguous:
                return _look_up_version(kaggle, metadata, before=before, source=source, policy=policy, error=error)
            if not left or not policy.wait_to_retry(waits, error):
                raise
    raise AssertionError("tries is at least 1")


def wait_for_kernel(
    kaggle: Kaggle, pushed: PushedVersion, policy: RetryPolicy, progress: Progress | None = None
) -> str:
    """Wait until the version has ended; return why it failed, or an empty text if it completed.

    Outages of Kaggle are waited for, and a version that is not visible yet is polled `policy.tries` times.

    Raises:
        KaggleError: the version still runs when `policy.total` is over, or Kaggle shows no such version.
    """
    state, start, unseen = "in an unknown state", policy.clock(), 0
    for state, reason in poll_until(partial(_get_session_state, kaggle, pushed, policy), policy):
        if state in _ENDED:
            return "" if state == "COMPLETE" else f"{state}: {reason or 'Kaggle gives no reason'}"
        unseen = unseen + 1 if state == _NO_STATE else 0
        if unseen == policy.tries:
            raise KaggleError(f"{pushed.url}: Kaggle shows no version {pushed.version}: {reason}", 404)
        if progress:
            progress(int(policy.clock() - start), int(policy.total))  # seconds, of the longest wait
    raise KaggleError(
        f"{pushed.url} version {pushed.version}: still {state} when the wait was over; it keeps running there", None
    )


def fetch_kernel(kaggle: Kaggle, pushed: PushedVersion, folder: Path, policy: RetryPolicy) -> FetchedOutputs:
    """Download the version's log, as SLUG.log, and then its output files into `folder`.

    Raises:
        BadInput: a file name leads out of the folder, occurs twice or is one of ours (then nothing is downloaded); or a
            file cannot be written here (the others are downloaded).
        KaggleError: Kaggle does not answer, or a download keeps failing.
    """
    pages = list(_list_output_pages(kaggle, pushed, policy))
    files = [(_safe_path(folder, file.file_name), file.url) for page in pages for file in page.files or []]
    lines = parse_log(shorten_log(next((page.log for page in pages if page.log), "")))
    log = _safe_path(folder, f"{pushed.id.split('/')[1]}.log")
    paths = [path for path, _ in files]
    names = Counter([*paths, log, folder / PUSHED_FILE])
    if repeated := sorted(path.name for path, count in names.items() if count > 1):
        raise BadInput(f"{pushed.url}: names of its outputs and of our files occur twice: {list_some(repeated)}")
    with replace_file(log) as part:
        part.write_text("\n".join([*lines, ""]), encoding="utf-8", errors="backslashreplace")
    unwritten = []
    budget = _DownloadBudget(MOST_OUTPUT_BYTES)
    for path, address in files:
        download = partial(_download, path, address, policy.timeout, budget)
        problem = ask_kaggle(f"downloading {path.name}", download, policy, policy.tries, policy.transfer_timeout)
        unwritten += [f"{path.relative_to(folder)} ({problem})"] if problem else []
    if unwritten:
        raise BadInput(
            f"{folder}: outputs cannot be written here: {list_some(unwritten)}; the others and the log were written"
        )
    return FetchedOutputs(tuple(paths), tuple(lines))


def _save_version(
    kaggle: Kaggle, folder: Path, metadata: KernelMetadata, policy: RetryPolicy, session: float | None
) -> PushedVersion:
    timeout = None if session is None else str(math.ceil(session))  # 0 would be no limit
    what = f"pushing {metadata.id}"
    answer = ask_kaggle(what, lambda: kaggle.api.kernels_push(str(folder), timeout=timeout), policy)
    if answer.error:  # in the body of a response with status 200
        raise KaggleError(f"{what}: Kaggle answered: {answer.error}", 429 if _BUSY in answer.error else 400)
    if not answer.version_number or not isinstance(answer.version_number, int):
        raise KaggleError(f"{what}: Kaggle returned no version number", None)
    pushed = PushedVersion(metadata.id, answer.version_number)
    return _check_complete(pushed, {name: list(getattr(answer, f"invalid_{name}") or []) for name in _INVALID})


def _check_complete(pushed: PushedVersion, missing: Mapping[str, Sequence[str]]) -> PushedVersion:
    """Return the version; raises BadInput if tags or sources are missing in it."""
    if any(missing.values()):
        listed = "; ".join(f"{name} {', '.join(names)}" for name, names in missing.items() if names)
        raise BadInput(
            f"{pushed.url} version {pushed.version} was saved and runs WITHOUT sources or tags that Kaggle does not"
            f" know or does not show you: {listed}. Stop it there, fix the sources and push again"
        )
    return pushed


def _look_up_version(
    kaggle: Kaggle, metadata: KernelMetadata, before: int, source: str, policy: RetryPolicy, error: KaggleError
) -> PushedVersion:
    """Return the version that a push of unknown outcome has made, identified by its source.

    Raises:
        BadInput: sources of the metadata are missing in the version.
        KaggleError: no new version has appeared.
    """
    polls = poll_until(partial(_get_kernel, kaggle, metadata, policy), policy)
    for kernel in islice(polls, policy.tries):
        if kernel and kernel.metadata.current_version_number > before and _same_source(kernel.blob.source, source):
            return _check_complete(
                PushedVersion(metadata.id, kernel.metadata.current_version_number),
                _find_missing_sources(metadata, kernel.metadata),
            )
    url = PushedVersion(metadata.id, before).url
    raise KaggleError(f"{error}; {url} shows no new version: check there before you push again", None) from error


def _find_missing_sources(metadata: KernelMetadata, remote: Any) -> dict[str, list[str]]:
    """Return the sources that are missing in the kernel at Kaggle, by kind.

    Kaggle may write a source in another form: without its version, in lower case, under datasets/ or code/.
    """
    missing = {}
    for kind, parts in _NAME_PARTS.items():
        shown = [f"/{name.lower()}/" for name in getattr(remote, kind.replace("_sources", "_data_sources")) or []]
        bare = {name: "/".join(name.lower().split("/")[:parts]) for name in getattr(metadata, kind)}
        missing[kind] = [name for name in bare if not any(f"/{bare[name]}/" in one for one in shown)]
    return missing


def _same_source(remote: str | None, local: str) -> bool:
    digests = {hashlib.sha256(text.strip().encode()).digest() for text in (remote or "", local)}
    return len(digests) == 1


def _get_kernel(kaggle: Kaggle, metadata: KernelMetadata, policy: RetryPolicy) -> Any | None:
    """Return the kernel at Kaggle, or None if it shows none (it answers 403 for a kernel that does not exist)."""
    what, owner_slug = f"looking up {metadata.id}", {"user_name": metadata.owner, "kernel_slug": metadata.slug}
    try:
        return ask_service(
            kaggle, what, service="kernels", method="get_kernel", policy=policy, tries=policy.tries, **owner_slug
        )
    except KaggleError as error:
        if error.status in (403, 404):
            return None
        raise


def _get_session_state(kaggle: Kaggle, pushed: PushedVersion, policy: RetryPolicy) -> tuple[str, str]:
    """Return the state of the version's session, and Kaggle's reason if it failed or is not visible."""
    try:
        answer = _ask_about_version(kaggle, pushed, "get_kernel_session_status", policy)
    except KaggleError as error:
        if error.status in (403, 404):
            return _NO_STATE, str(error)
        raise
    return answer.status.name, answer.failure_message or ""


def _list_output_pages(kaggle: Kaggle, pushed: PushedVersion, policy: RetryPolicy) -> Iterator[Any]:
    token: str | None = ""
    while token is not None:
        page = _ask_about_version(kaggle, pushed, "list_kernel_session_output", policy, page_size=100, page_token=token)
        yield page
        token = page.next_page_token or None


def _ask_about_version(kaggle: Kaggle, pushed: PushedVersion, method: str, policy: RetryPolicy, **fields: Any) -> Any:
    """Return the answer to a request about this version; without a label, Kaggle answers about the newest one."""
    owner, slug = pushed.id.split("/")
    fields |= {"user_name": owner, "kernel_slug": slug, "version_label": f"v{pushed.version}"}
    return ask_service(
        kaggle, f"{method} {pushed.id}", service="kernels", method=method, policy=policy, tries=policy.tries, **fields
    )


def _safe_path(folder: Path, name: str) -> Path:
    """Return the path of the output `name`; refuse a name that leads out of the folder or has a backslash."""
    parts = PurePosixPath(name).parts
    printable = all(char.isprintable() or unicodedata.category(char) == "Zs" for char in name)
    if "\\" not in name and ".." not in parts and not name.startswith("/") and printable:
        path = folder.joinpath(*parts)
        if folder.resolve() in path.resolve().parents:
            return path
    raise BadInput(f"an output is named {name!r}, which leads out of {folder}; nothing was downloaded")


@dataclass
class _DownloadBudget:
    """The number of bytes that may still be downloaded of a version's outputs."""

    left: int


def _download(path: Path, address: str, timeout: float, budget: _DownloadBudget) -> str:
    """Write the bytes at `address` to `path`; return the system's error, or an empty text.

    The address is signed, so it must not occur in a message.
    """
    import requests

    with requests.get(address, stream=True, timeout=timeout) as answer:
        if answer.status_code != 200:
            raise requests.HTTPError(answer.reason, response=answer)
        try:
            with replace_file(path) as part, part.open("wb") as file:
                for piece in answer.iter_content(1 << 20):
                    if file.tell() + len(piece) > budget.left:
                        raise OSError(errno.EFBIG, f"all outputs have more than {MOST_OUTPUT_BYTES / 1e9:.0f} GB")
                    file.write(piece)
                written = file.tell()
            budget.left -= written
        except requests.RequestException:  # a subclass of OSError, but no problem with the file
            raise
        except OSError as error:
            return error.strerror or type(error).__name__
    return ""
