"""`quorum run`: run a kernel in this process, as `python kernels/STORY.py` does."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from quorum.console import DONE


def run_command(
    story: Annotated[
        Literal["infer", "train", "vote"], typer.Argument(metavar="STORY", help="Kernel: infer, train or vote.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="TOML KEY=VALUE", help="Settings of the kernel, and overrides of these."),
    ] = None,
) -> int:
    """Run a kernel: infer, train or vote.

    infer answers questions with a model, train trains a model, and vote combines runs.

    \b
      quorum run infer kernels/encoder.toml out=runs/mine
      quorum run train --help
    """
    import runpy
    import sys

    from quorum.competition.kernel_process import find_kernels

    path: Path = find_kernels() / f"{story}.py"
    sys.argv = [str(path), *(settings or [])]
    runpy.run_path(str(path), run_name="__main__")
    return DONE
