"""Find the files of a competition in its folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from quorum.config import from_table, read_config
from quorum.data.file_roles import FileRoles, find_roles
from quorum.data.layout import Layout
from quorum.disk import check_file_name
from quorum.errors import BadInput
from quorum.evaluation.metrics import check_metric
from quorum.files.form_setting import parse_form
from quorum.tables.unpack import is_packed_name, is_table_name, strip_table_suffixes

DESCRIPTION_FILE = "quorum.toml"
BACKGROUND_FOLDER = "background"


@dataclass(frozen=True, kw_only=True)
class Description:
    """The settings of quorum.toml; files are relative to its folder, and a file it does not name is found by name."""

    name: str | None = None
    train: str | None = None
    test: str | None = None
    sample: str | None = None
    solution: str | None = None
    metric: str | None = None
    form: str | None = None
    keep: Literal["all", "answers"] | None = None  # of every member: prompts and replies too, or only answers
    layout: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Competition:
    """The files of one competition; its name is one plain file name, because folders and submissions are named by it.

    `solution` is there only if the hidden answers are known; `solution_is_named` is false if it was found by its name
    alone. `background` is a folder of texts to retrieve passages from. `metric` and `form` are None where the sample
    submission decides, and `keep` where each member does. `unused` are the other tables in the folder.
    """

    name: str
    train: Path
    test: Path
    sample: Path | None
    solution: Path | None
    solution_is_named: bool = True
    metric: str | None
    layout: Layout
    form: str | None = None
    background: Path | None = None
    unused: tuple[Path, ...] = ()
    keep: str | None = None


def find_competition(folder: Path, form: str | None = None) -> Competition:
    """Find a competition's files in `folder`, by quorum.toml, by their names or by their contents.

    Args:
        form: how the submission writes an answer; None: what quorum.toml says.

    Raises:
        BadInput: there is no such folder, a file is missing, two files could be meant and quorum.toml does not say
            which, or the competition's name is not a plain file name.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; expected one with a train file, a test file and a sample submission")
    description = folder / DESCRIPTION_FILE
    described = read_config(Description, description) if description.exists() else Description()
    tables = _list_tables(folder)
    _check_described(described, description)
    layout = from_table(Layout, described.layout, f"{description} [layout]")
    known = FileRoles(
        train=_described(folder, described.train),
        test=_described(folder, described.test),
        sample=_described(folder, described.sample),
        solution=_described(folder, described.solution),
    )
    files = find_roles(tables, known, layout, folder, DESCRIPTION_FILE)
    if files.train is None or files.test is None:
        missing = "train" if files.train is None else "test"
        names = ", ".join(path.name for path in tables) or "none"
        raise BadInput(
            f"{folder}: no file with {missing!r} in its name among {names}; "
            f"set {missing} = 'FILE' in {DESCRIPTION_FILE}"
        )
    return Competition(
        name=_find_name(folder, described.name),
        train=files.train,
        test=files.test,
        sample=files.sample,
        solution=files.solution,
        solution_is_named=known.solution is not None,
        metric=described.metric,
        form=described.form if form is None else form,
        layout=layout,
        keep=described.keep,
        background=folder / BACKGROUND_FOLDER if (folder / BACKGROUND_FOLDER).is_dir() else None,
        unused=tuple(path for path in tables if path not in (files.train, files.test, files.sample, files.solution)),
    )


def _list_tables(folder: Path) -> list[Path]:
    """List the tables of a folder; texts (.txt) count if there is nothing else, and archives only where needed."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    tables = [path for path in files if is_table_name(path.name)]
    plain = {strip_table_suffixes(path.name) for path in tables if not is_packed_name(path.name)}
    kept = [path for path in tables if not is_packed_name(path.name) or strip_table_suffixes(path.name) not in plain]
    return kept or [path for path in files if path.suffix.lower() == ".txt"]


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


def _check_described(described: Description, description: Path) -> None:
    try:
        if described.metric is not None:
            check_metric(described.metric)
        if described.form is not None:
            parse_form(described.form)
    except BadInput as error:
        raise BadInput(f"{description}: {error}") from None
