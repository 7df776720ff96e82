"""A folder of wheels, an adapter or a model, uploaded to Kaggle and waited for."""

import importlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from quorum.disk import replace_file
from quorum.errors import BadInput, list_some
from quorum.kaggle.client import KAGGLE_SITE, Kaggle, KaggleError, RetryPolicy, ask_kaggle, ask_service, poll_until
from quorum.kaggle.metadata import kaggle_limits, kaggle_slug, read_json_object

DATASET_FILE = "dataset-metadata.json"
MODEL_FILE, VARIATION_FILE = "model-metadata.json", "model-instance-metadata.json"
_APPEARS = 900.0  # seconds in which what was sent shows, ready or not, where its answer is lost


def write_dataset_metadata(folder: Path, id: str, title: str, licence: str) -> None:
    """Writes dataset-metadata.json into `folder`: what Kaggle needs to know of a dataset.

    Raises:
        BadInput: Kaggle's client would refuse the title or the slug.
    """
    _check_dataset_name(id, title, str(folder))
    told = {"title": title, "id": id, "licenses": [{"name": licence}]}
    with replace_file(folder / DATASET_FILE) as part:
        part.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def upload_dataset(kaggle: Kaggle, folder: Path, notes: str, patience: RetryPolicy) -> str:
    """Uploads `folder` as a private dataset, or as its next version, and waits until Kaggle has all of it; its id.

    Raises:
        BadInput: the metadata is wrong, belongs to another user, or the folder has folders inside (the client would
            leave them out).
        KaggleRefused: Kaggle refused it, lacks a file, or is not ready when `patience.whole` is over.
    """
    table = read_json_object(folder / DATASET_FILE)
    id = str(table.get("id"))
    _check_dataset_name(id, str(table.get("title")), str(folder / DATASET_FILE))
    _check_owner(id, kaggle, folder)
    names = _files_of(folder, DATASET_FILE)
    before = 0
    if _dataset_state(kaggle, id, patience) is None:
        send = partial(kaggle.api.dataset_create_new, str(folder), quiet=True)
    else:
        before = _dataset_version(kaggle, id, patience)
        send = partial(kaggle.api.dataset_create_version, str(folder), notes, quiet=True)
    _sent(f"uploading {id}", send, lambda: _dataset_version(kaggle, id, patience) > before, patience)
    version = _wait_for_dataset(kaggle, id, before, patience)
    _check_arrived(kaggle, id, version, names, patience)
    return id


def upload_model(kaggle: Kaggle, folder: Path, notes: str, patience: RetryPolicy) -> str:
    """Uploads `folder` as a variation of a model, or as its next version; owner/model/framework/variation/version.

    The folder holds model-instance-metadata.json, and model-metadata.json where the model is new.

    Raises:
        BadInput: the metadata is wrong, belongs to another user, or the folder has folders inside.
        KaggleRefused: Kaggle refused it, or the version does not show when `patience.whole` is over.
    """
    table = read_json_object(folder / VARIATION_FILE)
    names = ("ownerSlug", "modelSlug", "framework", "instanceSlug")
    if not table.get("licenseName"):
        raise BadInput(f'{folder / VARIATION_FILE}: licenseName is missing, such as "Apache 2.0"')
    for name in names:
        if not re.fullmatch(r"[\w.-]+", str(table.get(name) or "")):
            raise BadInput(f"{folder / VARIATION_FILE}: {name} is {table.get(name)!r}, where a name is expected")
    owner, model, framework, variation = (str(table[name]) for name in names)
    id = f"{owner}/{model}/{framework}/{variation}"
    _check_owner(id, kaggle, folder)
    _files_of(folder, VARIATION_FILE, MODEL_FILE)
    before = _variation_version(kaggle, id, patience)

    def known() -> bool:
        return _known(kaggle, id, "get_model", patience, owner_slug=owner, model_slug=model) is not None

    def newest() -> int:
        return _variation_version(kaggle, id, patience) or 0

    if before is None:
        if not known():
            _check_new_model(folder / MODEL_FILE, owner, model)
            create = partial(kaggle.api.model_create_new, str(folder))
            _sent(f"creating {owner}/{model}", create, known, patience)
        send = partial(kaggle.api.model_instance_create, str(folder), quiet=True)
    else:
        send = partial(kaggle.api.model_instance_version_create, id, str(folder), notes, quiet=True)
    _sent(f"uploading {id}", send, lambda: newest() > (before or 0), patience)
    for version in poll_until(newest, patience):
        if version > (before or 0):
            return f"{id}/{version}"
    raise KaggleError(f"{id}: its new version does not show yet", None)


def _check_new_model(path: Path, owner: str, model: str) -> None:
    """What the client would refuse without saying where, or would create under another name."""
    if not path.exists():
        raise BadInput(f"{path.parent}: {owner}/{model} is new, and {path.name} is not there to say what it is")
    table = read_json_object(path)
    for name, expected in (("ownerSlug", owner), ("slug", model)):
        if table.get(name) != expected:
            raise BadInput(f"{path}: {name} is {table.get(name)!r}, where {VARIATION_FILE} says {expected!r}")
    if missing := {"title", "isPrivate", "description"} - table.keys():
        raise BadInput(f"{path}: {list_some(sorted(missing))} is missing")


def _check_dataset_name(id: str, title: str, where: str) -> None:
    limits = kaggle_limits()["dataset"]
    slug = id.partition("/")[2]
    if not re.fullmatch(r"[\w-]+/[a-z0-9-]+", id) or not limits["shortest_slug"] <= len(slug) <= limits["longest_slug"]:
        raise BadInput(
            f"{where}: dataset id {id!r} is no owner/slug with {limits['shortest_slug']} to {limits['longest_slug']} "
            f"small letters, digits and dashes"
        )
    if kaggle_slug(title) != slug or not limits["shortest_title"] <= len(title) <= limits["longest_title"]:
        raise BadInput(f"{where}: title {title!r} makes the slug {kaggle_slug(title)!r}, not {slug!r}")


def _check_owner(id: str, kaggle: Kaggle, folder: Path) -> None:
    if id.split("/")[0].lower() != kaggle.user.lower():
        raise BadInput(f"{folder}: {id} is not yours: you are signed in as {kaggle.user}")


def _files_of(folder: Path, *metadata: str) -> list[str]:
    inner = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if inner:
        raise BadInput(
            f"{folder}: holds the folders {list_some(inner)}, which the client leaves out: put their files beside"
        )
    names = sorted(path.name for path in folder.iterdir() if path.name not in metadata)
    if not names:
        raise BadInput(f"{folder}: holds no file to upload")
    return names


def _sent(what: str, send: Callable[[], Any], shows: Callable[[], bool], patience: RetryPolicy) -> None:
    """Sends; where the answer is lost, goes on as soon as what was sent `shows`: gigabytes are not sent twice.

    Raises:
        KaggleRefused: Kaggle refused it, or nothing has come of it within `_APPEARS` seconds.
    """
    try:
        answer = ask_kaggle(what, send, patience, limit=patience.upload)
    except KaggleError as refused:
        if not refused.ambiguous:
            raise
        if not any(poll_until(shows, replace(patience, whole=min(patience.whole, _APPEARS)))):
            raise KaggleError(
                f"{refused}; nothing new shows: look at {KAGGLE_SITE}/work before you send it again", None
            ) from refused
        return
    if answer.error:  # said in a body that comes with 200
        raise KaggleError(f"{what}: Kaggle answered: {answer.error}", 400)


def _dataset_state(kaggle: Kaggle, id: str, patience: RetryPolicy) -> str | None:
    owner, slug = id.split("/")
    answer = _known(kaggle, id, "get_dataset_status", patience, owner_slug=owner, dataset_slug=slug)
    return answer.status.name if answer else None


def _dataset_version(kaggle: Kaggle, id: str, patience: RetryPolicy) -> int:
    """The number of the version that the dataset shows; 0 where it shows none."""
    owner, slug = id.split("/")
    answer = _known(kaggle, id, "get_dataset", patience, owner_slug=owner, dataset_slug=slug)
    return (answer.current_version_number or 0) if answer else 0


def _dataset_shown(kaggle: Kaggle, id: str, patience: RetryPolicy) -> tuple[int, str | None]:
    """The number and the state that the dataset shows.

    Kaggle may go on telling of the version before, which is ready. So the number is asked for first: a state that is
    told after a new number is not that of an older version.
    """
    return _dataset_version(kaggle, id, patience), _dataset_state(kaggle, id, patience)


def _wait_for_dataset(kaggle: Kaggle, id: str, before: int, patience: RetryPolicy) -> int:
    """The version after `before`, once it is ready: a kernel that starts earlier mounts an older one, or nothing."""
    version, state = before, None
    for version, state in poll_until(partial(_dataset_shown, kaggle, id, patience), patience):
        if state == "READY" and version > before:
            return version
        if state in ("FAILED", "DELETED"):
            raise KaggleError(f"dataset {id}: Kaggle says {state}", 400)
    raise KaggleError(f"dataset {id}: version {version} and {state} when the wait was over; before: {before}", None)


def _check_arrived(kaggle: Kaggle, id: str, version: int, names: list[str], patience: RetryPolicy) -> None:
    """The client drops a file that it could not upload, and goes on."""
    owner, slug = id.split("/")
    arrived: set[str] = set()
    token: str | None = ""
    while token is not None:
        fields = {"owner_slug": owner, "dataset_slug": slug, "dataset_version_number": version}
        fields |= {"page_size": 200, "page_token": token}
        page = ask_service(
            kaggle, f"the files of {id}", "datasets", "list_dataset_files", patience, patience.tries, **fields
        )
        arrived |= {file.name for file in page.dataset_files or []}
        token = page.next_page_token or None
    if missing := sorted(set(names) - arrived):
        raise KaggleError(f"dataset {id}: Kaggle lacks {list_some(missing)}: upload it again", None)


def _variation_version(kaggle: Kaggle, id: str, patience: RetryPolicy) -> int | None:
    owner, model, framework, variation = id.split("/")
    fields = {"owner_slug": owner, "model_slug": model, "instance_slug": variation}
    names = importlib.import_module("kagglesdk.models.types.model_enums").ModelFramework
    try:
        named = kaggle.api.lookup_enum(names, names.MODEL_FRAMEWORK_UNSPECIFIED, framework)
    except KeyError:
        known = [name.removeprefix("MODEL_FRAMEWORK_").lower() for name in names.__members__]
        raise BadInput(f"{id}: framework {framework!r}; allowed are {', '.join(known[1:])}") from None
    answer = _known(kaggle, id, "get_model_instance", patience, framework=named, **fields)
    return answer.version_number if answer else None


def _known(kaggle: Kaggle, id: str, method: str, patience: RetryPolicy, **fields: Any) -> Any | None:
    """The answer to a question about `id`; None where Kaggle shows nothing of that name."""
    service = "datasets" if "dataset" in method else "models"
    try:
        return ask_service(kaggle, f"looking up {id}", service, method, patience, patience.tries, **fields)
    except KaggleError as refused:
        if refused.status in (403, 404):
            return None
        raise
