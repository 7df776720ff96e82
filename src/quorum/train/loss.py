"""Compute the loss on a CPU, where TRL's kernel does not run."""

from importlib import import_module
from typing import Any


def make_plain_loss_trainer() -> Any:
    """Return a subclass of TRL's SFTTrainer that uses PyTorch's loss, on any device.

    Logits are computed only at positions with a label: the vocabulary is the widest layer of a small model, and a
    multiple-choice row has labels at two of its hundreds of tokens.
    """

    class PlainLossTrainer(import_module("trl").SFTTrainer):  # type: ignore[misc]
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            from torch.nn.functional import cross_entropy

            labels = inputs.pop("labels")[:, 1:]
            positions = (labels != -100).any(dim=0).nonzero().flatten()
            outputs = model(**inputs, logits_to_keep=positions, use_cache=False)
            targets = labels[:, positions].flatten()
            total = cross_entropy(outputs.logits.flatten(0, 1).float(), targets, ignore_index=-100, reduction="sum")
            count = (targets != -100).sum() if num_items_in_batch is None else num_items_in_batch
            loss = total / count
            return (loss, outputs) if return_outputs else loss

    return PlainLossTrainer
