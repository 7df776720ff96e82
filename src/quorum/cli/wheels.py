"""`quorum wheels`: download pinned wheels for Kaggle's Python."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from quorum.cli.options import WORKSPACE, AsJson
from quorum.console import DONE, print_json, print_text

_LARGEST = 5  # number of wheels to print


def wheels_command(
    requirements: Annotated[
        Path,
        typer.Argument(metavar="REQUIREMENTS", help="Requirements file that pins all packages and their dependencies."),
    ],
    dataset: Annotated[str, typer.Option("--id", metavar="OWNER/SLUG", help="Kaggle dataset of the wheels.")],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder to write the wheels to; other wheels in it are deleted.")
    ] = WORKSPACE.wheels,
    as_json: AsJson = False,
) -> int:
    """Download pinned wheels for Kaggle's Python.

    Writes them to a folder that quorum push uploads as a dataset, and checks that they install without a network.

    \b
      quorum wheels locks/kaggle-gpu.txt --id NAME/quorum-wheels
    """
    from dataclasses import asdict

    from quorum.kaggle.wheels import download_wheels

    wheels = download_wheels(requirements, dataset, out)
    total = sum(wheel.bytes for wheel in wheels)
    if as_json:
        print_json({"folder": str(out), "bytes": total, "wheels": [asdict(wheel) for wheel in wheels]})
        return DONE
    for wheel in sorted(wheels, key=lambda wheel: -wheel.bytes)[:_LARGEST]:
        print_text(f"{wheel.bytes / 1e6:10.1f} MB  {wheel.name}")
    print_text(
        f"{total / 1e6:10.1f} MB  in total, {len(wheels)} wheels in {out}; next: quorum push {shlex.quote(str(out))}"
    )
    return DONE
