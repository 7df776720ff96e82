"""The encoder: how well each option fits the question and what is known about it.

As it comes it learns nothing and costs seconds on a CPU: the baseline that a language model has to beat. What
kernels/train.py made of it is opened by the name of its folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from quorum.engine.scores import make_scored_reply
from quorum.model.choice_head import ChoiceHeadScorer
from quorum.model.similarity import PACKAGED, SimilarityScorer, is_sentence_model
from quorum.question import Prompt, Reply

if TYPE_CHECKING:
    import torch


class OptionScorer(Protocol):
    """A model that scores options: asked by `Encoder`, taught by quorum.train.encoder, with the same `scores`."""

    tokens_read: int  # so far, padding left out

    @property
    def module(self) -> "torch.nn.Module":
        """What is trained, and put to eval() before it is asked."""
        ...

    def scores(self, prompts: Sequence[Prompt]) -> "list[torch.Tensor]":
        """For each prompt the score of each of its options, in order; gradients flow through where they are wanted."""
        ...

    def save(self, folder: Path) -> None:
        """Writes a folder that `open_scorer` opens, weights as safetensors."""
        ...

    def load(self, folder: Path) -> None:
        """Takes the weights of a folder that `save` wrote."""
        ...

    def limit_tokens(self, most: int) -> None:
        """Nothing is read beyond `most` tokens; the limit is saved with the model."""
        ...


@dataclass(frozen=True)
class EncoderSettings:
    """Which encoder, and how it reads."""

    model: str = field(
        default=PACKAGED,
        metadata={"help": "A sentence-transformers model, or one with a multiple-choice head: hub id or folder."},
    )
    scale: float = field(default=20.0, metadata={"help": "Factor of cosine similarities before the softmax."})
    device: str = field(default="cpu", metadata={"help": "Torch device."})
    batch: int = field(default=64, metadata={"help": "Texts read at a time."})


class Encoder:
    """A backend that answers with the option that scores best.

    `model` is a sentence-transformers model (see `SimilarityScorer`) or one with a multiple-choice head (see
    `ChoiceHeadScorer`): a hub id or a folder. Probabilities are a softmax over the scores; for a sentence-transformers
    model these are `scale` times cosines, and 20 is the scale that sentence-transformers trains with. `batch` texts are
    read at a time.

    Raises:
        BadInput: the model can't be loaded, or has no head.
    """

    def __init__(self, settings: EncoderSettings | None = None) -> None:
        chosen = settings or EncoderSettings()
        self.scorer = open_scorer(chosen.model, chosen.device, chosen.scale, chosen.batch)
        self.scorer.module.eval()

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """The best option's label and the probability of each, for every prompt; nothing for one without options."""
        import torch

        with torch.inference_mode():
            scores = iter(self.scorer.scores([prompt for prompt in prompts if prompt.options]))
            return [
                make_scored_reply(prompt.labels, next(scores).tolist()) if prompt.options else Reply("")
                for prompt in prompts
            ]


def open_scorer(model: str, device: str, scale: float, batch: int, new_head: bool = False) -> OptionScorer:
    """A sentence-transformers model where there is a modules.json, else a multiple-choice head on a language model.

    With `new_head` a language model without a head gets one, to be trained.

    Raises:
        BadInput: the model can't be loaded, or has no head and is to get none.
    """
    if is_sentence_model(model):
        return SimilarityScorer(model, device, scale, batch)
    return ChoiceHeadScorer(model, device, batch, new_head)
