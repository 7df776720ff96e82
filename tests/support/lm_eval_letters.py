"""The letters that lm-evaluation-harness answers on a tiny benchmark: recorded once, and compared with ours in a test.

LM_EVAL_PYTHON -m tests.support.lm_eval_letters    (a Python that has lm-eval; from the root of the repository)

writes tests/golden/lm_eval_letters.json. Model and questions are made here, the same bytes on every machine.
"""

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.paths import GOLDEN

RECORD = GOLDEN / "lm_eval_letters.json"
SUBJECTS = ("abstract_algebra", "sociology", "virology")
_ROWS = {"test": 12, "dev": 3}
_WORDS = "iron rose seven lake proof cell law tax wave sum".split()  # noqa: SIM905


def write_benchmark_files(folder: Path) -> Path:
    """Write files in MMLU's official layout: no header, question, four choices, letter."""
    chance = np.random.RandomState(7)
    for split, rows in _ROWS.items():
        (folder / split).mkdir(parents=True)
        for subject in SUBJECTS:
            with (folder / split / f"{subject}_{split}.csv").open("w", newline="") as file:
                for number in range(rows):
                    words = [_WORDS[place] for place in chance.permutation(len(_WORDS))]
                    question = f"Which of these, number {number}, goes with {words[0]}, {words[1]}?"
                    csv.writer(file).writerow([question, *words[2:6], "ABCD"[chance.randint(4)]])
    return folder


def write_letter_model(folder: Path, seed: int = 8) -> Path:
    """Write a Llama of random weights that NumPy draws, and a tokenizer of bytes, each letter after a space a token."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = [f"Ġ{letter}" for letter in "ABCD"]
    vocabulary = {token: place for place, token in enumerate(["<s>", "</s>", *alphabet, *letters])}
    bpe = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ġ", letter) for letter in "ABCD"]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="</s>", model_max_length=2048
    )
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    model, chance = LlamaForCausalLM(config), np.random.RandomState(seed)
    with torch.no_grad():
        for name, weights in sorted(model.named_parameters()):
            if "norm" not in name:
                weights.copy_(torch.tensor(0.5 * chance.standard_normal(tuple(weights.shape)), dtype=torch.float32))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def ask_lm_eval(model: Path, data: Path, shots: int, scratch: Path) -> dict[str, str]:
    """Return lm-eval's letter for each test question, in the words of its own task mmlu."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    shipped = Path(lm_eval.__file__).parent / "tasks" / "mmlu" / "default" / "_default_template_yaml"
    tasks = scratch / f"tasks-{shots}"
    tasks.mkdir()
    for subject in SUBJECTS:
        files = {split: tasks / f"{subject}_{split}.jsonl" for split in _ROWS}
        for split, file in files.items():
            with (data / split / f"{subject}_{split}.csv").open(newline="") as table:
                rows = [
                    {"question": row[0], "choices": row[1:5], "answer": "ABCD".index(row[5])}
                    for row in csv.reader(table)
                ]
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        about = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}."
        task = shipped.read_text().replace("dataset_path: cais/mmlu", "dataset_path: json")
        task += f'\ntask: {subject}\ndescription: "{about}\\n\\n"\n'
        task += f"dataset_kwargs:\n  data_files:\n    test: {files['test']}\n    dev: {files['dev']}\n"
        (tasks / f"{subject}.yaml").write_text(task)
    found: Any = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(model), "dtype": "float32"},
        tasks=list(SUBJECTS),
        num_fewshot=shots,
        batch_size=8,
        device="cpu",
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )
    letters = {}
    for subject in SUBJECTS:
        for sample in found["samples"][subject]:
            scores = [reply[0][0] for reply in sample["resps"]]
            letters[f"{subject}/{sample['doc_id'] + 1}"] = "ABCD"[scores.index(max(scores))]
    return letters


def main() -> None:
    """Record the letters."""
    import lm_eval

    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        model, data = write_letter_model(scratch / "model"), write_benchmark_files(scratch / "data")
        letters = {
            mode: ask_lm_eval(model, data, shots, scratch) for mode, shots in (("zero-shot", 0), ("few-shot", 3))
        }
    RECORD.write_text(json.dumps({"lm_eval": lm_eval.__version__, **letters}, indent=1) + "\n")


if __name__ == "__main__":
    main()
