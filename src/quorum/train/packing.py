"""Attend to each row of a packed sequence by itself, without FlashAttention and without a mask.

In a packed sequence rows follow each other without padding. FlashAttention separates them; without it (a CPU, a T4)
transformers uses a dense mask over the whole sequence, whose cost grows with the square of the batch. Here attention
runs over each row by itself, and everything else over all rows at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_ROW_BY_ROW = "quorum_row_by_row"


def attend_row_by_row(model: Any) -> bool:
    """Make the model attend to each packed row by itself, and return whether this was possible.

    The model is left unchanged if it uses another attention than scaled dot products, or FlashAttention.
    """
    from transformers import AttentionInterface

    config = model.config.get_text_config()
    capped = getattr(config, "attn_logit_softcapping", None) or getattr(config, "attention_chunk_size", None)
    if config._attn_implementation != "sdpa" or capped:
        return False
    AttentionInterface.register(_ROW_BY_ROW, _attend_rows)
    model.set_attn_implementation(_ROW_BY_ROW)
    return True


def _attend_rows(
    module: Any,
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> "tuple[torch.Tensor, None]":
    """Return the attention of each row to itself; shapes (1, heads, tokens, width), out (1, tokens, heads, width)."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    starts = (kwargs["position_ids"][0] == 0).nonzero().flatten().tolist()
    lengths = [end - start for start, end in zip(starts, [*starts[1:], query.shape[2]], strict=True)]
    rows = zip(*(torch.split(each, lengths, dim=2) for each in (query, key, value)), strict=True)
    attended = [
        scaled_dot_product_attention(
            one_query,
            one_key,
            one_value,
            attn_mask=_window_mask(length, sliding_window, query.device),
            dropout_p=dropout,
            is_causal=not sliding_window or length <= sliding_window,
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        for (one_query, one_key, one_value), length in zip(rows, lengths, strict=True)
    ]
    return torch.cat(attended, dim=2).transpose(1, 2), None


def _window_mask(length: int, window: int | None, device: "torch.device") -> "torch.Tensor | None":
    """Return the mask of a causal sliding window; None if the window covers the whole row."""
    import torch

    if not window or length <= window:
        return None
    return torch.ones(length, length, dtype=torch.bool, device=device).tril().triu(1 - window)
