"""Whether a model can be read the shared way: known kinds of layers, and the same numbers on a small trial."""

from statistics import median
from typing import Any

from quorum.engine.likelihood import score_sequences
from quorum.engine.prefix_attention import score_with_shared_prefixes
from quorum.engine.tokens import Continuation

_KNOWN_LAYERS = {"full_attention", "sliding_attention"}
# Their rotary angles depend on the longest sequence in work, so that keys could not be kept.
_LENGTH_BOUND_ROPE = {"dynamic", "longrope"}
# What rounding explains: the largest difference of log-probabilities in float32, and the median in the half-wide types,
# where rounding may send a token to another expert.
_ROUNDING, _HALF_ROUNDING = 1e-3, 0.15


def find_sharing_obstacle(model: Any) -> str | None:
    """Why the model must read every sequence whole and alone; None where the shared way gives the same numbers."""
    config = model.config.get_text_config()
    unknown = set(getattr(config, "layer_types", None) or ()) - _KNOWN_LAYERS
    if unknown:
        return f"its layers are {', '.join(sorted(unknown))}"
    bound = _collect_rope_types(getattr(config, "rope_parameters", None)) & _LENGTH_BOUND_ROPE
    if bound:
        return f"its rotary embedding is {', '.join(sorted(bound))}"
    trial = _make_probe(min(config.vocab_size, 1000))
    try:
        shared = score_with_shared_prefixes(model, trial, batch_tokens=24)
    except (NotImplementedError, TypeError, ValueError, AttributeError, KeyError, IndexError, RuntimeError) as error:
        return f"it does not run so: {type(error).__name__}: {error}"
    some = slice(1, None, 4)  # the plain way is slow: three are enough to tell
    plain = score_sequences(model, trial[some])
    pairs = [pair for both in zip(shared[some], plain, strict=True) for pair in zip(*both, strict=True)]
    apart = [abs(one - other) for one, other in pairs]
    off, most = (max(apart), _ROUNDING) if model.dtype.itemsize >= 4 else (median(apart), _HALF_ROUNDING)
    return None if off <= most else f"its log-probabilities came out {off:.2g} apart"  # a NaN is no agreement


def _make_probe(vocabulary: int) -> list[Continuation]:
    """Sequences with a head worth keeping, rests of several lengths, and followings of one token and of two."""
    head = tuple(7 * at % vocabulary for at in range(1, 41))
    return [
        Continuation(
            head + tuple((11 * at + n) % vocabulary for at in range(1 + n // 2)), (n % vocabulary, 3)[: 1 + n % 2]
        )
        for n in range(12)
    ]


def _collect_rope_types(parameters: Any) -> set[str]:
    """Every rope_type in a rotary configuration, which is one table or one a kind of layer."""
    if not isinstance(parameters, dict):
        return set()
    own = {str(parameters["rope_type"])} if "rope_type" in parameters else set()
    return own.union(*(_collect_rope_types(inner) for inner in parameters.values()))
