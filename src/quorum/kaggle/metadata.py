"""What Kaggle is told about a kernel, and what is wrong with it before Kaggle is asked."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from quorum.config import from_table
from quorum.disk import replace_file
from quorum.errors import BadInput

METADATA_FILE = "kernel-metadata.json"

_BFLOAT16 = ("bfloat16", "bf16")
_SLUG = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_OWNER = r"[A-Za-z0-9_-]+"
# What every kernel of ours is.
_FIXED = {
    "language": "python",
    "kernel_type": "script",
    "is_private": True,
    "enable_tpu": False,
    "enable_internet": False,
}
# What a source looks like. The official client lets some wrong ones pass, and the service drops them.
_SOURCES = {
    "dataset_sources": (rf"{_OWNER}/{_SLUG}(/\d+)?", "owner/dataset or owner/dataset/version"),
    "competition_sources": (_SLUG, "competition"),
    "kernel_sources": (rf"{_OWNER}/{_SLUG}(/\d+)?", "owner/kernel or owner/kernel/version"),
    "model_sources": (rf"{_OWNER}/[\w.-]+/\w+/[\w.-]+/\d+", "owner/model/framework/variation/version"),
}


@cache
def kaggle_limits() -> Mapping[str, Any]:
    """What Kaggle allows: the tables of limits.toml."""
    return tomllib.loads(Path(__file__).with_name("limits.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class KernelMetadata:
    """A kernel's kernel-metadata.json: one private Python script without internet, on a GPU machine or on a CPU.

    Raises:
        BadInput: Kaggle, or its client, would refuse it, change it, or run it without something that it needs.
    """

    id: str  # owner/slug
    title: str
    code_file: str
    machine_shape: str | None = None  # None: a CPU
    dataset_sources: tuple[str, ...] = ()
    competition_sources: tuple[str, ...] = ()
    kernel_sources: tuple[str, ...] = ()
    model_sources: tuple[str, ...] = ()
    docker_image: str | None = None

    def __post_init__(self) -> None:
        self._check_name()
        self._check_machine()
        if not re.fullmatch(r"[\w. -]+\.py", self.code_file):
            raise BadInput(f"kernel {self.id}: code_file {self.code_file!r} is no name.py beside {METADATA_FILE}")
        for kind, (pattern, example) in _SOURCES.items():
            for source in getattr(self, kind):
                if not re.fullmatch(pattern, source):
                    raise BadInput(f"kernel {self.id}: {kind}: {source!r} is no {example}")

    @property
    def owner(self) -> str:
        return self.id.split("/")[0]

    @property
    def slug(self) -> str:
        return self.id.split("/")[1]

    @property
    def mounts(self) -> frozenset[str]:
        """The folder names under /kaggle/input by which the sources can be found there."""
        versioned = (*self.dataset_sources, *self.kernel_sources, *self.model_sources)
        return frozenset({*self.competition_sources, *(source.split("/")[1] for source in versioned)})

    def _check_name(self) -> None:
        limits = kaggle_limits()["kernel"]
        if not re.fullmatch(rf"{_OWNER}/{_SLUG}", self.id) or len(self.slug) < limits["shortest_slug"]:
            raise BadInput(
                f"kernel id {self.id!r} is no owner/slug: small letters, digits and dashes, "
                f"{limits['shortest_slug']} or more of them in the slug"
            )
        if not limits["shortest_title"] <= len(self.title) <= limits["longest_title"]:
            raise BadInput(
                f"kernel {self.id}: title {self.title!r} has {len(self.title)} characters, "
                f"where {limits['shortest_title']} to {limits['longest_title']} are allowed"
            )
        if kaggle_slug(self.title) != self.slug:  # Kaggle would make another kernel of it, or answer 409
            raise BadInput(
                f"kernel {self.id}: title {self.title!r} makes the slug {kaggle_slug(self.title)!r}, not {self.slug!r}"
            )

    def _check_machine(self) -> None:
        limits = kaggle_limits()
        if self.machine_shape in limits["retired"]:
            instead = limits["retired"][self.machine_shape]
            raise BadInput(f"kernel {self.id}: {self.machine_shape} is retired; Kaggle would run {instead}: name it")
        if self.machine_shape is not None and self.machine_shape not in limits["machine"]:
            raise BadInput(
                f"kernel {self.id}: machine_shape {self.machine_shape!r}; allowed are {', '.join(limits['machine'])}"
            )


def kaggle_slug(title: str) -> str:
    """The name that Kaggle makes of a title for its address: "Answer it, 32B" becomes "answer-it-32b".

    Raises:
        BadInput: Kaggle's own client, which does it in its way, would make another: ö becomes o, 1,000 becomes 1000.
    """
    if not title.isascii() or re.search(r"\d,\d|&.*;", title):
        raise BadInput(f"title {title!r}: allowed are signs of ASCII, no comma between digits and no &…;")
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def check_kernel_settings(metadata: KernelMetadata, table: Mapping[str, Any]) -> None:
    """Checks a kernel's settings against the machine it runs on and the sources it mounts.

    Raises:
        BadInput: a type that the machine's GPUs lack, or a path under /kaggle/input that no source brings.
    """
    machine = kaggle_limits()["machine"].get(metadata.machine_shape)
    for name, value in _leaves(table):
        if machine and not machine["bfloat16"] and value.strip().lower().removeprefix("torch.") in _BFLOAT16:
            raise BadInput(
                f"kernel {metadata.id}: setting {name!r} is {value!r}, which {metadata.machine_shape} lacks: float16"
            )
        if value.startswith("/kaggle/input/") and value.split("/")[3] not in metadata.mounts:
            raise BadInput(
                f"kernel {metadata.id}: setting {name!r} reads {value}, but its sources bring only "
                f"{', '.join(sorted(metadata.mounts)) or 'nothing'}"
            )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Each text in a table, however deep, with the name of the setting that it belongs to."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else key)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item, name)
    elif isinstance(value, str):
        yield name, value


def write_kernel_metadata(metadata: KernelMetadata, folder: Path) -> None:
    """Writes kernel-metadata.json into `folder`, every switch in it: the client's defaults are not those documented."""
    fixed = _FIXED | {"enable_gpu": metadata.machine_shape is not None}
    told = {name: value for name, value in asdict(metadata).items() if value is not None} | fixed
    with replace_file(folder / METADATA_FILE) as part:
        part.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def read_kernel_metadata(folder: Path) -> KernelMetadata:
    """The kernel-metadata.json of a built kernel.

    Raises:
        BadInput: it is no JSON, it says what ours never do (internet, in public, another language, a field that we do
            not know), or what `KernelMetadata` refuses.
    """
    path = folder / METADATA_FILE
    table = read_json_object(path)
    for name, only in (_FIXED | {"enable_gpu": "machine_shape" in table}).items():
        if (said := json.dumps(table.pop(name, None))) != json.dumps(only):
            raise BadInput(f"{path}: {name} is {said}; allowed is {json.dumps(only)}")
    return from_table(KernelMetadata, table, str(path))


def read_json_object(path: Path) -> dict[str, Any]:
    """The one JSON object in a file.

    Raises:
        BadInput: it is no JSON, or something else than an object.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: no JSON object: {error}") from None
    if not isinstance(table, dict):
        raise BadInput(f"{path}: no JSON object, but a {type(table).__name__}")
    return table
