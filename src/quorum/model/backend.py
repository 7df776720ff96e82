"""Open the model that a TOML table names: one protocol, many backends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from quorum.config import from_table
from quorum.engine.checkpoint import choose_device
from quorum.engine.cpu_speed import choose_cpu_dtype
from quorum.errors import BadInput
from quorum.question import Prompt, Question, Reply


class Backend(Protocol):
    """Anything that answers prompts: a model, or a backend around another backend."""

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return one reply for each prompt, in the same order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The capabilities of a kind of backend."""

    generates: bool = False  # writes free text
    scores: bool = True  # gives each label a probability
    reads_prompt: bool = True  # follows instructions and sees letters; False: it only compares texts
    sees_train: bool = False  # answers from the solved questions
    wraps: bool = False  # runs the backend of its table `inner`
    remote: bool = False  # a server answers: no library of this machine changes a reply
    libraries: tuple[str, ...] = ()  # that take seconds to import, on a machine without a GPU


KINDS: dict[str, Kind] = {
    "fake": Kind(sees_train=True),
    "encoder": Kind(reads_prompt=False, libraries=("sentence_transformers", "transformers.trainer")),
    "neighbour": Kind(reads_prompt=False, sees_train=True, libraries=("sklearn.feature_extraction.text",)),
    "transformers": Kind(generates=True, libraries=("torch", "transformers")),
    "seq2seq": Kind(generates=True),
    "endpoint": Kind(generates=True, remote=True),
    "vllm": Kind(generates=True),
    "ray": Kind(generates=True, wraps=True),
}

_registered: dict[str, tuple[type, Callable[..., Backend]]] = {}


def register_backend(name: str, kind: Kind, settings: type, backend: Callable[..., Backend]) -> None:
    """Add a backend from outside the package; `name = "NAME"` in a `[backend]` table then opens it.

    Args:
        settings: a dataclass; the other values of the `[backend]` table become its fields.
        backend: called with those settings, and with `solved=` if the kind sees train.

    Raises:
        BadInput: the name is taken.
    """
    if name in KINDS:
        raise BadInput(f"backend {name!r} exists already; choose another name")
    KINDS[name] = kind
    _registered[name] = (settings, backend)


def backend_name(table: Mapping[str, Any]) -> str:
    """Return the name of the backend that answers: the name in the inner table if the backend wraps another.

    Raises:
        BadInput: there is no such backend.
    """
    name = table.get("name")
    if name not in KINDS:
        raise BadInput(f"backend {name!r} is unknown; allowed are {', '.join(KINDS)}")
    return backend_name(table.get("inner", {})) if KINDS[str(name)].wraps else str(name)


def read_backend_settings(table: Mapping[str, Any]) -> Any:
    """Return the settings in a `[backend]` table, without loading anything.

    Raises:
        BadInput: there is no such backend, or one of its settings is unknown, missing or of the wrong type.
    """
    backend_name(table)  # checks the names, those of inner tables included
    name = str(table["name"])
    settings, _ = _backend_classes(name)
    if KINDS[name].wraps:
        read_backend_settings(table["inner"])
    return from_table(settings, {key: value for key, value in table.items() if key != "name"}, f"backend {name!r}")


def resolve_number_type(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a `[backend]` table with the number type that `dtype` auto is on this CPU, if that is not float32.

    The type is then part of all that is derived from the table: the journal's key and the manifest. A table of a
    backend on a GPU, where auto depends on the GPU alone, is returned as it is.
    """
    settings = read_backend_settings(table)
    if KINDS[str(table["name"])].wraps:
        return {**table, "inner": resolve_number_type(table["inner"])}
    if getattr(settings, "dtype", None) != "auto" or choose_cpu_dtype() == "float32":
        return table
    device = getattr(settings, "device", "auto")
    on_cpu = (choose_device() if device == "auto" else device) == "cpu"
    return {**table, "dtype": choose_cpu_dtype()} if on_cpu else table


def list_backend_settings() -> dict[str, type]:
    """Return the settings class of every kind of backend, by a caption for help texts."""
    return {f'[backend] name = "{name}"': _backend_classes(name)[0] for name in KINDS}


def open_backend(table: Mapping[str, Any], solved: Sequence[Question] = ()) -> Backend:
    """Load the backend that a `[backend]` table names.

    Args:
        solved: questions of the training folds, for backends that answer from them.

    Raises:
        BadInput: as `read_backend_settings`, or the model cannot be loaded.
    """
    settings = read_backend_settings(table)
    name = str(table["name"])
    extra: dict[str, Any] = {}
    if KINDS[name].sees_train:
        extra["solved"] = solved
    if KINDS[name].wraps:
        extra["opener"] = partial(open_backend, solved=solved)
    backend: Backend = _backend_classes(name)[1](settings, **extra)
    return backend


def _backend_classes(name: str) -> tuple[type, Callable[..., Any]]:
    """Return the settings dataclass and the backend class of a kind."""
    match name:
        case "fake":
            from quorum.model.simulated import SimulatedModel, SimulatedSettings

            return SimulatedSettings, SimulatedModel
        case "encoder":
            from quorum.model.encoder import Encoder, EncoderSettings

            return EncoderSettings, Encoder
        case "neighbour":
            from quorum.model.neighbour import Neighbour, NeighbourSettings

            return NeighbourSettings, Neighbour
        case "transformers":
            from quorum.model.transformers import Transformers, TransformersSettings

            return TransformersSettings, Transformers
        case "seq2seq":
            from quorum.model.seq2seq import Seq2seq, Seq2seqSettings

            return Seq2seqSettings, Seq2seq
        case "endpoint":
            from quorum.model.endpoint import Endpoint, EndpointSettings

            return EndpointSettings, Endpoint
        case "vllm":
            from quorum.model.vllm import Vllm
            from quorum.model.vllm_settings import VllmSettings

            return VllmSettings, Vllm
        case "ray":
            from quorum.model.ray_pool import RayPool, RaySettings

            return RaySettings, RayPool
        case _:
            return _registered[name]
