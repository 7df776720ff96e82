"""Ask a causal language model through vLLM: on several GPUs, quantised, with adapters at run time.

vLLM reads some settings from the environment only, when it is imported. This module is the only one in the package that
sets environment variables: before that import, and never if the user has set them.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from quorum.engine.cpu_speed import choose_cpu_dtype
from quorum.engine.generate import PromptSeeds
from quorum.engine.scores import make_scored_reply
from quorum.engine.tokens import Continuation, PromptTokenizer, RenderedPrompt, truncate_middle
from quorum.errors import BadInput
from quorum.model.lora import FoldAdapters, average_replies, find_lora_rank
from quorum.model.vllm_settings import VllmSettings
from quorum.question import FINISHES, Prompt, Reply

_VLLM_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine runs in this process: starts in seconds and ends with it
    "VLLM_WORKER_MULTIPROCESSING_METHOD": "spawn",  # a forked worker would inherit threads and a broken CUDA context
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # binding needs a NUMA node per worker, and reserves a core
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}  # set if the model and the adapter are folders
_CPU_KV_CACHE = 2**30  # bytes; on a CPU, vLLM cannot take a share of the device's memory
_CPU_BLOCK = 32  # tokens; prefixes are cached in whole blocks, and the CPU's default of 128 would miss most of them

# One thing to run: token ids, vLLM's SamplingParams, and its LoRARequest or None.
_Request = tuple[tuple[int, ...], Any, Any]


class Vllm:
    """A backend that scores letters by log-likelihood, or generates text, through vLLM with its prefix cache.

    Methods:
        letter: score exactly the prompt's labels as the next token; ties go to the first. If two labels begin with the
            same token, each label is read whole after the prompt, which the prefix cache cannot speed up. An open
            question has no labels, so its reply is empty.
        generate: write up to `max_new_tokens`, greedily at temperature 0. With `structured` the text is one of the
            prompt's labels, and the chat template's thinking mode is off.

    A sampled vote is a prompt with its own `repeat`. Its seed is made of `seed`, the repeat and the prompt's tokens, so
    the vote is the same in any batch, order or process; the prefix cache reads the prompt once for all votes. If the
    same prompt and repeat is asked again, the number of earlier requests changes the seed too.

    With `adapters` each prompt is answered by those that were not trained on its question (`FoldAdapters`), all in one
    engine; the replies of several are averaged.

    A prompt longer than `max_model_len` (the answer included) loses its middle; `shortened` counts such prompts.

    The engine runs in this process and shares its process groups with any other engine: delete it before the next one
    is loaded (`del`, `gc.collect()`), keep both until the end, or set VLLM_ENABLE_V1_MULTIPROCESSING to 1.

    Raises:
        BadInput: vLLM is not installed, cannot load the model or the adapter, or a setting is out of range.
    """

    def __init__(self, settings: VllmSettings) -> None:
        self.settings = settings
        self._sampling = {
            "max_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "top_k": settings.top_k,
            "detokenize": False,
        }
        self.shortened = 0
        self._seeds = PromptSeeds(settings.seed)
        engine = _engine_arguments(settings)
        adapters = _list_adapters(settings)
        self._folds = FoldAdapters(list(map(Path, adapters))) if settings.adapters else None
        self._loras: list[Any] = [None]
        if adapters:
            rank = max(find_lora_rank(Path(adapter)) for adapter in adapters)
            engine |= {"enable_lora": True, "max_loras": settings.max_loras or len(adapters), "max_lora_rank": rank}
            request = import_module("vllm.lora.request").LoRARequest
            self._loras = [request(f"adapter-{number}", number, name) for number, name in enumerate(adapters, 1)]
        self.engine = _start_engine(engine | dict(settings.engine))
        self.max_model_len: int = self.engine.model_config.max_model_len
        self.tokens = PromptTokenizer(self.engine.get_tokenizer())

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return one reply for each prompt, in the same order."""
        chosen = [self._folds.choose(prompt) if self._folds else [0] for prompt in prompts]
        asked = [prompt for prompt, numbers in zip(prompts, chosen, strict=True) for _ in numbers]
        loras = [self._loras[number] for numbers in chosen for number in numbers]
        ask = self._score if self.settings.method == "letter" else self._generate
        replies = iter(ask(asked, loras))
        groups = [list(islice(replies, len(numbers))) for numbers in chosen]
        return [average_replies(prompt, group) for prompt, group in zip(prompts, groups, strict=True)]

    def _score(self, prompts: Sequence[Prompt], loras: Sequence[Any]) -> list[Reply]:
        per_prompt = [self._tokenize_labels(prompt) if prompt.labels else [] for prompt in prompts]
        requests = [
            request
            for labels, lora in zip(per_prompt, loras, strict=True)
            if labels
            for request in self._label_requests(labels, lora)
        ]
        outputs = iter(self._run(requests))
        return [
            make_scored_reply(prompt.labels, _read_label_scores(labels, outputs), over_vocabulary=True)
            if labels
            else Reply(text="")
            for prompt, labels in zip(prompts, per_prompt, strict=True)
        ]

    def _tokenize_labels(self, prompt: Prompt) -> list[Continuation]:
        labels = self.tokens.encode_labels(self.tokens.render(prompt.content), prompt.labels)
        # leave room for the one token that vLLM always writes, also after labels that are read
        longest = max(len(each.following) for each in labels)
        context = self._fit_context(labels[0].context, self.max_model_len - longest - (longest > 1))
        return [Continuation(context, each.following) for each in labels]

    def _label_requests(self, labels: Sequence[Continuation], lora: Any) -> list[_Request]:
        """Return the requests of one question: one, or one per label if a label has several tokens."""
        if _one_token_each(labels):
            return [(labels[0].context, _make_label_params(tuple(each.following[0] for each in labels)), lora)]
        read = _make_sampling_params(max_tokens=1, temperature=0.0, prompt_logprobs=0)  # 0: no alternatives to them
        return [(each.context + each.following, read, lora) for each in labels]

    def _generate(self, prompts: Sequence[Prompt], loras: Sequence[Any]) -> list[Reply]:
        room = self.max_model_len - self.settings.max_new_tokens
        if room < 1:
            raise BadInput(
                f"max_new_tokens {self.settings.max_new_tokens} leaves no room for a prompt in a context of"
                f" {self.max_model_len} tokens"
            )
        rendered = [self.tokens.render(prompt.content, thinking=not self.settings.structured) for prompt in prompts]
        with self._seeds.batch() as next_seed:
            outputs = self._run(
                [
                    (*self._generation_request(prompt, each, room, next_seed), lora)
                    for prompt, each, lora in zip(prompts, rendered, loras, strict=True)
                ]
            )
        return [
            self._read_generated(output.outputs[0], each.opened) for output, each in zip(outputs, rendered, strict=True)
        ]

    def _read_generated(self, output: Any, opened: str) -> Reply:
        # decoded as a whole: vLLM decodes token by token and drops a last character whose bytes are incomplete
        ends = {self.tokens.tokenizer.eos_token_id, output.stop_reason}  # the second: another token that ends replies
        reply = self.tokens.decode_reply(output.token_ids, ends, opened)
        return replace(reply, finish=output.finish_reason if output.finish_reason in FINISHES else "")

    def _generation_request(
        self, prompt: Prompt, rendered: RenderedPrompt, room: int, next_seed: Callable[[tuple[int, ...], int], int]
    ) -> tuple[tuple[int, ...], Any]:
        ids = self._fit_context(self.tokens.encode(rendered) or (self.tokens.start,), room)
        sampling = dict(self._sampling)
        if self.settings.temperature > 0:
            sampling["seed"] = next_seed(ids, prompt.repeat) >> 24  # vLLM takes 32 bits
        if self.settings.structured and prompt.labels:
            choice = [rendered.glue + label for label in prompt.labels]
            structured = import_module("vllm.sampling_params").StructuredOutputsParams(choice=choice)
            return ids, _make_sampling_params(**sampling, structured_outputs=structured)
        return ids, _make_sampling_params(**sampling)

    def _fit_context(self, ids: tuple[int, ...], room: int) -> tuple[int, ...]:
        self.shortened += len(ids) > room
        return truncate_middle(ids, room)

    def _run(self, requests: Sequence[_Request]) -> list[Any]:
        """Return vLLM's output for each request, in the same order."""
        if not requests:
            return []
        ids, params, loras = zip(*requests, strict=True)
        prompts = [{"prompt_token_ids": list(each)} for each in ids]
        try:
            outputs: list[Any] = self.engine.generate(
                prompts, list(params), use_tqdm=False, lora_request=list(loras) if any(loras) else None
            )
        except Exception:  # of any kind: requests left in the engine would be answered in place of the next batch
            engine = self.engine.llm_engine
            engine.abort_request(list(engine.output_processor.request_states), internal=True)
            raise
        return outputs


def _engine_arguments(settings: VllmSettings) -> dict[str, Any]:
    """Return the arguments of vLLM's engine, except those of adapters."""
    names = [settings.model, *_list_adapters(settings)]
    on_disk = all(Path(name).is_dir() for name in names)
    on_cpu, old_gpu = _detect_platform(_VLLM_ENVIRONMENT | _OFFLINE if on_disk else _VLLM_ENVIRONMENT)
    dtype = settings.dtype
    arguments: dict[str, Any] = {
        "model": settings.model,
        "revision": settings.revision,
        "tokenizer_revision": settings.revision,
        "quantization": settings.quantization,
        "dtype": dtype if dtype != "auto" else choose_cpu_dtype() if on_cpu else "half" if old_gpu else "auto",
        "tensor_parallel_size": settings.tensor_parallel_size,
        "disable_custom_all_reduce": settings.disable_custom_all_reduce,
        "distributed_executor_backend": settings.distributed_executor_backend,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "kv_cache_memory_bytes": settings.kv_cache_memory_bytes or (_CPU_KV_CACHE if on_cpu else None),
        "max_model_len": settings.max_model_len or -1,  # -1: fitted to the memory
        "enforce_eager": settings.enforce_eager or on_cpu,
        "enable_prefix_caching": True,
        "seed": settings.seed,
    }
    if settings.attention_backend is not None:
        arguments["attention_backend"] = settings.attention_backend
    return arguments | ({"block_size": _CPU_BLOCK} if on_cpu else {})


def _list_adapters(settings: VllmSettings) -> list[str]:
    if settings.adapter is not None and settings.adapters:
        raise BadInput("backend 'vllm': name one adapter (adapter) or several (adapters), not both")
    return list(settings.adapters) or ([] if settings.adapter is None else [settings.adapter])


def _detect_platform(environment: dict[str, str]) -> tuple[bool, bool]:
    """Import vLLM with the environment variables set; return whether it runs on a CPU, and on a GPU without bfloat16.

    Raises:
        BadInput: vLLM cannot be imported.
    """
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    try:
        platform = import_module("vllm.platforms").current_platform
    except ImportError as error:
        raise BadInput(
            f"the package vllm cannot be imported ({error}); pip install -r requirements-gpu.txt on a machine with GPUs"
        ) from None
    on_cpu = bool(platform.is_cpu())
    return on_cpu, not on_cpu and not platform.has_device_capability(80)


def _start_engine(engine: dict[str, Any]) -> Any:
    try:
        return import_module("vllm").LLM(**engine)
    except Exception as error:  # an error in a worker arrives as a bare Exception; the cause is in the worker's log
        message = " ".join(str(error).split())[:400] or type(error).__name__
        raise BadInput(f"vllm cannot load {engine['model']}: {message}") from error


def _make_sampling_params(**settings: Any) -> Any:
    return import_module("vllm").SamplingParams(**settings)


@cache
def _make_label_params(ids: tuple[int, ...]) -> Any:
    """Return the sampling parameters that score `ids` as the next token; most questions have the same labels."""
    return _make_sampling_params(max_tokens=1, temperature=0.0, logprob_token_ids=list(ids))


def _one_token_each(labels: Iterable[Continuation]) -> bool:
    return all(len(each.following) == 1 for each in labels)


def _read_label_scores(labels: Sequence[Continuation], outputs: Iterator[Any]) -> list[float]:
    """Return the log-probability of each label; takes as many outputs as `Vllm._label_requests` made requests."""
    if _one_token_each(labels):
        logprobs = next(outputs).outputs[0].logprobs[0]
        return [logprobs[each.following[0]].logprob for each in labels]
    return [_sum_logprobs(each, next(outputs)) for each in labels]


def _sum_logprobs(label: Continuation, output: Any) -> float:
    logprobs = output.prompt_logprobs[len(label.context) :]
    return sum(float(at[token].logprob) for token, at in zip(label.following, logprobs, strict=True))
