"""The models that retrieval calls, as functions: `quorum.model.embed` loads them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# n texts -> n unit vectors, shape (n, width), float32
Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]
# a query and n texts -> n scores, higher is better
Rerank = Callable[[str, Sequence[str]], Sequence[float]]
