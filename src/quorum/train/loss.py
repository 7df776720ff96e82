"""Compute the loss in PyTorch: on a CPU, where TRL's kernel does not run, and for soft labels."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from quorum.errors import BadInput
from quorum.train.rows.encode import EncodedRow, SoftAnswer, split_sequences

if TYPE_CHECKING:
    import torch


def make_plain_loss_trainer(encoded: Sequence[EncodedRow] = ()) -> Any:
    """Return a subclass of TRL's SFTTrainer that uses PyTorch's loss, on any device.

    Logits are computed only at positions with a label: the vocabulary is the widest layer of a small model, and a
    multiple-choice row has labels at two of its hundreds of tokens.

    A row with soft labels has, at its answer's token, the cross-entropy of the target: the answer with 1 - w, and the
    labels with the teacher's weights, which sum to w. It is the cross-entropy over the row's own labels, minus the
    logarithm of the labels' total probability: the model keeps writing labels, as it does without a teacher.

    Args:
        encoded: the rows, of which some may have soft labels.
    """
    soft_of = _collect_soft_answers(encoded)

    class PlainLossTrainer(import_module("trl").SFTTrainer):  # type: ignore[misc]
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            from torch.nn.functional import cross_entropy

            soft = _find_soft_answers(inputs, soft_of) if soft_of else {}
            labels = inputs.pop("labels")[:, 1:]
            positions = (labels != -100).any(dim=0).nonzero().flatten()
            outputs = model(**inputs, logits_to_keep=positions, use_cache=False)
            targets = labels[:, positions].flatten()
            logits = outputs.logits.flatten(0, 1).float()
            if soft:
                losses = cross_entropy(logits, targets, ignore_index=-100, reduction="none")
                kept = positions.tolist()
                places = {line * len(kept) + kept.index(at - 1): each for (line, at), each in soft.items()}
                total = _mix_soft_losses(losses, logits, places)
            else:
                total = cross_entropy(logits, targets, ignore_index=-100, reduction="sum")
            count = (targets != -100).sum() if num_items_in_batch is None else num_items_in_batch
            loss = total / count
            return (loss, outputs) if return_outputs else loss

    return PlainLossTrainer


def _collect_soft_answers(encoded: Sequence[EncodedRow]) -> dict[tuple[int, ...], SoftAnswer | None]:
    """Return the soft labels of every row by its token ids, if any row has some; rows with equal ids share a mean."""
    if not any(row.soft for row in encoded):
        return {}
    by_ids: dict[tuple[int, ...], list[SoftAnswer | None]] = {}
    for row in encoded:
        by_ids.setdefault(row.ids, []).append(row.soft)
    return {ids: _average_soft_answers(found) for ids, found in by_ids.items()}


def _average_soft_answers(found: Sequence[SoftAnswer | None]) -> SoftAnswer | None:
    """Return the mean of several soft labels; one that is None has weight 0 for every label."""
    known = [each for each in found if each is not None]
    if len(found) == 1 or not known:
        return found[0]
    weights = tuple(sum(column) / len(found) for column in zip(*(each.weights for each in known), strict=True))
    return SoftAnswer(known[0].at, known[0].tokens, weights)


def _find_soft_answers(
    inputs: Mapping[str, Any], soft_of: Mapping[tuple[int, ...], SoftAnswer | None]
) -> dict[tuple[int, int], SoftAnswer]:
    """Return the soft labels in a batch by the line and the place of the answer's token."""
    found = {}
    for line, places, ids in split_sequences(inputs):
        if ids not in soft_of:
            raise BadInput("the trainer changed the tokens of a row, so its soft labels cannot be found")
        soft = soft_of[ids]
        if soft is not None:
            found[line, places[soft.at]] = soft
    return found


def _mix_soft_losses(
    losses: "torch.Tensor", logits: "torch.Tensor", places: Mapping[int, SoftAnswer]
) -> "torch.Tensor":
    """Return the sum of the losses, mixed with those of the soft labels.

    Args:
        losses: the loss of each token, shape (places,).
        logits: shape (places, vocabulary).
        places: soft labels by place.
    """
    import torch

    share, teacher = torch.ones_like(losses), losses.new_zeros(())
    for place, soft in places.items():
        share[place] = max(0.0, 1 - sum(soft.weights))
        own = torch.log_softmax(logits[place], dim=0)[list(soft.tokens)]
        teacher = teacher - (own * own.new_tensor(soft.weights)).sum()
    return (losses * share).sum() + teacher
