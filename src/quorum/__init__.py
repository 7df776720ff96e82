"""Make submissions for multiple-choice competitions, and estimate their scores before they are sent.

>>> import quorum
>>> quorum.__version__ >= "0.2"
True

`read`, `submit`, `score`, `compare`, `vote` and `check` are loaded when they are first used: see docs/notebook.md.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quorum.competition.api import check, compare, read, score, submit, vote
    from quorum.errors import BadInput

__all__ = ["BadInput", "check", "compare", "read", "score", "submit", "vote"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("quorum")
    if name == "BadInput":
        from quorum.errors import BadInput

        return BadInput
    if name in __all__:
        import quorum.competition.api as notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'quorum' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
