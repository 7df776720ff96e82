"""Replies that outlive the process: a run that was killed goes on where it stood.

The store is SQLite in WAL mode, out of Python's own library: one file that any tool reads, proven for decades against
torn writes; a commit is whole or not there. `synchronous=FULL` waits for the disk once a batch, milliseconds beside a
model's seconds: neither a kill -9 (for which NORMAL would do) nor a power cut takes a committed reply.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from quorum.disk import fingerprint
from quorum.errors import BadInput
from quorum.model.backend import Backend
from quorum.question import Prompt, Reply

_REPLIES = (
    "CREATE TABLE IF NOT EXISTS replies"
    " (key BLOB PRIMARY KEY, question TEXT NOT NULL, reply TEXT NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID"
)
# as bytes: a letter that rotted on the disk is for the digest to find, not for a decoder to stumble over
_FIND = "SELECT CAST(reply AS BLOB), digest FROM replies WHERE key = ?"
_KEEP = "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)"
_LONGEST_PATH = 256  # characters; a longer text is no path
_LOCK_SECONDS = 60.0  # how long to wait for another process that writes to the same journal


class JournalBackend:
    """A backend around a backend that asks nothing again that it has a reply to, and commits replies as they come.

    A reply is known by the SHA-256 of all that determines it: `asked_of`, the prompt's content, labels and options,
    and how often the same content came before in this run (sampled votes ask it again and want another reply); that
    number is the `repeat` under which the model is asked, so that a draw is the same in whatever process it is made.
    So a changed prompt, model or setting is asked anew. `asked_of` names the model and everything that it answers by;
    see `journal_name`. An empty reply is not kept: that is what a question that failed or was not asked looks like.
    Where the model answers the same prompt the same way in any batch, the finished run equals an unbroken one.

    At most `most` prompts are asked between two commits: what a kill can cost.

    A file that is no sound database is set aside as `<name>.broken` and told in `dropped` (None otherwise); a record
    whose digest does not fit it is asked again. Use it on a local disk: WAL does not work over a network.

    Raises:
        BadInput: the file can't be written to.
    """

    def __init__(self, inner: Backend, path: Path, asked_of: str, most: int = 256) -> None:
        self.inner, self.path, self.asked_of, self.most = inner, path, asked_of, most
        self.dropped: Path | None = None
        self.remembered = 0  # replies that came from the file
        self._seen: Counter[bytes] = Counter()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._store = _opened(path)
        except sqlite3.OperationalError as error:  # not the file's content: a folder, no right to write, locked
            raise BadInput(f"{path}: the journal can't be opened: {error}") from None
        except sqlite3.DatabaseError:
            self.dropped = _set_aside(path)
            self._store = _opened(path)

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order: remembered, or asked and then remembered."""
        votes = [self._counted(prompt) for prompt in prompts]
        keys = [self._key(vote) for vote in votes]
        replies = [self._find(key) for key in keys]
        missing = [place for place, reply in enumerate(replies) if reply is None]
        self.remembered += len(prompts) - len(missing)
        for start in range(0, len(missing), self.most):
            places = missing[start : start + self.most]
            rows = []
            for place, reply in zip(places, self.inner.answer([votes[place] for place in places]), strict=True):
                replies[place] = reply
                if reply.text or reply.label_logprobs is not None:
                    rows.append(_row(keys[place], prompts[place], reply))
            self._write(rows)
        return [reply for reply in replies if reply is not None]

    def close(self) -> None:
        """Folds the write-ahead log into the file; a journal that was not closed is as complete, in two files."""
        self._store.close()

    def _counted(self, prompt: Prompt) -> Prompt:
        """The prompt under a `repeat` that counts how often its content came before."""
        content = hashlib.sha256(_canonical(_content_of(prompt)).encode()).digest()
        self._seen[content] += 1
        return replace(prompt, repeat=self._seen[content] - 1)

    def _key(self, prompt: Prompt) -> bytes:
        known = [self.asked_of, _content_of(prompt), prompt.labels, prompt.options]
        asked = hashlib.sha256(_canonical(known).encode()).digest()
        return hashlib.sha256(asked + str(prompt.repeat + 1).encode()).digest()

    def _find(self, key: bytes) -> Reply | None:
        row = self._store.execute(_FIND, (key,)).fetchone()
        if row is None or row[1] != hashlib.sha256(key + (row[0] or b"")).digest():
            return None
        kept = json.loads(row[0])
        return Reply(kept["text"], kept["label_logprobs"])

    def _write(self, rows: Sequence[tuple[bytes, str, str, bytes]]) -> None:
        try:
            with self._store:  # one transaction
                self._store.executemany(_KEEP, rows)
        except sqlite3.Error as error:
            raise BadInput(f"{self.path}: the journal can't be written: {error}") from None


def _content_of(prompt: Prompt) -> Any:
    return prompt.content if isinstance(prompt.content, str) else [asdict(turn) for turn in prompt.content]


def _row(key: bytes, prompt: Prompt, reply: Reply) -> tuple[bytes, str, str, bytes]:
    logprobs = None if reply.label_logprobs is None else dict(reply.label_logprobs)
    text = json.dumps({"text": reply.text, "label_logprobs": logprobs})
    question = prompt.question_id.encode(errors="replace").decode()  # for the eye of a reader
    return key, question, text, hashlib.sha256(key + text.encode()).digest()


def journal_name(table: Mapping[str, Any], *files: Path) -> str:
    """What determines a backend's replies besides the prompt, as one text: its TOML table, and the SHA-256 of every
    local file that the table or one inside it names (a model, an adapter trained again under the same name) and of
    `files` besides."""
    texts = [text for text in _texts_in(table) if 0 < len(text) < _LONGEST_PATH]
    paths = [*(Path(text) for text in texts if Path(text).name), *files]  # "." and "/" are words here, no models
    inside = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return _canonical([dict(table), {str(file): fingerprint(file) for file in inside if file.is_file()}])


def _texts_in(table: Mapping[str, Any]) -> Iterator[str]:
    """Every text of a table and of those inside it; `name` says which backend it is and no file."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _texts_in(value)
        elif isinstance(value, str) and name != "name":
            yield value


def _opened(path: Path) -> sqlite3.Connection:
    """The database at `path`, whose pages and trees have been looked through."""
    store = sqlite3.connect(path, timeout=_LOCK_SECONDS)
    try:
        store.execute("PRAGMA journal_mode=WAL")
        store.execute("PRAGMA synchronous=FULL")
        found = store.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        store.execute(_REPLIES)
        store.execute("SELECT key, question, reply, digest FROM replies LIMIT 1")
    except sqlite3.Error:
        store.close()
        raise
    return store


def _set_aside(path: Path) -> Path:
    """Moves a broken database out of the way; its write-ahead log is worth nothing without it."""
    broken = path.with_name(f"{path.name}.broken")
    path.replace(broken)
    for tail in ("-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)
    return broken


def _canonical(value: Any) -> str:
    """One text for one value: keys in order, nothing between; numbers that JSON lacks are refused."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
