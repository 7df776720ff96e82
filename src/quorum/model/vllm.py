"""A causal language model through vLLM: as many GPUs as it needs, quantised checkpoints, adapters at run time.

vLLM reads some of its settings from the environment alone, when it is imported. So this module, the only one in the
package, sets a few there: before the import, and never over what the user has set.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from quorum.engine.generate import PromptSeeds
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


@dataclass(frozen=True, kw_only=True)
class VllmSettings:
    """Which model vLLM serves, on which devices, and how it samples."""

    model: str = field(metadata={"help": "Hub id or folder."})
    method: Literal["letter", "generate"] = field(
        default="letter",
        metadata={"help": "letter: probability of each label as the next token. generate: write text and parse it."},
    )
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit at the hub."})
    dtype: str = field(
        default="auto",
        metadata={"help": "auto: float32 on a CPU, half on a GPU below capability 8 (T4), else the checkpoint's own."},
    )
    quantization: str | None = field(
        default=None, metadata={"help": "awq, gptq, bitsandbytes …; the checkpoint's own when not set."}
    )
    adapter: str | None = field(default=None, metadata={"help": "Folder of a LoRA adapter that PEFT wrote."})
    tensor_parallel_size: int = field(default=1, metadata={"help": "GPUs that share the model."})
    disable_custom_all_reduce: bool = field(
        default=False, metadata={"help": "For GPUs without peer access, where tensor parallelism hangs at the start."}
    )
    distributed_executor_backend: Literal["mp", "ray"] | None = field(
        default=None, metadata={"help": "mp, or ray for a model wider than a machine; vLLM chooses when not set."}
    )
    gpu_memory_utilization: float = field(
        default=0.9, metadata={"help": "Share of each GPU's memory for weights and cache."}
    )
    kv_cache_memory_bytes: int | None = field(
        default=None, metadata={"help": "Size of the cache, in place of that share; 1 GiB on a CPU when not set."}
    )
    max_model_len: int | None = field(
        default=None,
        metadata={"help": "Longest prompt and reply together, in tokens; fitted to the memory when not set."},
    )
    enforce_eager: bool = field(
        default=False, metadata={"help": "No CUDA graphs and no compilation, for a faster start; always so on a CPU."}
    )
    structured: bool = field(
        default=False, metadata={"help": "Of method generate: the text is one of the labels and nothing else."}
    )
    max_new_tokens: int = field(default=256, metadata={"help": "Longest generated text."})
    temperature: float = field(default=0.0, metadata={"help": "Sampling temperature; 0: greedy."})
    top_p: float = field(
        default=1.0, metadata={"help": "Sample from the likeliest tokens with this total probability."}
    )
    top_k: int = field(default=0, metadata={"help": "Sample from this many of the likeliest tokens; 0: from all."})
    seed: int = field(default=0, metadata={"help": "Seed of sampling."})


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

    Raises:
        BadInput: vLLM is not installed or can't load the model or the adapter, a setting is out of range.
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
        self._lora = None
        if settings.adapter is not None:
            engine |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": _lora_rank(Path(settings.adapter))}
            self._lora = import_module("vllm.lora.request").LoRARequest("adapter", 1, settings.adapter)
        self.engine = _started(engine)
        self.max_model_len: int = self.engine.model_config.max_model_len
        self.tokens = PromptTokenizer(self.engine.get_tokenizer())

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order."""
        match self.settings.method:
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
        labels = self.tokens.encode_labels(self.tokens.render(prompt.content), prompt.labels)
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
        room = self.max_model_len - self.settings.max_new_tokens
        if room < 1:
            raise BadInput(
                f"max_new_tokens {self.settings.max_new_tokens} leaves no room in {self.max_model_len} of context"
            )
        with self._seeds.batch() as next_seed:
            outputs = self._run([self._writing(prompt, room, next_seed) for prompt in prompts])
        # whole, at the end: vLLM's own text, made token by token, lacks a last character that was cut short
        texts = self.tokens.tokenizer.batch_decode(
            [each.outputs[0].token_ids for each in outputs], skip_special_tokens=True
        )
        return [Reply(text) for text in texts]

    def _writing(self, prompt: Prompt, room: int, next_seed: Callable[[tuple[int, ...], int], int]) -> _Request:
        rendered = self.tokens.render(prompt.content, thinking=not self.settings.structured)
        ids = self._within(self.tokens.encode(rendered) or (self.tokens.start,), room)
        sampling = dict(self._sampling)
        if self.settings.temperature > 0:
            sampling["seed"] = next_seed(ids, prompt.repeat) >> 24  # vLLM takes 32 bits
        if self.settings.structured and prompt.labels:
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


def _engine_arguments(settings: VllmSettings) -> dict[str, Any]:
    """Return the arguments of vLLM's engine, adapters left out."""
    names = [name for name in (settings.model, settings.adapter) if name is not None]
    on_disk = all(Path(name).is_dir() for name in names)
    on_cpu, old_gpu = _prepared(_SETTINGS | _OFFLINE if on_disk else _SETTINGS)
    dtype = settings.dtype
    arguments: dict[str, Any] = {
        "model": settings.model,
        "revision": settings.revision,
        "tokenizer_revision": settings.revision,
        "quantization": settings.quantization,
        "dtype": dtype if dtype != "auto" else "float32" if on_cpu else "half" if old_gpu else "auto",
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
    return arguments | ({"block_size": _CPU_BLOCK} if on_cpu else {})


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
