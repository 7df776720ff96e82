"""The models that retrieval asks: a sentence encoder, and a cross-encoder."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from quorum.ask.search.index import Embed
from quorum.ask.search.search import Rerank
from quorum.errors import BadInput
from quorum.model.similarity import PACKAGED, load_sentence_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EMBEDDED_AT_ONCE = 64  # texts


def load_embedder(model: str = "", device: str = "cpu") -> Embed:
    """What turns texts into unit vectors, one a row; the packaged encoder where no model is named.

    Raises:
        BadInput: the model can't be loaded.
    """
    encoder = load_sentence_model(model or PACKAGED, device)

    def embed(texts: Sequence[str]) -> "NDArray[np.float32]":
        made = encoder.encode(
            list(texts), normalize_embeddings=True, batch_size=_EMBEDDED_AT_ONCE, show_progress_bar=False
        )
        return cast("NDArray[np.float32]", made)

    return embed


def load_reranker(model: str, device: str = "cpu") -> Rerank:
    """What scores passages for a query: a cross-encoder of sentence-transformers, by name or in a folder.

    Raises:
        BadInput: the model can't be loaded.
    """
    from sentence_transformers import CrossEncoder

    try:
        encoder = CrossEncoder(model, device=device)
    except (OSError, ValueError) as error:
        raise BadInput(f"reranker {model!r} can't be loaded: {str(error).splitlines()[0]}") from None

    def rerank(query: str, passages: Sequence[str]) -> list[float]:
        return [float(score) for score in encoder.predict([(query, passage) for passage in passages])]

    return rerank
