"""A spy among the backends."""

from collections.abc import Iterator

import pytest

from quorum.competition import step
from quorum.model.backend import KINDS, Kind, register_backend
from tests.support.spy import Session, Spy, SpySettings, run_kernel_here


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Session]]:
    """The sessions of a model that notes what it sees; kernels run in this process."""
    import quorum.model.backend as backend

    monkeypatch.setattr(backend, "_registered", dict(backend._registered))
    monkeypatch.setattr(backend, "KINDS", KINDS)
    register_backend("spy", Kind(sees_train=True), SpySettings, Spy)
    register_backend("blind", Kind(), SpySettings, Spy)
    monkeypatch.setattr(step, "run_kernel_process", run_kernel_here)
    Spy.sessions = []
    yield Spy.sessions
    del KINDS["spy"], KINDS["blind"]
