"""`quorum wheels`: download pinned wheels for Kaggle's Python."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from quorum.cli.options import WORKSPACE, AsJson
from quorum.console import DONE, print_json

_LARGEST = 5  # wheels that are listed


def wheels_command(
    requirements: Annotated[
        Path, typer.Argument(metavar="REQUIREMENTS", help="Every package with its version, dependencies included.")
    ],
    dataset: Annotated[str, typer.Option("--id", metavar="OWNER/SLUG", help="The dataset that the wheels are for.")],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the wheels go; other wheels there are deleted.")
    ] = WORKSPACE.wheels,
    as_json: AsJson = False,
) -> int:
    """Download pinned wheels for Kaggle's Python.

    They go to a folder for a dataset, and are checked to suffice without a network.

    \b
      quorum wheels locks/kaggle-gpu.txt --id NAME/quorum-wheels
    """
    from dataclasses import asdict

    from quorum.kaggle.wheels import download_wheels

    wheels = download_wheels(requirements, dataset, out)
    whole = sum(wheel.bytes for wheel in wheels)
    if as_json:
        print_json({"folder": str(out), "bytes": whole, "wheels": [asdict(wheel) for wheel in wheels]})
        return DONE
    for wheel in sorted(wheels, key=lambda wheel: -wheel.bytes)[:_LARGEST]:
        print(f"{wheel.bytes / 1e6:10.1f} MB  {wheel.name}")
    print(f"{whole / 1e6:10.1f} MB  in all, {len(wheels)} wheels in {out}; next: quorum push {shlex.quote(str(out))}")
    return DONE
