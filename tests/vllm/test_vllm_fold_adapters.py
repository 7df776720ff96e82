"""Several fold adapters in one engine: out-of-fold answers, and the mean of all for new questions."""

import json
import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("vllm") is None:
    pytest.skip(
        "vllm is not installed in this environment; `make test` runs this in .venv-vllm", allow_module_level=True
    )

from quorum.data.learned import write_learned
from quorum.errors import BadInput
from quorum.model.backend import open_backend
from quorum.model.vllm import Vllm
from quorum.question import Prompt, Question, Reply, letters
from tests.support.folds import make_folds
from tests.support.replies import logprobs_of
from tests.support.tiny import tiny_model

FOLDS = 3
COUNT = 24
PROMPTS = [
    Prompt(question_id=f"n{number}", content=f"Question: def f{number}(x): return {number}\nAnswer:", labels=letters(4))
    for number in range(COUNT)
]
NEW = [
    Prompt(question_id=f"new{number}", content=f"import f{number}\nAnswer:", labels=letters(5)) for number in range(9)
]


def base() -> str:
    return str(tiny_model("llama", head_dim=32))  # the smallest head that vllm knows on a CPU


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """An adapter per fold, with the record of the questions of the other folds; their ranks differ."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    questions = [Question(id=prompt.question_id, text=str(prompt.content), answer="1") for prompt in PROMPTS]
    folds = {prompt.question_id: 1 + number % FOLDS for number, prompt in enumerate(PROMPTS)}
    split = make_folds(questions, folds=folds).split
    found = []
    for fold in range(1, FOLDS + 1):
        torch.manual_seed(fold)
        config = LoraConfig(r=4 * fold, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        path = tmp_path_factory.mktemp(f"fold-{fold}")
        get_peft_model(AutoModelForCausalLM.from_pretrained(base()), config).save_pretrained(str(path))
        write_learned(path, split, [id for id, own in folds.items() if own != fold])
        found.append(str(path))
    return found


@cache
def engine(**settings: Any) -> Vllm:
    table = {name: json.loads(value) if name == "adapters" else value for name, value in settings.items()}
    backend = open_backend({"name": "vllm", "model": base(), "kv_cache_memory_bytes": 32 * 2**20, **table})
    assert isinstance(backend, Vllm)
    return backend


def alone(adapters: list[str], prompts: list[Prompt], **settings: Any) -> list[list[Reply]]:
    """What each adapter answers in an engine of its own."""
    return [engine(adapter=adapter, **settings).answer(prompts) for adapter in adapters]


def test_each_training_question_is_answered_by_the_adapter_that_has_not_seen_it(adapters: list[str]) -> None:
    found = engine(adapters=json.dumps(adapters)).answer(PROMPTS)
    by_adapter = alone(adapters, PROMPTS)
    for number, reply in enumerate(found):
        own = by_adapter[number % FOLDS][number]
        assert reply.text == own.text
        assert reply.label_logprobs == pytest.approx(own.label_logprobs, abs=1e-4)
    assert any(one.text != other.text for one, other in zip(by_adapter[0], by_adapter[1], strict=True))


def test_a_new_question_is_answered_by_the_mean_of_all(adapters: list[str]) -> None:
    found = engine(adapters=json.dumps(adapters)).answer([*PROMPTS[:3], *NEW])[3:]
    by_adapter = alone(adapters, NEW)
    for number, reply in enumerate(found):
        for label in NEW[number].labels:
            mean = sum(math.exp(logprobs_of(replies[number])[label]) for replies in by_adapter) / FOLDS
            assert math.exp(logprobs_of(reply)[label]) == pytest.approx(mean, abs=1e-4)


def test_written_replies_are_those_of_the_fold_adapters(adapters: list[str]) -> None:
    settings = {"method": "generate", "max_new_tokens": 8}
    found = engine(adapters=json.dumps(adapters), **settings).answer(PROMPTS[:6])
    by_adapter = alone(adapters, PROMPTS[:6], **settings)
    assert [reply.text for reply in found] == [by_adapter[number % FOLDS][number].text for number in range(6)]


def test_adapters_are_refused_beside_an_adapter_or_without_their_records(adapters: list[str], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not both"):
        engine(adapter=adapters[0], adapters=json.dumps(adapters))
    with pytest.raises(BadInput, match="does not record which questions"):
        engine(adapters=json.dumps([adapters[0], str(tmp_path)]))
