"""Load the models that retrieval uses: a sentence encoder and a cross-encoder."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from quorum.ask.encoders import Embed, Rerank
from quorum.errors import BadInput
from quorum.model.similarity import PACKAGED, load_sentence_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EMBEDDING_BATCH = 64  # texts


def load_embedder(model: str = "", device: str = "cpu") -> Embed:
    """Return a function that turns texts into unit vectors, one per row; without a `model`, by the packaged encoder.

    Raises:
        BadInput: the model cannot be loaded.
    """
    encoder = load_sentence_model(model or PACKAGED, device)

    def embed(texts: Sequence[str]) -> "NDArray[np.float32]":
        vectors = encoder.encode(
            list(texts), normalize_embeddings=True, batch_size=_EMBEDDING_BATCH, show_progress_bar=False
        )
        return cast("NDArray[np.float32]", vectors)

    return embed


def load_reranker(model: str, device: str = "cpu") -> Rerank:
    """Return a function that scores passages for a query by a cross-encoder of sentence-transformers.

    Args:
        model: hub id or folder.

    Raises:
        BadInput: the model cannot be loaded.
    """
    from sentence_transformers import CrossEncoder

    try:
        encoder = CrossEncoder(model, device=device)
    except (OSError, ValueError) as error:
        raise BadInput(f"reranker {model!r} cannot be loaded: {str(error).splitlines()[0]}") from None

    def rerank(query: str, passages: Sequence[str]) -> list[float]:
        return [float(score) for score in encoder.predict([(query, passage) for passage in passages])]

    return rerank
