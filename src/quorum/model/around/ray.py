"""Many machines as one model: a batch is spread over the workers of a Ray cluster."""

import math
import os
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from quorum.errors import BadInput
from quorum.question import Prompt, Reply


@dataclass(frozen=True, kw_only=True)
class RaySettings:
    """Which cluster, and what each worker takes.

    Raises:
        BadInput: a setting is out of range.
    """

    inner: Mapping[str, Any] = field(metadata={"help": "[backend] table of the model that each worker holds."})
    address: str | None = field(
        default=None,
        metadata={"help": "A running cluster (host:port, ray://host:port, auto); one on this machine when not set."},
    )
    workers: int = field(default=2, metadata={"help": "How many backends."})
    cpus: float = field(default=1.0, metadata={"help": "CPUs of a worker."})
    gpus: float = field(default=0.0, metadata={"help": "GPUs of a worker; for vLLM its tensor_parallel_size or more."})
    share: int = field(default=256, metadata={"help": "Most prompts that a worker gets at once."})
    tries: int = field(default=3, metadata={"help": "Workers that may die of one share, or in a row while loading."})
    patience: float = field(default=1800.0, metadata={"help": "Seconds to wait for a worker."})

    def __post_init__(self) -> None:
        if min(self.workers, self.share, self.tries) < 1:
            raise BadInput(
                f"ray: workers {self.workers}, share {self.share}, tries {self.tries}; allowed is at least 1"
            )


class RayPool:
    """A backend around backends: each worker of a Ray cluster holds the backend of the table `inner`.

    A batch is cut into shares of at most `share` prompts, at least one a worker; whoever is free takes the next. The
    share of a worker that died (killed, out of memory, its machine gone) is asked again by another, and a new worker is
    hired in its place, which joins once it has loaded; `lost` counts the dead. Replies are those of one such backend
    alone, as long as what it says to a prompt does not hang on the rest of its batch.

    Args:
        opener: makes the backend out of the table, in the worker.

    Raises:
        BadInput: Ray is not installed or not there, a setting is out of range, what `opener` raises, or no worker
            lives or comes.
    """

    def __init__(self, settings: RaySettings, *, opener: Callable[[Mapping[str, Any]], Any]) -> None:
        self.settings = settings
        self.lost = 0
        self._ray = _cluster(settings.address)
        kind = self._ray.remote(num_cpus=settings.cpus, num_gpus=settings.gpus)(_RayWorker)
        given = self._ray.put((dict(settings.inner), opener))  # once into the cluster's memory, not once a worker
        self._hire: Callable[[], Any] = lambda: kind.remote([given])
        self._idle: list[Any] = []
        # what is under way: its worker, and where its share begins; None while the worker loads
        self._running: dict[Any, tuple[Any, int | None]] = {}
        self._deaths: Counter[int | None] = Counter()
        for _ in range(settings.workers):
            self._welcome(self._hire())
        try:
            while not self._idle:  # one that can't load says so here, before anything is asked
                self._next(deque())
        except BadInput:
            self.close()  # what it holds of the cluster is free for the next
            raise

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order."""
        size = max(1, min(self.settings.share, math.ceil(len(prompts) / self.settings.workers)))
        waiting = deque(range(0, len(prompts), size))
        answered: dict[int, list[Reply]] = {start: [] for start in waiting}
        self._deaths.clear()
        # what a batch that failed left under way is nobody's any more
        self._running = {reply: (worker, None) for reply, (worker, _) in self._running.items()}
        missing = len(answered)
        while missing:
            while waiting and self._idle:
                worker, start = self._idle.pop(), waiting.popleft()
                self._running[worker.answer.remote(prompts[start : start + size])] = worker, start
            came = self._next(waiting)
            if came is not None:
                answered[came[0]] = came[1]
                missing -= 1
        return [reply for replies in answered.values() for reply in replies]

    def close(self) -> None:
        """Lets the workers go; the cluster stays."""
        for worker in [*self._idle, *(worker for worker, _ in self._running.values())]:
            self._ray.kill(worker)
        self._idle, self._running = [], {}

    def _welcome(self, worker: Any) -> None:
        """Nothing is asked of a new worker until it has loaded: where there is no room for it, a share would wait."""
        self._running[worker.answer.remote([])] = worker, None

    def _next(self, waiting: deque[int]) -> tuple[int, list[Reply]] | None:
        """Waits for whatever comes first; a share that is answered, or None where a worker came, or one was lost."""
        busy = any(start is not None for _, start in self._running.values())
        done, _ = self._ray.wait(list(self._running), timeout=None if busy else self.settings.patience)
        if not done:
            raise BadInput(
                f"ray: no worker within {self.settings.patience:g} s: the cluster has no room for cpus and gpus as set"
            )
        worker, start = self._running.pop(done[0])
        try:
            replies: list[Reply] = self._ray.get(done[0])
        except self._ray.exceptions.RayTaskError as error:  # the backend's own error, as it would be without Ray
            self._idle.append(worker)
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            self._bury(worker, start, error)
            if start is not None:
                waiting.appendleft(start)
            return None
        self._deaths.pop(None, None)
        self._idle.append(worker)
        return None if start is None else (start, replies)

    def _bury(self, worker: Any, start: int | None, error: Exception) -> None:
        """Counts a lost worker and hires another.

        Raises:
            BadInput: it was one too many of the same share.
        """
        self.lost += 1
        self._deaths[start] += 1
        if self._deaths[start] >= self.settings.tries:
            what = "while they loaded" if start is None else f"of the prompts from {start} on"
            raise BadInput(
                f"ray: {self.settings.tries} workers died {what}; the last: {' '.join(str(error).split())[:300]}"
            )
        self._ray.kill(worker)  # one that is only out of reach must not come back
        self._welcome(self._hire())


class _RayWorker:
    """A backend in a worker's process, loaded when it is first asked."""

    def __init__(self, given: Sequence[Any]) -> None:
        self.given = given  # in a list, so that Ray hands over the reference and not what it stands for
        self.backend: Any = None

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """The backend's replies."""
        if self.backend is None:
            inner, opener = import_module("ray").get(self.given[0])
            self.backend = opener(inner)
        replies: list[Reply] = self.backend.answer(prompts) if prompts else []
        return replies


def _cluster(address: str | None) -> Any:
    """The module ray, connected."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray has no argument for it, and tells its makers otherwise
    try:
        ray = import_module("ray")
    except ImportError:
        raise BadInput("the package ray is not installed; pip install -r requirements-ray.txt") from None
    try:
        if not ray.is_initialized():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BadInput(f"ray: no cluster at {address}: {error}") from None
    return ray
