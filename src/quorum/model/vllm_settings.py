"""The settings of the vLLM backend."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class VllmSettings:
    """Settings of a model served by vLLM: the checkpoint, devices and memory, and sampling."""

    model: str = field(metadata={"help": "Hub id or folder."})
    method: Literal["letter", "generate"] = field(
        default="letter",
        metadata={"help": "letter: probability of each label as the next token. generate: write text and parse it."},
    )
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit at the hub."})
    dtype: str = field(
        default="auto",
        metadata={
            "help": "auto: bfloat16 on a CPU that is fast in it, else float32; half on a GPU below capability 8 (T4);"
            " on others the checkpoint's own."
        },
    )
    quantization: str | None = field(
        default=None, metadata={"help": "awq, gptq, bitsandbytes …; the checkpoint's own when not set."}
    )
    adapter: str | None = field(default=None, metadata={"help": "Folder of a LoRA adapter in PEFT's format."})
    adapters: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "Folders of adapters that were trained without one fold each, in place of `adapter`. A training"
            " question is answered by the adapter that has not seen it, any other by the mean of all."
        },
    )
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
        default=False, metadata={"help": "No CUDA graphs and no compilation, for a faster start; always on for a CPU."}
    )
    attention_backend: str | None = field(
        default=None, metadata={"help": "vLLM's attention kernels, such as TRITON_ATTN; vLLM chooses when not set."}
    )
    max_loras: int | None = field(
        default=None, metadata={"help": "Adapters in one batch; all of them when not set, which takes more memory."}
    )
    engine: Mapping[str, Any] = field(
        default_factory=dict, metadata={"help": "Any other arguments of vLLM's engine; they override all else."}
    )
    structured: bool = field(default=False, metadata={"help": "For method generate: restrict the text to the labels."})
    max_new_tokens: int = field(default=256, metadata={"help": "Longest generated text."})
    temperature: float = field(default=0.0, metadata={"help": "Sampling temperature; 0: greedy."})
    top_p: float = field(
        default=1.0, metadata={"help": "Sample from the likeliest tokens with this total probability."}
    )
    top_k: int = field(default=0, metadata={"help": "Sample from this many of the likeliest tokens; 0: from all."})
    seed: int = field(default=0, metadata={"help": "Seed of sampling."})
