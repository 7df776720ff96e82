"""The one door to a model: a batch of prompts in, as many replies out."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from quorum.config import from_table
from quorum.errors import BadInput
from quorum.question import Prompt, Question, Reply


class Backend(Protocol):
    """Anything that answers prompts: a model, or a backend around a backend.

    Which model, how it samples, on how many devices: all of that goes to a constructor.
    """

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order."""
        ...


def open_backend(table: Mapping[str, Any], solved: Sequence[Question] = ()) -> Backend:
    """The backend that a TOML table names, loaded; the rest of the table are its settings.

    `solved` are questions of the training folds, for the backends that answer from them.

    Raises:
        BadInput: no such backend, or one of its settings is unknown, missing or of the wrong type.
    """
    rest = {name: value for name, value in table.items() if name != "name"}
    where = f"backend {table.get('name')!r}"
    match table.get("name"):
        case "fake":
            from quorum.model.simulated import SimulatedModel

            return from_table(SimulatedModel, rest, where, solved=solved)
        case "encoder":
            from quorum.model.encoder import Encoder

            return from_table(Encoder, rest, where)
        case "neighbour":
            from quorum.model.neighbour import Neighbour

            return from_table(Neighbour, rest, where, solved=solved)
        case "transformers":
            from quorum.model.transformers import Transformers

            return from_table(Transformers, rest, where)
        case "seq2seq":
            from quorum.model.seq2seq import Seq2seq

            return from_table(Seq2seq, rest, where)
        case "endpoint":
            from quorum.model.endpoint import Endpoint

            return from_table(Endpoint, rest, where, sleep=time.sleep)
        case "vllm":
            from quorum.model.vllm import Vllm

            return from_table(Vllm, rest, where)
        case "ray":
            from quorum.model.around.ray import RayPool

            return from_table(RayPool, rest, where, opened=partial(open_backend, solved=solved))
        case _:
            allowed = "fake, encoder, neighbour, transformers, seq2seq, endpoint, vllm, ray"
            raise BadInput(f"{where} is unknown; allowed are {allowed}")
