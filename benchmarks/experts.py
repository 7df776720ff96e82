"""What is a tiny mixture's super expert worth, beside its controls? All the expert verbs on a task of seconds.

A mixture with random weights (Qwen3-MoE, 4 layers of 8 experts) learns to take the letter that it is told, until it is
right in most cases. Then its experts are profiled, pruned and trained by the commands that a user runs.
So small a model says nothing of large ones: it shows what the commands tell, and how far one draw is from another.
"""

import argparse
import csv
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from quorum.console import DONE, print_status, run_program

ROOT = Path(__file__).parents[1]
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "decoder_sparse_step": 1,
    "initializer_range": 0.3,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "experts", help="folder (build/experts)")
    parser.add_argument("--steps", type=int, default=45, help="that the base learns (45)")
    parser.add_argument("--questions", type=int, default=1600, help="a quarter is held out (1600)")
    parser.add_argument("--draws", type=int, default=3, help="of random experts (3)")
    parser.add_argument("--seed", type=int, default=0, help="of the task and the base (0)")
    parser.add_argument("--json", action="store_true", help="the comparison as one JSON document")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    base, split, profile = given.out / "base" / "model", given.out / "split", given.out / "experts.json"
    make_base(given)
    write_told(given.out / "told.csv", given.questions, given.seed + 1)
    run_verb("split", given.out / "told.csv", "--out", split)
    run_verb("profile-experts", base, split / "train.parquet", "--split", split / "split.parquet", "--out", profile)
    words = [base, split, "--experts", profile, "--out", given.out / "arms", "--draws", given.draws]
    words += [f"--learn=trainer.{setting}" for setting in ("steps=40", "batch=16", "learning_rate=0.003")]
    run_verb("compare-experts", *words, *(["--json"] if given.json else []))
    return DONE


def make_base(given: argparse.Namespace) -> None:
    """OUT/base/model, made anew."""
    import shutil

    import torch
    import transformers

    from quorum.ask.prompt import render_prompt
    from quorum.data.read import read_questions
    from quorum.train.row import TrainingRow
    from quorum.train.settings import CausalTuning
    from quorum.train.sft import tune_causal

    for name in ("base", "arms"):
        shutil.rmtree(given.out / name, ignore_errors=True)
    write_told(given.out / "learnt.csv", 800, given.seed)
    solved = read_questions(given.out / "learnt.csv")
    rows = [
        TrainingRow(render_prompt(question, "letter"), str(question.answer), str(question.answer))
        for question in solved
    ]
    tokenizer = trained_tokenizer([str(row.prompt.content) for row in rows])
    ends: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    torch.manual_seed(given.seed)
    model = transformers.AutoModelForCausalLM.from_config(
        transformers.Qwen3MoeConfig(vocab_size=len(tokenizer), **ends, **SIZES)
    )
    raw = given.out / "raw"
    model.save_pretrained(raw)
    tokenizer.save_pretrained(raw)
    tuning = CausalTuning(
        model=str(raw), engine="trl", method="full", steps=given.steps, batch=16, learning_rate=0.003, seed=given.seed
    )
    trained = tune_causal(tuning, rows, given.out / "base", lambda done, total: None)
    print_status(f"base: {trained.steps} steps, loss {trained.losses[0][1]:.3f} -> {trained.losses[-1][1]:.3f}")


def write_told(path: Path, count: int, seed: int) -> None:
    """Questions that say which choice to take, among four numbers."""
    chance = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "question", *"ABCD", "answer"])
        for number in range(count):
            letter = chance.choice("ABCD")
            out.writerow([f"t{number}", f"Take {letter}.", *chance.sample(range(100, 1000), 4), letter])


def trained_tokenizer(texts: list[str]) -> Any:
    """A byte-level BPE of 400 tokens."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=list(special.values()), initial_alphabet=alphabet, show_progress=False
        ),
    )
    return transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, model_max_length=512, **special)


def run_verb(*words: Any) -> None:
    """Run a verb of quorum in one thread."""
    command = [sys.executable, "-m", "quorum.cli", *map(str, words)]
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    run_program(main)
