"""A tiny T5 with random weights, and a task that it learns."""

import atexit
import os
import random
import shutil
import signal
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from quorum.question import Prompt, letters
from quorum.train.row import TrainingRow
from quorum.train.seq2seq import tune_seq2seq
from quorum.train.settings import Seq2seqTuning
from tests.support.tiny import tiny_tokenizer


def tiny_t5(**sizes):
    """A random T5 in transformers' own class; weights drawn wide, so that a mask that leaks shows."""
    import torch
    import transformers

    tokenizer = tiny_tokenizer()
    ids = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
    ids |= {"decoder_start_token_id": tokenizer.pad_token_id, "pad_token_id": tokenizer.pad_token_id}
    small = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "initializer_factor": 2.0}
    config = transformers.T5Config(**{**ids, **small, **sizes})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.T5ForConditionalGeneration(config)


@cache
def t5_folder():
    folder = Path(tempfile.mkdtemp(prefix="quorum-t5-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tiny_t5().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def taking(id):
    """A lesson: which letter is to be taken?"""
    chance = random.Random(id)
    answer = chance.choice("ABCD")
    numbers = " ".join(str(chance.randrange(100)) for _ in range(3))
    return TrainingRow(Prompt(question_id=id, content=f"{numbers} take {answer}", labels=letters(4)), answer, answer)


TUNING = Seq2seqTuning(
    steps=60, batch=32, learning_rate=3e-3, schedule="constant_with_warmup", warmup=0.5, save_every=10, keep=2
)
ROWS = [taking(f"t{number}") for number in range(800)]


def tuning_of(folder):
    """Settings for a small new T5 in `folder`, the same one each time."""
    tiny_t5(d_model=64, d_ff=128, num_layers=1, initializer_factor=1.0, dropout_rate=0.0).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return replace(TUNING, model=str(folder))


def train_and_die(folder, out):
    """Run in a process of its own: killed in its 35th step, after its third checkpoint."""

    def die(done, total):
        if done == 35:
            os.kill(os.getpid(), signal.SIGKILL)

    tune_seq2seq(replace(TUNING, model=folder), ROWS, Path(out), die)
