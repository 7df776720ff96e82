"""`quorum bundle`: build kernels for Kaggle, each as one script."""

from pathlib import Path
from typing import Annotated

import typer

from quorum.cli.options import WORKSPACE, AsJson
from quorum.console import DONE, print_json, print_text


def bundle_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Kernels to build, by their names in kaggle.toml.", show_default="all"),
    ] = None,
    kernels: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of kernels, their settings and kaggle.toml.",
            show_default="the folder that Quorum ships",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder to write the kernels to.")
    ] = WORKSPACE.built_kernels,
    as_json: AsJson = False,
) -> int:
    """Build kernels for Kaggle, each as one script.

    Each kernel of kaggle.toml is written to a folder of its own, as one script with its metadata.
    """
    from quorum.competition.kernel_process import find_kernels
    from quorum.kaggle.plan import build_kernels

    built = build_kernels(kernels or find_kernels(), names or [], out)
    if as_json:
        print_json([{"name": one.name, "folder": str(one.folder), "bytes": one.size} for one in built])
    else:
        for one in built:
            print_text(f"{one.script}  {one.size} bytes")
    return DONE
