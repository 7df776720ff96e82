"""Find the files of a competition in its folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from quorum.config import from_table, read_config
from quorum.data.layout import Layout
from quorum.disk import check_file_name
from quorum.errors import BadInput

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
DESCRIPTION_FILE = "quorum.toml"
BACKGROUND_FOLDER = "background"

Metric = Literal["accuracy", "map@3", "macro-f1", "log-loss"]


@dataclass(frozen=True, kw_only=True)
class Description:
    """The settings of quorum.toml; files are relative to its folder, and a file it does not name is found by name."""

    name: str | None = None
    train: str | None = None
    test: str | None = None
    sample: str | None = None
    solution: str | None = None
    metric: Metric = "accuracy"
    layout: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Competition:
    """The files of one competition; its name is one plain file name, because folders and submissions are named by it.

    `solution` is there only if the hidden answers are known (our own sample). `background` is a folder of texts to
    retrieve passages from.
    """

    name: str
    train: Path
    test: Path
    sample: Path | None
    solution: Path | None
    metric: Metric
    layout: Layout
    background: Path | None = None


def find_competition(folder: Path) -> Competition:
    """Find a competition's files in `folder`, by their names (train, test, sample or submission) or by quorum.toml.

    Raises:
        BadInput: there is no such folder, a file is missing, two files could be meant and quorum.toml does not say
            which, or the competition's name is not a plain file name.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; expected one with a train file, a test file and a sample submission")
    description = folder / DESCRIPTION_FILE
    described = read_config(Description, description) if description.exists() else Description()
    tables = sorted(path for path in folder.iterdir() if path.suffix in TABLE_SUFFIXES)
    sample = _described(folder, described.sample) or _one(tables, ("sample", "submission"), "sample", folder)
    rest = [path for path in tables if path != sample]
    train = _described(folder, described.train) or _one(rest, ("train",), "train", folder)
    test = _described(folder, described.test) or _one(rest, ("test",), "test", folder)
    if train is None or test is None:
        missing = "train" if train is None else "test"
        names = ", ".join(path.name for path in tables) or "none"
        raise BadInput(f"{folder}: no file with {missing!r} in its name among {names}; name it in {DESCRIPTION_FILE}")
    return Competition(
        name=_find_name(folder, described.name),
        train=train,
        test=test,
        sample=sample,
        solution=_described(folder, described.solution),
        metric=described.metric,
        layout=from_table(Layout, described.layout, f"{description} [layout]"),
        background=folder / BACKGROUND_FOLDER if (folder / BACKGROUND_FOLDER).is_dir() else None,
    )


def _find_name(folder: Path, name: str | None) -> str:
    """Return the name in quorum.toml, or the folder's name if there is none."""
    if name is not None:
        return check_file_name(name, f"{folder / DESCRIPTION_FILE}: name")
    own = folder.resolve().name
    try:
        return check_file_name(own, f"{folder}: the folder's name")
    except BadInput as error:
        raise BadInput(f"{error}; set a name in {DESCRIPTION_FILE}") from None


def _described(folder: Path, name: str | None) -> Path | None:
    if name is None:
        return None
    if not (folder / name).is_file():
        raise BadInput(f"{folder / DESCRIPTION_FILE}: file {name!r} does not exist")
    return folder / name


def _one(tables: list[Path], words: tuple[str, ...], part: str, folder: Path) -> Path | None:
    """Return the only file whose name contains one of `words`, or None."""
    found = [path for path in tables if any(word in path.stem.lower() for word in words)]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise BadInput(f"{folder}: {names} could each be the {part} file; name it in {DESCRIPTION_FILE}")
    return found[0] if found else None
