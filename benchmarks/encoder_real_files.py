"""The encoder, untrained, on real files of several benchmarks: n, chance, accuracy with error.

python benchmarks/encoder_real_files.py FOLDER [--n 1000] [--json]

FOLDER holds arc/, mmlu_csv/, boolq/ … with the files as their authors published them.
"""

import argparse
import random
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.console import DONE, print_json, run_program

if TYPE_CHECKING:
    from quorum.question import Question

FILES = {
    "ARC-Easy": "arc/arc_easy_official_test_with_para.jsonl",
    "ARC-Challenge": "arc/ARC-Challenge-Test.jsonl",
    "MMLU (57 files)": "mmlu_csv/test/*.csv",
    "BoolQ": "boolq/dev.jsonl",
    "MedQA": "medqa/phrases_no_exclude_test.jsonl",
    "AQuA": "aqua/test.json",
    "EXAMS": "exams/dev.jsonl.tar.gz",
    "CodeMMLU": "codemmlu_kaggle/b6_train_data.csv",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--n", type=int, default=1000, help="questions of a file, drawn at random (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    from quorum.ask.prompt import render_prompt
    from quorum.ask.reply import ballot_from_reply
    from quorum.evaluation.metrics import score_answers
    from quorum.files.solution import make_solution
    from quorum.model.encoder import Encoder

    encoder, rows = Encoder(), []
    for name, pattern in FILES.items():
        questions = read_all(args.folder, pattern)
        drawn = random.Random(args.seed).sample(questions, min(args.n, len(questions)))
        prompts = [render_prompt(question, "bare") for question in drawn]
        replies = encoder.answer(prompts)
        ballots = {p.question_id: ballot_from_reply(r, p) for p, r in zip(prompts, replies, strict=True)}
        score = score_answers(ballots, make_solution(drawn)).overall
        chance = sum(1 / len(question.choices) for question in drawn) / len(drawn)
        rows.append({"file": name, "read": len(questions), "n": score.n, "chance": chance, "accuracy": score.value})
        rows[-1]["error"] = score.error
        if not args.json:
            print(
                f"| {name} | {len(questions)} | {score.n} | {chance:.3f} | {score.value:.3f} ± {score.error:.3f} |",
                flush=True,
            )
    if args.json:
        print_json(rows)
    return DONE


def read_all(folder: Path, pattern: str) -> "list[Question]":
    """The usable questions of the files that match, ids made unique by the file's name."""
    from dataclasses import replace

    from quorum.data.read import read_records
    from quorum.data.repair import repair_table

    questions = []
    for path in sorted(folder.glob(pattern)):
        with tempfile.TemporaryDirectory() as scratch:
            if path.name.endswith(".tar.gz"):
                with tarfile.open(path) as archive:
                    archive.extractall(scratch, filter="data")
                path = next(Path(scratch).rglob("*.jsonl"))
            found = repair_table(read_records(path)).questions
        questions += [replace(question, id=f"{path.stem}/{question.id}") for question in found]
    return questions


if __name__ == "__main__":
    run_program(main)
