"""The vllm backend, on tiny real models, against the transformers backend. Runs where vllm is: `make test` has a place
for it, .venv-vllm, as its versions are not those of requirements.txt.

Engines live as long as the session: one that is collected takes the process groups of the others with it.
"""

import atexit
import json
import shutil
import tempfile
from collections import Counter
from functools import cache
from importlib.util import find_spec
from itertools import count
from math import exp
from pathlib import Path
from typing import Any

import pytest

if find_spec("vllm") is None:
    pytest.skip(
        "vllm is not installed in this environment; `make test` runs this in .venv-vllm", allow_module_level=True
    )

from quorum.errors import BadInput
from quorum.model.around.isolate import IsolatingBackend
from quorum.model.backend import open_backend
from quorum.model.transformers import Transformers, TransformersSettings
from quorum.model.vllm import Vllm
from quorum.question import Message, Prompt, Reply, letters
from tests.support.replies import logprobs_of
from tests.support.tiny import CHATML, tiny_model

CACHE = 32 * 2**20
SHOTS = "".join(f"Question: {n} + {n}\nA. {n}\nB. {2 * n}\nAnswer: B\n\n" for n in range(3))
PROMPTS = [
    Prompt(
        question_id=str(n),
        content=f"{SHOTS * (n % 3)}Question: def f{n}(x): return {n * n}\nAnswer:",
        labels=letters(2 + n % 25),
    )
    for n in range(30)
]


def folder(kind: str, chat: bool = False) -> str:
    return str(tiny_model(kind, chat, head_dim=32))  # the smallest head that vllm knows on a CPU


@cache
def vllm(model: str, **settings: Any) -> Vllm:
    backend = open_backend({"name": "vllm", "model": model, "kv_cache_memory_bytes": CACHE, **settings})
    assert isinstance(backend, Vllm)
    return backend


def assert_alike(found: list[Reply], expected: list[Reply], tolerance: float = 1e-4) -> None:
    assert [reply.text for reply in found] == [reply.text for reply in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.label_logprobs == pytest.approx(other.label_logprobs, abs=tolerance)
        assert one.label_mass == pytest.approx(other.label_mass, abs=tolerance)


# a mixture of experts first: the first engine of a process makes the process groups, and these need one more
@pytest.mark.parametrize("kind", ["mixtral", "qwen3_moe", "llama", "qwen3", "gemma3"])
def test_letters_and_their_probabilities_equal_those_of_the_transformers_backend(kind: str) -> None:
    assert_alike(
        vllm(folder(kind)).answer(PROMPTS), Transformers(TransformersSettings(model=folder(kind))).answer(PROMPTS)
    )


def test_a_chat_template_is_rendered_as_the_transformers_backend_renders_it() -> None:
    turns = (Message("system", "Be brief."), Message("user", "2+2?\nA. 3\nB. 4"), Message("assistant", "It is"))
    prompts = [
        Prompt(question_id="q", content="Which <|im_end|> one?", labels=letters(26)),
        Prompt(question_id="r", content=turns, labels=("A", "B")),
    ]
    model = folder("qwen3", chat=True)
    assert_alike(vllm(model).answer(prompts), Transformers(TransformersSettings(model=model)).answer(prompts))


def test_labels_that_begin_with_the_same_token_are_read_whole() -> None:
    prompts = [
        Prompt(question_id="q", content="How many?\n", labels=("12", "13", "7")),
        PROMPTS[0],
        Prompt(question_id="r", content="How many?\n", labels=("121", "122")),
    ]
    assert_alike(
        vllm(folder("llama")).answer(prompts), Transformers(TransformersSettings(model=folder("llama"))).answer(prompts)
    )


def test_a_prompt_that_is_too_long_loses_the_same_middle() -> None:
    backend, reference = (
        vllm(folder("llama"), max_model_len=64),
        Transformers(TransformersSettings(model=folder("llama"), context_tokens=64)),
    )
    prompts = [
        Prompt(question_id=str(n), content="import os\n" * n + "Answer:", labels=("A", "B", "C"))
        for n in (1, 15, 16, 17, 40)
    ]
    assert_alike(backend.answer(prompts), reference.answer(prompts))
    assert backend.shortened == reference.shortened > 0


def test_an_empty_batch_and_an_empty_prompt_are_answered() -> None:
    assert vllm(folder("llama")).answer([]) == []
    assert len(vllm(folder("llama")).answer([Prompt(question_id="q", content="", labels=("A", "B"))])) == 1


def test_greedy_text_equals_that_of_the_transformers_backend() -> None:
    settings: dict[str, Any] = {"method": "generate", "max_new_tokens": 12}
    found = vllm(folder("llama"), **settings).answer(PROMPTS)
    assert found == Transformers(TransformersSettings(model=folder("llama"), **settings)).answer(PROMPTS)


def test_a_reply_keeps_its_marks_and_says_whether_it_was_cut_as_one_of_the_transformers_backend_does() -> None:
    copy = Path(tempfile.mkdtemp(prefix="quorum-ends-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    shutil.copytree(folder("llama", chat=True), copy, dirs_exist_ok=True)
    ends = json.loads((copy / "generation_config.json").read_text())
    ends["eos_token_id"] = [1, *range(40, 600, 7)]  # many tokens end a reply
    (copy / "generation_config.json").write_text(json.dumps(ends))
    template = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
    (copy / "chat_template.jinja").write_text(template)
    settings: dict[str, Any] = {"method": "generate", "max_new_tokens": 8}
    found = vllm(str(copy), **settings).answer(PROMPTS)
    assert found == Transformers(TransformersSettings(model=str(copy), **settings)).answer(PROMPTS)
    assert {reply.finish for reply in found} == {"stop", "length"}
    assert all(reply.tokens == 8 for reply in found if reply.finish == "length")
    assert all(1 <= (reply.tokens or 0) <= 8 for reply in found)
    assert all(reply.text.startswith("<think>\n") == (reply.finish == "length") for reply in found)
    backend = vllm(str(copy), **settings, temperature=2.0)
    sampled = [reply for _ in range(20) for reply in backend.answer(PROMPTS)]  # a CPU has no seeds in larger batches
    assert any("<|im_" in reply.text for reply in sampled), "special tokens are kept"
    assert not any("</s>" in reply.text or "<pad>" in reply.text for reply in sampled)


def test_a_structured_reply_is_one_of_the_labels_and_nothing_else() -> None:
    backend = vllm(folder("llama"), method="generate", structured=True, max_new_tokens=12)
    prompts = [*PROMPTS, Prompt(question_id="v", content="Is it so?", labels=("TRUE", "FALSE"))]
    for prompt, reply in zip(prompts, backend.answer(prompts), strict=True):
        assert reply.text.strip() in prompt.labels
    assert len(backend.answer([Prompt(question_id="open", content="How many?", labels=())])) == 1


VOTES: dict[str, Any] = {"method": "generate", "temperature": 1.0, "max_new_tokens": 4}


def test_each_repeat_is_another_vote_and_the_same_in_any_order_batch_and_process() -> None:
    repeats = [Prompt(question_id="q", content="import os\nAnswer:", labels=("A", "B"), repeat=n) for n in range(12)]
    together = vllm(folder("llama"), **VOTES).answer(repeats)
    again = vllm(folder("llama"), top_k=0, **VOTES)  # another engine
    assert [reply for prompt in reversed(repeats) for reply in again.answer([prompt])] == together[::-1]
    assert len({reply.text for reply in together}) > 6
    assert vllm(folder("llama"), seed=1, **VOTES).answer(repeats) != together


def test_the_same_prompt_asked_again_gets_another_vote() -> None:
    backend = vllm(folder("llama"), **VOTES)
    prompt = Prompt(question_id="q", content="import sys\nAnswer:", labels=("A", "B"))
    assert len({reply.text for _ in range(2) for reply in backend.answer([prompt] * 6)}) > 6


def test_a_batch_that_the_engine_fails_on_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = vllm(folder("llama"), top_k=0, **VOTES)
    step, steps = backend.engine.llm_engine.step, count()

    def breaks() -> Any:
        if next(steps) < 5:  # until 30 prompts are one
            raise RuntimeError("CUDA out of memory")
        return step()

    monkeypatch.setattr(backend.engine.llm_engine, "step", breaks)
    told: list[str] = []
    replies = IsolatingBackend(backend, told.append).answer(PROMPTS)
    assert told == ["1 of 30 prompts failed and stay unread (0): RuntimeError: CUDA out of memory"]
    assert_alike(replies[1:], vllm(folder("llama"), **VOTES).answer(PROMPTS)[1:])


def test_votes_are_distributed_by_the_letters_probabilities() -> None:
    prompt = PROMPTS[2]
    (sure,) = vllm(folder("llama")).answer([prompt])
    repeats = [Prompt(question_id="q", content=prompt.content, labels=prompt.labels, repeat=n) for n in range(400)]
    votes = Counter(reply.text.strip() for reply in vllm(folder("llama"), structured=True, **VOTES).answer(repeats))
    for label, logprob in logprobs_of(sure).items():
        assert votes[label] / 400 == pytest.approx(exp(logprob), abs=0.08)  # more than three standard errors


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A LoRA adapter that changes what the model says; rank 12 is none of the ranks that vllm makes room for."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    target = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    base = AutoModelForCausalLM.from_pretrained(folder("llama"), dtype=torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = get_peft_model(base, LoraConfig(r=12, lora_alpha=24, target_modules=target, init_lora_weights=False))
    path = tmp_path_factory.mktemp("adapter")
    model.save_pretrained(str(path))
    return str(path)


def test_an_adapter_answers_like_the_merged_model_and_unlike_the_base(adapter: str) -> None:
    found = vllm(folder("llama"), adapter=adapter).answer(PROMPTS)
    assert_alike(
        found, Transformers(TransformersSettings(model=folder("llama"), adapter=adapter)).answer(PROMPTS), 1e-3
    )
    without = vllm(folder("llama")).answer(PROMPTS)
    assert sum(one.text != other.text for one, other in zip(found, without, strict=True)) > 5


def test_four_bits_by_bitsandbytes_answer_nearly_as_the_whole_model() -> None:
    whole = vllm(folder("llama")).answer(PROMPTS)
    quantised = vllm(folder("llama"), quantization="bitsandbytes", dtype="bfloat16").answer(PROMPTS)
    off = [
        abs(exp(logprobs_of(a)[k]) - exp(logprobs_of(b)[k]))
        for a, b in zip(whole, quantised, strict=True)
        for k in logprobs_of(a)
    ]
    assert 0 < sum(off) / len(off) < 0.1


@pytest.mark.slow
def test_two_workers_answer_as_one_does_with_the_adapter_and_without(adapter: str) -> None:
    """Tensor parallelism; each worker is a process of its own."""
    for settings in ({}, {"adapter": adapter}):
        alone = vllm(folder("llama"), **settings).answer(PROMPTS)
        assert_alike(vllm(folder("llama"), tensor_parallel_size=2, **settings).answer(PROMPTS), alone)


def test_a_missing_model_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"vllm cannot load .*none"):
        vllm(str(tmp_path / "none"))
    with pytest.raises(BadInput, match="not a LoRA adapter in PEFT's format"):
        vllm(folder("llama"), adapter=str(tmp_path))


def test_an_open_question_among_others_has_no_letters_to_score_and_stays_unread() -> None:
    prompts = [PROMPTS[0], Prompt(question_id="q", content="How many?", labels=()), PROMPTS[1]]
    first, unread, last = vllm(folder("llama")).answer(prompts)
    assert unread == Reply(text="")
    assert_alike([first, last], vllm(folder("llama")).answer(PROMPTS[:2]))
