"""`quorum bundle`: print each kernel into one file for Kaggle."""

from pathlib import Path
from typing import Annotated

import typer

from quorum.cli.options import WORKSPACE, AsJson
from quorum.console import DONE, print_json


def bundle_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Kernels of kaggle.toml.", show_default="all")
    ] = None,
    kernels: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Stories, settings and kaggle.toml.", show_default="those that Quorum ships"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the kernels go.")] = WORKSPACE.built_kernels,
    as_json: AsJson = False,
) -> int:
    """Build kernels for Kaggle, each as one script.

    Each kernel of kaggle.toml becomes a folder with the script and its metadata.
    """
    from quorum.competition.kernel_process import find_kernels
    from quorum.kaggle.plan import build_kernels

    built = build_kernels(kernels or find_kernels(), names or [], out)
    if as_json:
        print_json([{"name": one.name, "folder": str(one.folder), "bytes": one.size} for one in built])
    else:
        for one in built:
            print(f"{one.script}  {one.size} bytes")
    return DONE
