"""The loss where TRL has none: its kernel for it is made for GPUs alone."""

from importlib import import_module
from typing import Any


def make_plain_loss_trainer() -> Any:
    """TRL's SFTTrainer as a class whose loss is PyTorch's own, on any device.

    The logits are worked out at the learnt places alone: a vocabulary is the widest layer of a small model, and of a
    multiple-choice row two tokens in hundreds are learnt.
    """

    class PlainLossTrainer(import_module("trl").SFTTrainer):  # type: ignore[misc]
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            from torch.nn.functional import cross_entropy

            labels = inputs.pop("labels")[:, 1:]
            places = (labels != -100).any(dim=0).nonzero().flatten()
            outputs = model(**inputs, logits_to_keep=places, use_cache=False)
            wanted = labels[:, places].flatten()
            summed = cross_entropy(outputs.logits.flatten(0, 1).float(), wanted, ignore_index=-100, reduction="sum")
            count = (wanted != -100).sum() if num_items_in_batch is None else num_items_in_batch
            loss = summed / count
            return (loss, outputs) if return_outputs else loss

    return PlainLossTrainer
