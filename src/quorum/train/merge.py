"""An adapter merged into its base, for engines that take no adapter, and the proof that it answers alike."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quorum.engine.checkpoint import Checkpoint, load_checkpoint
from quorum.errors import BadInput
from quorum.question import Prompt, Reply


@dataclass(frozen=True, slots=True)
class LetterParity:
    """How alike two models answer: ids where their letters differ, and how far any letter's log-probability is off."""

    asked: int
    differ: tuple[str, ...]
    furthest: float


def find_base(adapter: Path) -> str:
    """The model that an adapter was trained on, as its trainer called it.

    Raises:
        BadInput: there is no adapter that PEFT wrote.
    """
    try:
        return str(json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{adapter}: no adapter that PEFT wrote: {type(error).__name__}: {error}") from None


def merge_adapter(base: str, adapter: Path, out: Path, dtype: Literal["float16", "bfloat16", "float32"]) -> None:
    """Writes OUT, whole or not at all: the base with the adapter in its weights, as safetensors of `dtype`, and its
    tokenizer.

    Raises:
        BadInput: the base or the adapter can't be loaded, or OUT is there already.
    """
    if out.exists():
        raise BadInput(f"{out} is there already; name another folder, or delete it")
    tokenizer, model = load_checkpoint(Checkpoint(base, adapter=str(adapter)), dtype, "cpu")
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)
    part.replace(out)


def compare_letters(prompts: Sequence[Prompt], these: Sequence[Reply], those: Sequence[Reply]) -> LetterParity:
    """Compares two backends' replies to the same prompts, letters with their log-probabilities."""
    differ, furthest = [], 0.0
    for prompt, this, that in zip(prompts, these, those, strict=True):
        if this.text != that.text:
            differ.append(prompt.question_id)
        for label in prompt.labels:
            assert this.label_logprobs is not None
            assert that.label_logprobs is not None
            furthest = max(furthest, abs(this.label_logprobs[label] - that.label_logprobs[label]))
    return LetterParity(len(prompts), tuple(differ), furthest)
