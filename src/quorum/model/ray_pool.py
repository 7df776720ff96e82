"""Spread a batch over the workers of a Ray cluster."""

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
    """Settings of a Ray cluster and its workers.

    Raises:
        BadInput: a setting is out of range.
    """

    inner: Mapping[str, Any] = field(metadata={"help": "[backend] table of the model that each worker loads."})
    address: str | None = field(
        default=None,
        metadata={"help": "A running cluster (host:port, ray://host:port, auto); one on this machine when not set."},
    )
    workers: int = field(default=2, metadata={"help": "Number of workers, each with its own model."})
    cpus: float = field(default=1.0, metadata={"help": "CPUs per worker."})
    gpus: float = field(default=0.0, metadata={"help": "GPUs per worker; for vLLM at least its tensor_parallel_size."})
    share: int = field(default=256, metadata={"help": "Most prompts that a worker gets at once."})
    tries: int = field(
        default=3, metadata={"help": "Workers that may die on the same prompts, or in a row while loading."}
    )
    patience: float = field(default=1800.0, metadata={"help": "Seconds to wait for a worker to start."})

    def __post_init__(self) -> None:
        if min(self.workers, self.share, self.tries) < 1:
            raise BadInput(
                f"ray: workers {self.workers}, share {self.share}, tries {self.tries}; allowed is at least 1"
            )


class RayPool:
    """A backend around backends: each worker of a Ray cluster loads the backend of the table `inner`.

    A batch is split into shares of at most `share` prompts, at least one per worker; an idle worker takes the next. The
    share of a worker that died (killed, out of memory, machine lost) is asked again by another one, and a new worker is
    started in its place, which joins once it has loaded; `lost` counts the dead workers, and `shortened`, `unscored`
    and `failures` are those of the workers' backends. Replies equal those of a single backend, provided that its reply
    to a prompt does not depend on the rest of the batch.

    Args:
        opener: makes the backend from the table, in the worker.

    Raises:
        BadInput: Ray is not installed, there is no cluster, a setting is out of range, `opener` fails, or no worker
            starts.
    """

    def __init__(self, settings: RaySettings, *, opener: Callable[[Mapping[str, Any]], Any]) -> None:
        self.settings = settings
        self.lost = 0
        self.shortened = self.unscored = 0
        self.failures: list[str] = []
        self._ray = _connect_ray(settings.address)
        kind = self._ray.remote(num_cpus=settings.cpus, num_gpus=settings.gpus)(_RayWorker)
        arguments = self._ray.put((dict(settings.inner), opener))  # in the cluster's memory once, not once per worker
        self._start_worker: Callable[[], Any] = lambda: kind.remote([arguments])
        self._idle: list[Any] = []
        # pending task -> its worker, and the start of its share (None while the worker loads)
        self._running: dict[Any, tuple[Any, int | None]] = {}
        self._deaths: Counter[int | None] = Counter()
        for _ in range(settings.workers):
            self._await_loading(self._start_worker())
        try:
            while not self._idle:  # a loading error is raised here, before anything is asked
                self._wait_for_next(deque())
        except BadInput:
            self.close()  # release the resources of the cluster
            raise

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return one reply for each prompt, in the same order."""
        size = max(1, min(self.settings.share, math.ceil(len(prompts) / self.settings.workers)))
        waiting = deque(range(0, len(prompts), size))
        answered: dict[int, list[Reply]] = {start: [] for start in waiting}
        self._deaths.clear()
        # results that a failed batch left pending belong to no share of this batch
        self._running = {task: (worker, None) for task, (worker, _) in self._running.items()}
        missing = len(answered)
        while missing:
            while waiting and self._idle:
                worker, start = self._idle.pop(), waiting.popleft()
                self._running[worker.answer.remote(prompts[start : start + size])] = worker, start
            result = self._wait_for_next(waiting)
            if result is not None:
                answered[result[0]] = result[1]
                missing -= 1
        return [reply for replies in answered.values() for reply in replies]

    def close(self) -> None:
        """Stop the workers; the cluster keeps running."""
        for worker in [*self._idle, *(worker for worker, _ in self._running.values())]:
            self._ray.kill(worker)
        self._idle, self._running = [], {}

    def _await_loading(self, worker: Any) -> None:
        """Ask a new worker for nothing until it has loaded: if the cluster has no room for it, a share would wait."""
        self._running[worker.answer.remote([])] = worker, None

    def _wait_for_next(self, waiting: deque[int]) -> tuple[int, list[Reply]] | None:
        """Wait for the next task to finish; return an answered share, or None if a worker has loaded or died.

        Raises:
            BadInput: no worker starts in time, or too many died.
        """
        busy = any(start is not None for _, start in self._running.values())
        done, _ = self._ray.wait(list(self._running), timeout=None if busy else self.settings.patience)
        if not done:
            raise BadInput(
                f"ray: no worker started within {self.settings.patience:g} s: the cluster lacks the requested resources"
                f" (cpus {self.settings.cpus:g}, gpus {self.settings.gpus:g})"
            )
        worker, start = self._running.pop(done[0])
        try:
            replies, shortened, unscored, failures = self._ray.get(done[0])
        except self._ray.exceptions.RayTaskError as error:  # re-raise the backend's own error, as without Ray
            self._idle.append(worker)
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            self._replace_worker(worker, start, error)
            if start is not None:
                waiting.appendleft(start)
            return None
        self._deaths.pop(None, None)
        self._idle.append(worker)
        self.shortened += shortened
        self.unscored += unscored
        self.failures += failures
        return None if start is None else (start, replies)

    def _replace_worker(self, worker: Any, start: int | None, error: Exception) -> None:
        """Count a dead worker and start another one.

        Raises:
            BadInput: too many workers died on the same share.
        """
        self.lost += 1
        self._deaths[start] += 1
        if self._deaths[start] >= self.settings.tries:
            when = "while loading" if start is None else f"on the prompts from {start} on"
            raise BadInput(
                f"ray: {self.settings.tries} workers died {when}; the last: {' '.join(str(error).split())[:300]}"
            )
        self._ray.kill(worker)  # a worker that is only unreachable must not come back
        self._await_loading(self._start_worker())


class _RayWorker:
    """A backend in a worker's process, loaded when it is first asked."""

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.arguments = arguments  # in a list, so that Ray passes the reference and not the object
        self.backend: Any = None

    def answer(self, prompts: Sequence[Prompt]) -> tuple[list[Reply], int, int, list[str]]:
        """Return the backend's replies, and what its `shortened`, `unscored` and `failures` have grown by."""
        if self.backend is None:
            inner, opener = import_module("ray").get(self.arguments[0])
            self.backend = opener(inner)
        before, known = self._counts, len(getattr(self.backend, "failures", ()))
        replies: list[Reply] = self.backend.answer(prompts) if prompts else []
        shortened, unscored = (now - then for now, then in zip(self._counts, before, strict=True))
        return replies, shortened, unscored, list(getattr(self.backend, "failures", ()))[known:]

    @property
    def _counts(self) -> tuple[int, int]:
        return getattr(self.backend, "shortened", 0), getattr(self.backend, "unscored", 0)


def _connect_ray(address: str | None) -> Any:
    """Return the module ray, connected to a cluster.

    Raises:
        BadInput: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # by default Ray reports usage; there is no argument for it
    try:
        ray = import_module("ray")
    except ImportError:
        raise BadInput("the package ray is not installed; pip install 'quorum[ray]'") from None
    try:
        if not ray.is_initialized():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BadInput(f"ray: cannot connect to the cluster at {address}: {error}") from None
    return ray
