"""Whether a model can be read the shared way: known kinds of layers, and the same numbers on a small trial."""

from typing import Any

from quorum.model.cascade import shared_logprobs
from quorum.model.likelihood import plain_logprobs
from quorum.model.tokens import Continuation

_KNOWN_LAYERS = {"full_attention", "sliding_attention"}
# Their rotary angles depend on the longest sequence in work, so that keys could not be kept.
_LENGTH_BOUND_ROPE = {"dynamic", "longrope"}
# The median difference of log-probabilities that rounding explains: float32, and the half-wide types.
_ROUNDING, _HALF_ROUNDING = 1e-3, 0.15


def why_plain(model: Any) -> str | None:
    """Why the model must read every sequence whole and alone; None where the shared way gives the same numbers."""
    config = model.config.get_text_config()
    unknown = set(getattr(config, "layer_types", None) or ()) - _KNOWN_LAYERS
    if unknown:
        return f"its layers are {', '.join(sorted(unknown))}"
    bound = _rope_types(getattr(config, "rope_parameters", None)) & _LENGTH_BOUND_ROPE
    if bound:
        return f"its rotary embedding is {', '.join(sorted(bound))}"
    trial = _trial(min(model.get_output_embeddings().weight.shape[0], 1000))
    try:
        shared = shared_logprobs(model, trial, batch_tokens=24)
    except (NotImplementedError, TypeError, ValueError, AttributeError, KeyError, IndexError, RuntimeError) as error:
        return f"it does not run so: {type(error).__name__}: {error}"
    plain = plain_logprobs(model, trial)
    off = sorted(abs(a - b) for one, other in zip(shared, plain, strict=True) for a, b in zip(one, other, strict=True))
    wide = model.dtype.itemsize >= 4
    if not off[len(off) // 2] <= (_ROUNDING if wide else _HALF_ROUNDING):  # a NaN is no agreement
        return f"its log-probabilities came out {off[len(off) // 2]:.2g} apart"
    return None


def _trial(vocabulary: int) -> list[Continuation]:
    """Sequences with a head worth keeping, rests of several lengths, and followings of one token and of two."""
    head = tuple(7 * at % vocabulary for at in range(1, 41))
    return [
        Continuation(
            head + tuple((11 * at + n) % vocabulary for at in range(1 + n // 2)), (n % vocabulary, 3)[: 1 + n % 2]
        )
        for n in range(12)
    ]


def _rope_types(parameters: Any) -> set[str]:
    """Every rope_type in a rotary configuration, which is one table or one a kind of layer."""
    if not isinstance(parameters, dict):
        return set()
    own = {str(parameters["rope_type"])} if "rope_type" in parameters else set()
    return own.union(*(_rope_types(inner) for inner in parameters.values()))
