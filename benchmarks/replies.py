"""Replies read by Quorum, and by the three steps of MMLU-Pro's repository: the table of docs/replies.md.

FOLDER holds `questions.jsonl` (question_id, options, answer) and `model_texts.jsonl.xz` (model, question_id, text), as
published by https://github.com/TIGER-AI-Lab/MMLU-Pro. The three steps: "answer is (X)"; "Answer: X"; else the last
capital from A to J that stands alone. Neither reader is shown the options.
"""

import argparse
import json
import lzma
import re
import time
from collections import Counter, defaultdict
from pathlib import Path

from quorum.console import DONE, run_program

STEPS = (r"answer is \(?([A-J])\)?", r".*[aA]nswer:\s*([A-J])")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    args = parser.parse_args()

    from quorum.ask.reply import parse_reply
    from quorum.question import letters

    lines = (args.folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = {question["question_id"]: question for question in map(json.loads, lines)}
    with lzma.open(args.folder / "model_texts.jsonl.xz", "rt", encoding="utf-8") as file:
        replies = [json.loads(line) for line in file]
    start = time.process_time()
    readings = [parse_reply(row["text"], letters(len(questions[row["question_id"]]["options"]))) for row in replies]
    seconds = time.process_time() - start

    rows: defaultdict[str, list[tuple[str | None, str | None, str]]] = defaultdict(list)
    for reply, reading in zip(replies, readings, strict=True):
        row = (reading.label, three_steps(reply["text"]), questions[reply["question_id"]]["answer"])
        rows[reply["model"]].append(row)
        rows["**all**"].append(row)
    rows["**all**"] = rows.pop("**all**")
    print("| model | share | right | right if read | share, three steps | right | right if read |")
    print("|---|---|---|---|---|---|---|")
    for model, read in rows.items():
        ours, theirs = ([(row[reader], row[2]) for row in read] for reader in (0, 1))
        print(f"| {model} | {_shares(ours)} | {_shares(theirs)} |")

    both = [(a, b, gold) for a, b, gold in rows["**all**"] if a and b and a != b]
    alone = [b == gold for a, b, gold in rows["**all**"] if b and not a]
    right = [sum(row[reader] == row[2] for row in both) for reader in (0, 1)]
    print(f"\nread differently: {len(both)}, right here {right[0]}, there {right[1]}")
    print(f"read by the three steps alone: {len(alone)}, of them right {sum(alone) / len(alone):.3f}")
    print(f"reasons: {dict(Counter(reading.reason for reading in readings).most_common())}")
    print(f"{seconds:.1f} s of CPU for {sum(len(row['text']) for row in replies) / 1e6:.1f} million characters")
    return DONE


def three_steps(text: str) -> str | None:
    """The letter that the repository's own chain finds."""
    for step in STEPS:
        if found := re.search(step, text):
            return found[1]
    alone = re.findall(r"\b[A-J]\b", text)
    return alone[-1] if alone else None


def _shares(read: list[tuple[str | None, str]]) -> str:
    known = [label == gold for label, gold in read if label]
    return f"{len(known) / len(read):.3f} | {sum(known) / len(read):.3f} | {sum(known) / len(known):.3f}"


if __name__ == "__main__":
    run_program(main)
