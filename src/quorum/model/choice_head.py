"""How well options fit, by a multiple-choice head: DeBERTa-v3 and its kin, the same for asking and for training."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.engine.checkpoint import Checkpoint, find_max_length, load_checkpoint
from quorum.errors import BadInput
from quorum.model.similarity import join_question_context, no_encoder
from quorum.question import Prompt

if TYPE_CHECKING:
    import torch


class ChoiceHeadScorer:
    """Scores options by an `AutoModelForMultipleChoice`, which reads each of them once.

    The model reads a pair: the question, and the option; where the prompt has messages before the question, these, and
    the question with the option. Of a pair that is too long the longer half loses its end. `batch` pairs are read at a
    time. With `new_head` a model without a head gets one, drawn at random: it knows nothing until it is trained.

    Raises:
        BadInput: the model can't be loaded, or it has no head and is to get none.
    """

    def __init__(self, model: str, device: str, batch: int, new_head: bool = False) -> None:
        try:
            self.tokenizer, self.module = load_checkpoint(
                Checkpoint(model), "float32", device, "AutoModelForMultipleChoice"
            )
        except BadInput as error:
            raise no_encoder(model, error) from None
        built = ", ".join(self.module.config.architectures or ["nothing known"])
        if not new_head and "MultipleChoice" not in built:
            raise BadInput(
                f"encoder {model!r} has no multiple-choice head ({built}): train one with kernels/train.py, "
                "or name a sentence-transformers model"
            )
        self.most_tokens = find_max_length(self.module, self.tokenizer)
        self.batch = batch
        self.tokens_read = 0  # padding left out

    def scores(self, prompts: Sequence[Prompt]) -> "list[torch.Tensor]":
        """For each prompt the score of each of its options, in order; gradients flow through where they are wanted."""
        import torch

        asked = [_pairs(prompt) for prompt in prompts]
        distinct = sorted({pair for pairs in asked for pair in pairs}, key=lambda pair: (sum(map(len, pair)), pair))
        chunks = [distinct[start : start + self.batch] for start in range(0, len(distinct), self.batch)]
        read = torch.cat([self._read(chunk) for chunk in chunks]) if chunks else torch.empty(0)
        place = {pair: row for row, pair in enumerate(distinct)}
        return [read[[place[pair] for pair in pairs]] for pairs in asked]

    def save(self, folder: Path) -> None:
        """Writes the model and its tokenizer as a folder that this class opens, weights as safetensors."""
        self.module.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def load(self, folder: Path) -> None:
        """Takes the weights of a folder that `save` wrote."""
        from safetensors.torch import load_model

        load_model(self.module, folder / "model.safetensors", device=str(self.module.device))

    def limit_tokens(self, most: int) -> None:
        """No pair is read beyond `most` tokens, nor beyond what the model reads; the limit is saved with the model."""
        self.most_tokens = self.tokenizer.model_max_length = min(most, self.most_tokens)

    def _read(self, pairs: Sequence[tuple[str, str]]) -> "torch.Tensor":
        import torch

        features = self.tokenizer(
            [first for first, _ in pairs],
            [second for _, second in pairs],
            truncation=True,
            max_length=self.most_tokens,
            padding=True,
            return_tensors="pt",
        )
        self.tokens_read += int(features["attention_mask"].sum())
        one_choice = {name: value.unsqueeze(1).to(self.module.device) for name, value in features.items()}
        logits: torch.Tensor = self.module(**one_choice).logits
        return logits.squeeze(1).float()


def _pairs(prompt: Prompt) -> list[tuple[str, str]]:
    question, before = join_question_context(prompt)
    if before:
        return [("\n".join(before), f"{question} {option}") for option in prompt.options]
    return [(question, option) for option in prompt.options]
