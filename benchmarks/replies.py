"""Replies parsed by Quorum, and by the three steps of MMLU-Pro's repository: the tables of docs/replies.md.

FOLDER holds `questions.jsonl` (question_id, options, answer) and `model_texts.jsonl.xz` (model, question_id, text), as
published by https://github.com/TIGER-AI-Lab/MMLU-Pro. The three steps: "answer is (X)"; "Answer: X"; else the last
capital from A to J that stands alone. Neither parser is shown the options.

Each parser's replies are counted as parsed and right, parsed and wrong, or unread. The value is the mean weight that a
reply gives to the right answer: 1 or 0 for a parsed one, its share of a vote for one that claims several labels, and
1 / (number of options) for an unread one, which is the chance of a guess.

`--cases` counts instead how many lines of a file of cases (item, text, labels, label, options) are parsed as labelled.
To measure an older version, run this file with the `src` folder of that version first in PYTHONPATH.
"""

import argparse
import json
import lzma
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorum.console import DONE, run_program

STEPS = (r"answer is \(?([A-J])\)?", r".*[aA]nswer:\s*([A-J])")
HEAD = "parsed | right | wrong | unread | right if parsed | value"
LOOPS = ("answer: ", "Let us see. The river flows, so option B might be right. ", "答案", "The answer is (A). ")
LOOP_LENGTH = 64_000  # characters


@dataclass(frozen=True, slots=True)
class Outcome:
    """One reply as a parser reads it: the label, the weight of the right answer, and whether the label is right."""

    label: str | None
    weight: float
    right: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path, nargs="?")
    parser.add_argument(
        "--cases", metavar="JSONL", type=Path, help="count the cases of this file that are parsed right"
    )
    args = parser.parse_args()
    if args.cases:
        _print_cases(args.cases)
    if args.folder:
        _print_replies(args.folder)
        _print_loops()
    return DONE


def _print_replies(folder: Path) -> None:
    from quorum.ask.reply import parse_reply
    from quorum.question import letters

    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = {question["question_id"]: question for question in map(json.loads, lines)}
    with lzma.open(folder / "model_texts.jsonl.xz", "rt", encoding="utf-8") as file:
        replies = [json.loads(line) for line in file]
    labels = [letters(len(questions[reply["question_id"]]["options"])) for reply in replies]
    for own in set(labels):
        parse_reply("The answer is B, or so it seems.", own)  # compile the patterns of these labels
    start = time.process_time()
    parsed = [parse_reply(reply["text"], own) for reply, own in zip(replies, labels, strict=True)]
    seconds = time.process_time() - start
    options = [tuple(questions[reply["question_id"]]["options"]) for reply in replies]
    start = time.process_time()
    for reply, own, texts in zip(replies, labels, options, strict=True):
        parse_reply(reply["text"], own, texts)
    seconds_with_options = time.process_time() - start

    ours, theirs = defaultdict[str, list[Outcome]](list), defaultdict[str, list[Outcome]](list)
    for reply, one, own in zip(replies, parsed, labels, strict=True):
        gold, other = questions[reply["question_id"]]["answer"], three_steps(reply["text"])
        ballot = getattr(one, "ballot", {one.label: 1.0} if one.label else {})
        for model in (reply["model"], "**all**"):
            ours[model].append(_judge(one.label, ballot, gold, len(own)))
            theirs[model].append(_judge(other, {other: 1.0} if other else {}, gold, len(own)))
    print(f"| model | {HEAD} | three steps: {HEAD} |\n|{'---|' * 13}")
    for model in [*sorted(ours.keys() - {"**all**"}), "**all**"]:
        print(f"| {model} | {_format_shares(ours[model])} | {_format_shares(theirs[model])} |")
    _print_differences(ours["**all**"], theirs["**all**"])
    print(f"reasons: {dict(Counter(one.reason for one in parsed).most_common())}")
    print(f"{seconds / len(replies) * 1e6:.0f} microseconds of CPU per reply")
    print(f"{seconds_with_options / len(replies) * 1e6:.0f} with the options' texts, as in a run")


def _judge(label: str | None, ballot: dict[str | None, float], gold: str, count: int) -> Outcome:
    return Outcome(label, ballot.get(gold, 0.0) / sum(ballot.values()) if ballot else 1 / count, label == gold)


def _print_differences(ours: list[Outcome], theirs: list[Outcome]) -> None:
    both = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.label and b.label and a.label != b.label]
    alone = [b.right for a, b in zip(ours, theirs, strict=True) if b.label and not a.label]
    right = sum(a.right for a, _ in both), sum(b.right for _, b in both)
    print(f"\nparsed differently: {len(both)}, right here {right[0]}, there {right[1]}")
    print(f"parsed by the three steps alone: {len(alone)}, of them right {sum(alone) / max(1, len(alone)):.3f}")


def _print_loops() -> None:
    from quorum.ask.reply import parse_reply

    for loop in LOOPS:
        text = (loop * (LOOP_LENGTH // len(loop) + 1))[:LOOP_LENGTH]
        start = time.process_time()
        parse_reply(text, ("A", "B", "C", "D"))
        print(f"{LOOP_LENGTH} characters of {loop!r}: {time.process_time() - start:.3f} s of CPU")


def _print_cases(path: Path) -> None:
    from quorum.ask.reply import parse_reply

    counts = defaultdict[str, Counter[str]](Counter)
    rows: Iterable[dict[str, Any]] = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    for row in rows:
        label = parse_reply(row["text"], tuple(row["labels"]), tuple(row.get("options", ()))).label
        kind = "as labelled" if label == row["label"] else "unread" if label is None else "wrong"
        for item in (row["item"], "**all**"):
            counts[item].update([kind, "n"])
    print("| item | n | as labelled | wrong | unread, though clear |\n|---|---|---|---|---|")
    for item in [*(item for item in counts if item != "**all**"), "**all**"]:
        print(f"| {item} | {' | '.join(str(counts[item][kind]) for kind in ('n', 'as labelled', 'wrong', 'unread'))} |")


def three_steps(text: str) -> str | None:
    """The letter that the repository's own chain finds."""
    for step in STEPS:
        if found := re.search(step, text):
            return found[1]
    alone = re.findall(r"\b[A-J]\b", text)
    return alone[-1] if alone else None


def _format_shares(outcomes: list[Outcome]) -> str:
    count = len(outcomes)
    parsed, right = sum(one.label is not None for one in outcomes), sum(one.right for one in outcomes)
    shares = (parsed / count, right / count, (parsed - right) / count, 1 - parsed / count, right / max(1, parsed))
    return " | ".join(f"{share:.3f}" for share in (*shares, sum(one.weight for one in outcomes) / count))


if __name__ == "__main__":
    run_program(main)
