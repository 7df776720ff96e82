"""Keep a model's replies in a file, so that a run that was killed resumes with them.

The file is a SQLite database in WAL mode: one file that any tool reads, with atomic commits. `synchronous=FULL` waits
for the disk once per batch, which takes milliseconds where a model takes seconds. No committed reply is lost by kill -9
(for which NORMAL would be enough) or by a power cut.
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
from quorum.engine.scores import drop_unusable_scores
from quorum.errors import BadInput
from quorum.model.backend import Backend
from quorum.question import Prompt, Reply

_REPLIES = (
    "CREATE TABLE IF NOT EXISTS replies"
    " (key BLOB PRIMARY KEY, question TEXT NOT NULL, reply TEXT NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID"
)
# as bytes: a corrupt character has to fail at the digest and not in a decoder
_SELECT_REPLY = "SELECT CAST(reply AS BLOB), digest FROM replies WHERE key = ?"
_INSERT_REPLY = "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)"
_LONGEST_PATH = 256  # characters; a longer text is not a path
_LOCK_SECONDS = 60.0  # how long to wait for another process that writes to the same journal


class JournalBackend:
    """A backend around a backend that stores replies, and asks only for replies that it does not have.

    The key of a reply is the SHA-256 of everything that determines it: `model_key`, the prompt's content, labels and
    options, and how often the same content was asked before in this run (sampled votes ask again for another reply).
    That number is also the `repeat` of the prompt that the model gets, so that a sample is the same in any process. A
    changed prompt, model or setting is asked again. `model_key` describes the model and everything its answers depend
    on (see `make_journal_key`). An empty reply is not stored, because questions that failed or were not asked have one;
    nor is a reply whose scores are NaN or infinite, and one that an older version stored is asked again. If the model
    answers a prompt the same way in any batch, a resumed run equals an uninterrupted one.

    At most `most` prompts are asked between two commits, so a kill loses at most that many replies.

    A file that is not an intact database is moved to `<name>.broken`, and `dropped` is its new path (None otherwise). A
    record that does not match its digest is asked again. Use a local disk: WAL does not work over a network.

    Raises:
        BadInput: the file cannot be opened or written to.
    """

    def __init__(self, inner: Backend, path: Path, model_key: str, most: int = 256) -> None:
        self.inner, self.path, self.model_key, self.most = inner, path, model_key, most
        self.dropped: Path | None = None
        self.reused = 0  # replies that came from the file
        self.stored: list[bool] = []  # of the last batch: whether each reply came from the file
        self._seen: Counter[bytes] = Counter()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._store = _open_store(path)
        except sqlite3.OperationalError as error:  # not the file's content: a folder, no permission, locked
            raise BadInput(f"{path}: the journal cannot be opened: {error}") from None
        except sqlite3.DatabaseError:
            self.dropped = _set_aside(path)
            self._store = _open_store(path)

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return one reply for each prompt, in the same order: from the file, or asked for and then stored."""
        votes = [self._count_repeat(prompt) for prompt in prompts]
        keys = [self._reply_key(vote) for vote in votes]
        replies = [self._read_reply(key) for key in keys]
        missing = [index for index, reply in enumerate(replies) if reply is None]
        self.reused += len(prompts) - len(missing)
        self.stored = [reply is not None for reply in replies]
        for start in range(0, len(missing), self.most):
            indices = missing[start : start + self.most]
            rows = []
            for index, reply in zip(indices, self.inner.answer([votes[index] for index in indices]), strict=True):
                replies[index] = reply
                if _is_answered(reply):
                    rows.append(_make_journal_row(keys[index], prompts[index], reply))
            self._write(rows)
        return [reply for reply in replies if reply is not None]

    def close(self) -> None:
        """Merge the write-ahead log into the file; a journal that was not closed is as complete, in two files."""
        self._store.close()

    def _count_repeat(self, prompt: Prompt) -> Prompt:
        """Return the prompt with a `repeat` that counts how often its content was asked before."""
        content = hashlib.sha256(_canonical_json(_content_value(prompt)).encode()).digest()
        self._seen[content] += 1
        return replace(prompt, repeat=self._seen[content] - 1)

    def _reply_key(self, prompt: Prompt) -> bytes:
        determinants = [self.model_key, _content_value(prompt), prompt.labels, prompt.options]
        digest = hashlib.sha256(_canonical_json(determinants).encode()).digest()
        return hashlib.sha256(digest + str(prompt.repeat + 1).encode()).digest()

    def _read_reply(self, key: bytes) -> Reply | None:
        row = self._store.execute(_SELECT_REPLY, (key,)).fetchone()
        if row is None or row[1] != hashlib.sha256(key + (row[0] or b"")).digest():
            return None
        reply = Reply(**json.loads(row[0]))  # an older version stored the text and the log-probabilities only
        return reply if _is_answered(reply) else None

    def _write(self, rows: Sequence[tuple[bytes, str, str, bytes]]) -> None:
        try:
            with self._store:  # one transaction
                self._store.executemany(_INSERT_REPLY, rows)
        except sqlite3.Error as error:
            raise BadInput(f"{self.path}: the journal cannot be written: {error}") from None


def _is_answered(reply: Reply) -> bool:
    """Return whether a reply has text or usable scores."""
    logprobs = drop_unusable_scores(reply).label_logprobs
    return bool(reply.text) if logprobs is None else bool(logprobs)


def _content_value(prompt: Prompt) -> Any:
    return prompt.content if isinstance(prompt.content, str) else [asdict(turn) for turn in prompt.content]


def _make_journal_row(key: bytes, prompt: Prompt, reply: Reply) -> tuple[bytes, str, str, bytes]:
    logprobs = None if reply.label_logprobs is None else dict(reply.label_logprobs)
    others = {"finish": reply.finish or None, "label_mass": reply.label_mass, "tokens": reply.tokens}
    known = {name: value for name, value in others.items() if value is not None}
    text = json.dumps({"text": reply.text, "label_logprobs": logprobs, **known})
    question = prompt.question_id.encode(errors="replace").decode()  # only for people who read the database
    return key, question, text, hashlib.sha256(key + text.encode()).digest()


def make_journal_key(table: Mapping[str, Any], *files: Path) -> str:
    """Return a text that describes everything a backend's replies depend on besides the prompt.

    It holds the backend's TOML table, and the SHA-256 of every local file that the table or a table inside it names (a
    model, or an adapter that may be trained again under the same name) and of `files`.
    """
    texts = [text for text in _list_texts(table) if 0 < len(text) < _LONGEST_PATH]
    paths = [*(Path(text) for text in texts if Path(text).name), *files]  # "." and "/" are values here, not models
    inside = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return _canonical_json([dict(table), {str(file): fingerprint(file) for file in inside if file.is_file()}])


def _list_texts(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield every text in a table, in its lists and in the tables inside it, except under `name`, which is no file."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _list_texts(value)
        elif isinstance(value, list | tuple):
            yield from (text for text in value if isinstance(text, str))
        elif isinstance(value, str) and name != "name":
            yield value


def _open_store(path: Path) -> sqlite3.Connection:
    """Open the database at `path`, check its pages, and create its table if it is missing."""
    store = sqlite3.connect(path, timeout=_LOCK_SECONDS)
    try:
        store.execute("PRAGMA journal_mode=WAL")
        store.execute("PRAGMA synchronous=FULL")
        problem = store.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        store.execute(_REPLIES)
        store.execute("SELECT key, question, reply, digest FROM replies LIMIT 1")
    except sqlite3.Error:
        store.close()
        raise
    return store


def _set_aside(path: Path) -> Path:
    """Move a broken database to `<name>.broken`, and delete its write-ahead log, which is useless without it."""
    broken = path.with_name(f"{path.name}.broken")
    path.replace(broken)
    for tail in ("-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)
    return broken


def _canonical_json(value: Any) -> str:
    """Return equal values as equal texts: keys sorted, no white space."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
