"""Pushes a built kernel, waits for it and reads it back; or uploads a folder of wheels, an adapter or a model.

python scripts/push.py build/kernels/NAME        needs requirements-kaggle.txt and Kaggle credentials
"""

import argparse
import json
import math
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from quorum.console import DONE, FOUND, print_json, progress_bar, run_program
from quorum.errors import BadInput

LAST_LINES = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a built kernel, or a folder with dataset or model metadata")
    parser.add_argument("--out", type=Path, default=Path("runs/kaggle"), help="outputs go to OUT/SLUG/vN (%(default)s)")
    parser.add_argument("--session", type=hours, metavar="HOURS", help="Kaggle stops the kernel after this time")
    parser.add_argument("--wait", type=hours, default=13.0, metavar="HOURS", help="how long to wait (%(default)s)")
    parser.add_argument("--version", type=version, help="push nothing: wait for this version and read it back")
    parser.add_argument("--notes", default="from Quorum", help="what is new in a dataset's or model's version")
    parser.add_argument("--dry-run", action="store_true", help="show the requests, send none (see docs/kaggle.md)")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()

    from quorum.kaggle.client import RetryPolicy, make_dry_run_client, make_dry_run_policy, sign_in
    from quorum.kaggle.metadata import METADATA_FILE
    from quorum.kaggle.upload import DATASET_FILE, VARIATION_FILE, upload_dataset, upload_model

    patience = RetryPolicy(clock=time.monotonic, sleep=time.sleep, total=arguments.wait * 3600)
    kinds = [name for name in (METADATA_FILE, DATASET_FILE, VARIATION_FILE) if (arguments.folder / name).is_file()]
    if len(kinds) != 1:
        raise BadInput(
            f"{arguments.folder}: holds {', '.join(kinds) or 'no metadata'}; "
            f"needed is one of {METADATA_FILE} (make kernels), {DATASET_FILE} (make wheels), {VARIATION_FILE}"
        )
    if arguments.dry_run:
        patience = make_dry_run_policy()
        kaggle = make_dry_run_client(owner(arguments.folder / kinds[0]), partial(print, file=sys.stdout, flush=True))
    else:
        kaggle = sign_in(patience)

    if kinds == [METADATA_FILE]:
        return run_kernel(kaggle, patience, arguments)
    upload = upload_dataset if kinds == [DATASET_FILE] else upload_model
    id = upload(kaggle, arguments.folder, arguments.notes, patience)
    if arguments.dry_run:
        return DONE
    if arguments.json:
        print_json({"id": id})
    else:
        print(f"{id} is ready")
    return DONE


def run_kernel(kaggle: Any, patience: Any, arguments: argparse.Namespace) -> int:
    """Pushes, waits and reads back."""
    from quorum.disk import replace_file
    from quorum.kaggle.metadata import read_kernel_metadata
    from quorum.kaggle.push import (
        PUSHED_FILE,
        PushedVersion,
        fetch_kernel,
        find_likely_cause,
        push_kernel,
        wait_for_kernel,
    )

    if arguments.version is not None:
        pushed = PushedVersion(read_kernel_metadata(arguments.folder).id, arguments.version)
    else:
        session = arguments.session * 3600 if arguments.session else None
        pushed = push_kernel(kaggle, arguments.folder, patience, session)
    if not arguments.json and not arguments.dry_run:
        print(f"version {pushed.version} runs at {pushed.url}", flush=True)
    folder = arguments.out / pushed.id.split("/")[1] / f"v{pushed.version}"
    try:
        with progress_bar("Kaggle runs it") as progress:
            failure = wait_for_kernel(kaggle, pushed, patience, progress)
        if arguments.dry_run:
            with tempfile.TemporaryDirectory() as nowhere:
                fetch_kernel(kaggle, pushed, Path(nowhere), patience)
            return DONE
        told = {"id": pushed.id, "version": pushed.version, "url": pushed.url, "failure": failure or None}
        with replace_file(folder / PUSHED_FILE) as part:
            part.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        fetched = fetch_kernel(kaggle, pushed, folder, patience)
    except BadInput as error:
        raise BadInput(f"{error}; read it back with --version {pushed.version}") from None
    cause = find_likely_cause(fetched.lines, failure) if failure else None
    if arguments.json:
        print_json(told | {"cause": cause, "files": [str(path) for path in fetched.files]})
        return FOUND if failure else DONE
    for path in fetched.files:
        print(path)
    if failure:
        print("\n".join(fetched.lines[-LAST_LINES:]))
        print(f"{failure}\nlikely cause: {cause or 'not one of those known; read the log'} ({folder})")
    return FOUND if failure else DONE


def hours(text: str) -> float:
    """A number of hours; none and no end of them are refused."""
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


def version(text: str) -> int:
    """A number that counts from 1."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def owner(path: Path) -> str:
    """Whose the folder says it is."""
    from quorum.kaggle.metadata import read_json_object

    table = read_json_object(path)
    return str(table.get("ownerSlug") or table.get("id")).split("/")[0]


if __name__ == "__main__":
    run_program(main)
