"""Where real files lie, for tests that use them; users do not have them."""

from pathlib import Path

import pytest

from tests.support.paths import SHARED


def real_data(name: str) -> Path:
    """The folder or file `name` of the real data; the test is skipped, saying so, where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"real data {name} is not on this machine")
    return path
