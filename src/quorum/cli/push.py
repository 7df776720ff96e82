"""`quorum push`: push a built kernel to Kaggle and read it back, or upload wheels, an adapter or a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorum.cli.kaggle_client import open_kaggle
from quorum.cli.options import WORKSPACE, AsJson, DryRun, Wait, check_hours
from quorum.console import DONE, FOUND, print_json, print_text, progress_bar

if TYPE_CHECKING:
    from quorum.kaggle.fetch import EndedVersion

_LAST_LINES = 20  # of a failed kernel's log


def push_command(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder of a built kernel, or with a dataset's or model's metadata."),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for outputs, which are written to FOLDER/SLUG/vN.")
    ] = WORKSPACE.kaggle_outputs,
    session: Annotated[
        float | None,
        typer.Option(metavar="HOURS", callback=check_hours, help="Let Kaggle stop the kernel after this time."),
    ] = None,
    wait: Wait = 13.0,
    version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Push nothing: wait for this version and read it back.")
    ] = None,
    notes: Annotated[
        str, typer.Option(metavar="TEXT", help="Release notes of a dataset's or model's version.")
    ] = "from Quorum",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Push a kernel, wheels, an adapter or a model to Kaggle.

    Waits for a kernel to end, and downloads its outputs. Requires Kaggle credentials and the packages of
    locks/kaggle.txt.

    Killed and started again, it does not push twice: if the newest version has the same source and inputs and was not
    read back into --out, that version is waited for and read back.

    Exit code 1: the kernel failed.
    """
    from quorum.kaggle.fetch import find_metadata_file, is_read_back, read_back, read_owner, rehearse_reading_back
    from quorum.kaggle.metadata import METADATA_FILE, read_kernel_metadata
    from quorum.kaggle.push import PushedVersion, push_kernel
    from quorum.kaggle.upload import DATASET_FILE, upload_dataset, upload_model

    kind = find_metadata_file(folder)
    kaggle, policy = open_kaggle(read_owner(folder / kind), wait, dry_run)
    if kind != METADATA_FILE:
        upload = upload_dataset if kind == DATASET_FILE else upload_model
        id = upload(kaggle, folder, notes, policy)
        if not dry_run:
            print_json({"id": id}) if as_json else print_text(f"{id} is ready")
        return DONE
    if version is not None:
        pushed = PushedVersion(read_kernel_metadata(folder).id, version)
    else:
        seconds = session * 3600 if session else None
        pushed = push_kernel(kaggle, folder, policy, seconds, lambda pushed: dry_run or is_read_back(out, pushed))
    if dry_run:
        rehearse_reading_back(kaggle, pushed, policy)
        return DONE
    if not as_json:
        print_text(f"version {pushed.version} runs at {pushed.url}")
    with progress_bar("running at Kaggle") as progress:
        ended = read_back(kaggle, pushed, policy, out, progress)
    print_ended(ended, as_json)
    return FOUND if ended.failure else DONE


def print_ended(ended: "EndedVersion", as_json: bool) -> None:
    """Print a version's outputs, and the failure of a failed one."""
    from quorum.kaggle.fetch import describe_version

    files = [str(path) for path in ended.outputs.files]
    if as_json:
        print_json(describe_version(ended.version, ended.failure) | {"cause": ended.cause, "files": files})
        return
    for path in files:
        print_text(str(path))
    if ended.failure:
        print_text("\n".join(ended.outputs.lines[-_LAST_LINES:]))
        cause = ended.cause or "unknown; read the log"
        print_text(f"{ended.failure}\nlikely cause: {cause} ({ended.folder})")
