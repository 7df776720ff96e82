"""A causal language model through vLLM: as many GPUs as it needs, quantised checkpoints, adapters at run time.

vLLM reads some of its settings from the environment alone, when it is imported. So this module, the only one in the
package, sets a few there: before the import, and never over what the user has set.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from quorum.engine.scores import make_scored_reply
from quorum.engine.tokens import Continuation, PromptTokenizer, truncate_middle
from quorum.errors import BadInput
from quorum.question import Prompt, Reply

_SETTINGS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine runs in this process: starts in seconds and dies with it
    "VLLM_WORKER_MULTIPROCESSING_METHOD": "spawn",  # a forked worker would inherit threads and a GPU half alive
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # binding wants a NUMA node a worker, and keeps a core for itself
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}  # where all that is named lies on the disk
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what vLLM makes room for
_CPU_KV_CACHE = 2**30  # bytes; on a CPU there is no share of a device's memory to take
_CPU_BLOCK = 32  # tokens; what is shared is kept in whole blocks, and the CPU's own 128 would lose most of an example

# One thing to run: token ids, and vLLM's SamplingParams.
_Request = tuple[tuple[int, ...], Any]


class Vllm:
    """A backend: letters scored by their log-likelihood, or text generated, by vLLM. Its prefix cache is on.

    `method`: *letter* takes the log-probabilities of exactly the prompt's labels at the next token; where two labels
    begin with the same token, each is read whole after the prompt, which the prefix cache can't help. *generate* writes
    up to `max_new_tokens`, greedily where `temperature` is 0; with `structured` the text is one of the prompt's labels
    and nothing else (and the model is asked not to think). A tie of letters goes to the first. An open question has no
    letters: with method letter its reply is empty.

    A sampled vote is a prompt with a `repeat` of its own: its seed is made of `seed`, the repeat and the prompt's
    tokens, so it is the same in any batch, order or process; the prefix cache reads the prompt once for all of them.
    The very same prompt asked again gets another reply too, by how often this backend was asked it before.

    A longer prompt than `max_model_len`, answer included, loses its middle; `shortened` counts them.

    The engine runs in this process and shares its process groups with any other: let go of it before the next is
    loaded (`del`, `gc.collect()`), keep both for good, or set VLLM_ENABLE_V1_MULTIPROCESSING to 1.

    Args:
        dtype: auto is float32 on a CPU, half on a GPU below capability 8 (T4), else the checkpoint's own.
        disable_custom_all_reduce: for GPUs without peer access, where tensor parallelism hangs as it starts.
        quantization: awq, gptq, bitsandbytes …; what the checkpoint says where None.
        max_model_len: tokens; the most that the model takes and the memory holds where None.
        gpu_memory_utilization: the share of each GPU's memory that weights and cache may take.
        kv_cache_memory_bytes: the cache alone, in place of that share; 1 GiB on a CPU where None.
        enforce_eager: no CUDA graphs and no compilation, for a faster start; always so on a CPU.
        adapter: a folder with a LoRA adapter that PEFT wrote.
        distributed_executor_backend: mp, or ray for a model wider than a machine; vLLM's choice where None.

    Raises:
        BadInput: vLLM is not installed or can't load the model or the adapter, a setting is out of range.
    """

    def __init__(
        self,
        model: str,
        *,
        method: Literal["letter", "generate"] = "letter",
        revision: str | None = None,
        dtype: str = "auto",
        quantization: str | None = None,
        adapter: str | None = None,
        tensor_parallel_size: int = 1,
        disable_custom_all_reduce: bool = False,
        distributed_executor_backend: Literal["mp", "ray"] | None = None,
        gpu_memory_utilization: float = 0.9,
        kv_cache_memory_bytes: int | None = None,
        max_model_len: int | None = None,
        enforce_eager: bool = False,
        structured: bool = False,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        seed: int = 0,
    ) -> None:
        self.method, self.structured, self.seed = method, structured, seed
        self.max_new_tokens, self.temperature = max_new_tokens, temperature
        self._sampling = {
            "max_tokens": max_new_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "detokenize": False,
        }
        self.shortened = 0
        self._asked: Counter[tuple[int, tuple[int, ...]]] = Counter()
        on_disk = all(Path(name).is_dir() for name in (model, adapter) if name is not None)
        on_cpu, old_gpu = _prepared(_SETTINGS | _OFFLINE if on_disk else _SETTINGS)
        engine: dict[str, Any] = {
            "model": model,
            "revision": revision,
            "tokenizer_revision": revision,
            "quantization": quantization,
            "dtype": dtype if dtype != "auto" else "float32" if on_cpu else "half" if old_gpu else "auto",
            "tensor_parallel_size": tensor_parallel_size,
            "disable_custom_all_reduce": disable_custom_all_reduce,
            "distributed_executor_backend": distributed_executor_backend,
            "gpu_memory_utilization": gpu_memory_utilization,
            "kv_cache_memory_bytes": kv_cache_memory_bytes or (_CPU_KV_CACHE if on_cpu else None),
            "max_model_len": max_model_len or -1,  # -1: fitted to the memory
            "enforce_eager": enforce_eager or on_cpu,
            "enable_prefix_caching": True,
            "seed": seed,
        }
        if on_cpu:
            engine["block_size"] = _CPU_BLOCK
        self._lora = None
        if adapter is not None:
            engine |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": _lora_rank(Path(adapter))}
            self._lora = import_module("vllm.lora.request").LoRARequest("adapter", 1, adapter)
        self.engine = _started(engine)
        self.max_model_len: int = self.engine.model_config.max_model_len
        self.tokens = PromptTokenizer(self.engine.get_tokenizer())

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order."""
        match self.method:
            case "letter":
                return self._scored(prompts)
            case "generate":
                return self._generated(prompts)

    def _scored(self, prompts: Sequence[Prompt]) -> list[Reply]:
        asked = [self._labels(prompt) if prompt.labels else [] for prompt in prompts]
        outputs = iter(self._run([request for labels in asked if labels for request in self._reading(labels)]))
        return [
            make_scored_reply(prompt.labels, _label_scores(labels, outputs)) if labels else Reply("")
            for prompt, labels in zip(prompts, asked, strict=True)
        ]

    def _labels(self, prompt: Prompt) -> list[Continuation]:
        labels = self.tokens.labels(self.tokens.rendering(prompt.content), prompt.labels)
        # room for the one token that vLLM always writes, behind labels that are read
        longest = max(len(each.following) for each in labels)
        context = self._within(labels[0].context, self.max_model_len - longest - (longest > 1))
        return [Continuation(context, each.following) for each in labels]

    def _reading(self, labels: Sequence[Continuation]) -> list[_Request]:
        """What is to be run for one question: one request, or one a label where a label is several tokens."""
        if _one_token_each(labels):
            ids = [each.following[0] for each in labels]
            return [(labels[0].context, _sampling_params(max_tokens=1, temperature=0.0, logprob_token_ids=ids))]
        read = _sampling_params(max_tokens=1, temperature=0.0, prompt_logprobs=0)  # of the prompt's own tokens alone
        return [(each.context + each.following, read) for each in labels]

    def _generated(self, prompts: Sequence[Prompt]) -> list[Reply]:
        room = self.max_model_len - self.max_new_tokens
        if room < 1:
            raise BadInput(f"max_new_tokens {self.max_new_tokens} leaves no room in {self.max_model_len} of context")
        asked = self._asked.copy()
        outputs = self._run([self._writing(prompt, room, asked) for prompt in prompts])
        self._asked = asked  # only now: where it failed, what is asked again is the same draw
        # whole, at the end: vLLM's own text, made token by token, lacks a last character that was cut short
        texts = self.tokens.tokenizer.batch_decode(
            [each.outputs[0].token_ids for each in outputs], skip_special_tokens=True
        )
        return [Reply(text) for text in texts]

    def _writing(self, prompt: Prompt, room: int, asked: Counter[tuple[int, tuple[int, ...]]]) -> _Request:
        rendered = self.tokens.rendering(prompt.content, thinking=not self.structured)
        ids = self._within(self.tokens.ids(rendered) or (self.tokens.start,), room)
        sampling = dict(self._sampling)
        if self.temperature > 0:
            asked[prompt.repeat, ids] += 1
            sampling["seed"] = _vote_seed(self.seed, prompt.repeat, asked[prompt.repeat, ids], ids)
        if self.structured and prompt.labels:
            choice = [rendered.glue + label for label in prompt.labels]
            structured = import_module("vllm.sampling_params").StructuredOutputsParams(choice=choice)
            return ids, _sampling_params(**sampling, structured_outputs=structured)
        return ids, _sampling_params(**sampling)

    def _within(self, ids: tuple[int, ...], room: int) -> tuple[int, ...]:
        self.shortened += len(ids) > room
        return truncate_middle(ids, room)

    def _run(self, requests: Sequence[_Request]) -> list[Any]:
        """vLLM's output for each request, in the same order."""
        if not requests:
            return []
        ids, params = zip(*requests, strict=True)
        prompts = [{"prompt_token_ids": list(each)} for each in ids]
        try:
            outputs: list[Any] = self.engine.generate(prompts, list(params), use_tqdm=False, lora_request=self._lora)
        except Exception:  # what it leaves behind would be answered in the place of what is asked next
            engine = self.engine.llm_engine
            engine.abort_request(list(engine.output_processor.request_states), internal=True)
            raise
        return outputs


def _prepared(settings: dict[str, str]) -> tuple[bool, bool]:
    """Whether vLLM, once it is imported with these settings, runs on a CPU, and whether on a GPU without bfloat16."""
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    try:
        platform = import_module("vllm.platforms").current_platform
    except ImportError as error:
        raise BadInput(
            f"the package vllm can't be imported ({error}); pip install -r requirements-gpu.txt on a machine with GPUs"
        ) from None
    on_cpu = bool(platform.is_cpu())
    return on_cpu, not on_cpu and not platform.has_device_capability(80)


def _started(engine: dict[str, Any]) -> Any:
    try:
        return import_module("vllm").LLM(**engine)
    except Exception as error:  # of any kind: a worker's reaches this process as a bare Exception, told in its log
        found = " ".join(str(error).split())[:400] or type(error).__name__
        raise BadInput(f"vllm can't load {engine['model']}: {found}") from error


def _sampling_params(**settings: Any) -> Any:
    return import_module("vllm").SamplingParams(**settings)


def _one_token_each(labels: Iterable[Continuation]) -> bool:
    return all(len(each.following) == 1 for each in labels)


def _label_scores(labels: Sequence[Continuation], outputs: Iterator[Any]) -> list[float]:
    """Each label's log-probability after the prompt, out of the next outputs (see `Vllm._reading`)."""
    if _one_token_each(labels):
        found = next(outputs).outputs[0].logprobs[0]
        return [found[each.following[0]].logprob for each in labels]
    return [_read_logprob(each, next(outputs)) for each in labels]


def _read_logprob(label: Continuation, output: Any) -> float:
    found = output.prompt_logprobs[len(label.context) :]
    return sum(float(at[id].logprob) for id, at in zip(label.following, found, strict=True))


def _vote_seed(*known: object) -> int:
    """32 bits out of `known`. The prompt is among it: the same dice for every question would favour one letter."""
    return int.from_bytes(hashlib.sha256(repr(known).encode()).digest()[:4])


def _lora_rank(adapter: Path) -> int:
    """The smallest rank vLLM makes room for that holds the adapter's."""
    try:
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        rank = max([int(config["r"]), *map(int, config.get("rank_pattern", {}).values())])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{adapter}: no LoRA adapter that PEFT wrote: {type(error).__name__}: {error}") from None
    if rank > _LORA_RANKS[-1]:
        raise BadInput(f"{adapter}: its rank is {rank}; allowed is at most {_LORA_RANKS[-1]}")
    return next(room for room in _LORA_RANKS if room >= rank)
