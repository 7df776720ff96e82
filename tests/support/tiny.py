"""Tiny real models, made on the spot: random weights in the architectures people use, and a tokenizer that was trained.

Random weights are drawn wide, so that logits differ enough for a wrong position or a leaking mask to show.
"""

import atexit
import shutil
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from string import ascii_uppercase
from typing import Any

KINDS = ("llama", "qwen3", "gemma3", "mixtral", "qwen3_moe")
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
    "tie_word_embeddings": False,
}


@cache
def tiny_model(kind: str, chat: bool = False, head_dim: int = 8) -> Path:
    """A folder with a model of the kind and its tokenizer, with a ChatML template where `chat`."""
    import torch
    import transformers

    folder = _scratch() / f"{kind}-{chat}-{head_dim}"
    tokenizer = tiny_tokenizer(chat)
    config = _config(kind, len(tokenizer), head_dim)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@cache
def tiny_tokenizer(chat: bool = False) -> Any:
    """A byte-level BPE of 600 tokens, trained on Python's own sources and on letters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    sources = [(stdlib / name).read_text(encoding="utf-8") for name in ("textwrap.py", "argparse.py")]
    bpe.train_from_iterator(
        [*sources, " ".join(["", *ascii_uppercase]) * 500], trainer
    )  # " A" is one token, as it is in big ones
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=special[3:],
        model_max_length=512,
    )
    if chat:
        tokenizer.chat_template = CHATML
    return tokenizer


def headless(kind: str, folder: Path) -> str:
    """A tiny language model without a multiple-choice head, of the kind BERT or DeBERTa-v2 (v3 is of that class)."""
    import torch
    import transformers

    tokenizer = tiny_tokenizer()
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }
    sizes |= {"vocab_size": len(tokenizer), "max_position_embeddings": 64}
    if kind == "DebertaV2":  # as DeBERTa-v3 is configured
        sizes |= {"relative_attention": True, "position_buckets": 16, "share_att_key": True, "type_vocab_size": 0}
        sizes |= {"pos_att_type": ["p2c", "c2p"], "norm_rel_ebd": "layer_norm", "position_biased_input": False}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = getattr(transformers, f"{kind}Config")(**sizes)
        getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _config(kind: str, vocabulary: int, head_dim: int) -> Any:
    import transformers

    sizes = {**_SIZES, "head_dim": head_dim, "vocab_size": vocabulary, "intermediate_size": 64}
    experts: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
    match kind:
        case "llama":
            return transformers.LlamaConfig(**sizes)
        case "qwen3":
            return transformers.Qwen3Config(**sizes)
        case "gemma3":
            layers = ["sliding_attention", "full_attention", "sliding_attention"]
            return transformers.Gemma3TextConfig(
                **sizes, sliding_window=16, layer_types=layers, query_pre_attn_scalar=8
            )
        case "mixtral":
            return transformers.MixtralConfig(**sizes, num_local_experts=4, num_experts_per_tok=2, sliding_window=24)
        case "qwen3_moe":
            return transformers.Qwen3MoeConfig(**sizes, **experts, num_experts=4, decoder_sparse_step=1)
        case "olmoe":
            return transformers.OlmoeConfig(**sizes, num_experts=4, num_experts_per_tok=2)
        case "deepseek_v2":  # a dense layer, then two with a shared expert
            latent = {"kv_lora_rank": 16, "q_lora_rank": None, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8}
            shared = {"n_shared_experts": 1, "first_k_dense_replace": 1, "n_routed_experts": 4, "v_head_dim": 8}
            heads = {"num_key_value_heads": 4, "head_dim": 8}
            return transformers.DeepseekV2Config(**(sizes | heads | experts | latent | shared))
        case _:
            raise ValueError(f"{kind} is not among {', '.join(KINDS)}, olmoe, deepseek_v2")


@cache
def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="quorum-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
