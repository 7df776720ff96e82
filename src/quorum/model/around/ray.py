"""Many machines as one model: a batch is spread over the workers of a Ray cluster."""

import math
import os
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from quorum.errors import BadInput
from quorum.question import Prompt, Reply


class RayPool:
    """A backend around backends: each worker of a Ray cluster holds the backend of the table `inner`.

    A batch is cut into shares of at most `share` prompts, at least one a worker; whoever is free takes the next. The
    share of a worker that died (killed, out of memory, its machine gone) is asked again by another, and a new worker is
    hired in its place, which joins once it has loaded; `lost` counts the dead. Replies are those of one such backend
    alone, as long as what it says to a prompt does not hang on the rest of its batch.

    Args:
        address: a running cluster (host:port, ray://host:port, auto); one on this machine alone where None and
            RAY_ADDRESS is not set.
        workers: how many backends.
        cpus, gpus: what each of them takes; with vLLM at least its tensor_parallel_size of GPUs.
        tries: how many workers may die of the same share, or in a row while they load.
        patience: seconds to wait for a worker where there is none.
        opened: makes the backend out of the table, in the worker.

    Raises:
        BadInput: Ray is not installed or not there, a setting is out of range, whatever `opened` refuses, no worker
        lives
            or comes.
    """

    def __init__(
        self,
        *,
        inner: Mapping[str, Any],
        opened: Callable[[Mapping[str, Any]], Any],
        address: str | None = None,
        workers: int = 2,
        cpus: float = 1.0,
        gpus: float = 0.0,
        share: int = 256,
        tries: int = 3,
        patience: float = 1800.0,
    ) -> None:
        if min(workers, share, tries) < 1:
            raise BadInput(f"ray: workers {workers}, share {share}, tries {tries}; allowed is at least 1")
        self.workers, self.share, self.tries, self.patience = workers, share, tries, patience
        self.lost = 0
        self._ray = _cluster(address)
        kind = self._ray.remote(num_cpus=cpus, num_gpus=gpus)(_RayWorker)
        given = self._ray.put((dict(inner), opened))  # once into the cluster's memory, not once a worker
        self._hire: Callable[[], Any] = lambda: kind.remote([given])
        self._idle: list[Any] = []
        # what is under way: its worker, and where its share begins; None while the worker loads
        self._running: dict[Any, tuple[Any, int | None]] = {}
        self._deaths: Counter[int | None] = Counter()
        for _ in range(workers):
            self._welcome(self._hire())
        try:
            while not self._idle:  # one that can't load says so here, before anything is asked
                self._next(deque())
        except BadInput:
            self.close()  # what it holds of the cluster is free for the next
            raise

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order."""
        size = max(1, min(self.share, math.ceil(len(prompts) / self.workers)))
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
        done, _ = self._ray.wait(list(self._running), timeout=None if busy else self.patience)
        if not done:
            raise BadInput(
                f"ray: no worker within {self.patience:g} s: the cluster has no room for cpus and gpus as set"
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
        if self._deaths[start] >= self.tries:
            what = "while they loaded" if start is None else f"of the prompts from {start} on"
            raise BadInput(f"ray: {self.tries} workers died {what}; the last: {' '.join(str(error).split())[:300]}")
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
            inner, opened = import_module("ray").get(self.given[0])
            self.backend = opened(inner)
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
