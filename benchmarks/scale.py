"""Time and memory of doctor, split, score, vote, record, report and leaderboard by number of rows.

python benchmarks/scale.py [--rows 10000 100000 1000000] [--verbs score vote] [--json]

Each verb runs in a process of its own, on questions of invented words with four choices, three runs that answer all of
them, and a ledger with a tenth as many lines (at most 100,000). The report is on a quarter of the rows, held out.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from quorum.console import DONE, print_json, print_status, run_program

VERBS = ("doctor", "split", "score", "vote", "record", "report", "leaderboard")
RUNS = {"one": 0.5, "two": 0.6, "three": 0.7}  # with their accuracy
MOST_LEDGER_LINES = 100_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=VERBS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    results = []
    for rows in given.rows:
        with tempfile.TemporaryDirectory(prefix="quorum-scale-") as folder:
            for verb in given.verbs:
                found = measure_verb(verb, rows, Path(folder))
                results.append(found)
                print_status(" ".join(f"{key}={value}" for key, value in found.items()))
    if given.json:
        print_json({"results": results})
    return DONE


def measure_verb(verb: str, rows: int, folder: Path) -> dict[str, Any]:
    """Return the CPU seconds and the peak memory of a verb, and its exit code."""
    write_files(folder, rows)
    if verb in ("record", "report"):
        write_recorded_runs(folder)
    if verb == "leaderboard":
        write_ledger(folder / "ledger.jsonl", min(MOST_LEDGER_LINES, rows // 10))
    runs = [f"{name}.parquet" for name in RUNS]
    words: dict[str, Sequence[str]] = {
        "doctor": ["comp/train.csv"],
        "split": ["comp/train.csv", "--out", "split"],
        "score": [runs[0], "gold.csv"],
        "vote": [*runs, "--gold", "gold.csv", "--out", "vote.csv"],
        "record": ["comp", *(f"made/{name}" for name in RUNS)],
        "report": ["comp"],
        "leaderboard": ["--ledger", "ledger.jsonl"],
    }
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "quorum.cli", verb, *words[verb]]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{verb}: exit code {process.returncode}: {(folder / 'log').read_text()[-1000:]}")
    seconds = used.ru_utime + used.ru_stime
    return {"verb": verb, "rows": rows, "CPU s": round(seconds, 1), "GB": round(used.ru_maxrss / 2**20, 2)}


def write_files(folder: Path, rows: int) -> None:
    """Write a competition whose train file has so many rows, its solution, and three runs over all of them."""
    if (folder / "comp").exists():
        return
    draw = random.Random(rows)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randrange(4, 9))) for _ in range(20_000)]
    (folder / "comp").mkdir()
    for name, count in (("train", rows), ("test", 1000)):
        with (folder / "comp" / f"{name}.csv").open("w", encoding="utf-8") as file:
            file.write("id,question,A,B,C,D" + (",answer" if name == "train" else "") + "\n")
            for number in range(count):
                text = " ".join(draw.choices(words, k=draw.randrange(8, 25)))
                choices = ",".join(" ".join(draw.choices(words, k=2)) for _ in "ABCD")
                answer = f",{draw.choice('ABCD')}" if name == "train" else ""
                file.write(f"{name[:2]}{number},Which of them is {text}?,{choices}{answer}\n")
    with (folder / "comp" / "sample_submission.csv").open("w") as file:
        file.writelines(["id,answer\n", *(f"te{number},A\n" for number in range(1000))])
    gold = [line.rstrip("\n").rsplit(",", 1)[1] for line in (folder / "comp" / "train.csv").open(encoding="utf-8")][1:]
    ids = [f"tr{number}" for number in range(rows)]
    with (folder / "gold.csv").open("w") as file:
        file.writelines(["id,answer\n", *(f"{id},{answer}\n" for id, answer in zip(ids, gold, strict=True))])
    for name, accuracy in RUNS.items():
        write_run(folder / f"{name}.parquet", name, dict(zip(ids, gold, strict=True)), accuracy)


def write_run(path: Path, name: str, answers: dict[str, str], accuracy: float) -> None:
    """Write a run that is right with this probability, with probabilities of the four labels."""
    from quorum.files.answers import make_answers, write_answers

    draw = random.Random(name)
    ballots = {}
    for id, answer in answers.items():
        chosen = answer if draw.random() < accuracy else draw.choice("ABCD")
        ballots[id] = {label: 0.7 if label == chosen else 0.1 for label in "ABCD"}
    write_answers(make_answers(name, ballots), path)


def write_recorded_runs(folder: Path) -> None:
    """Prepare the competition, and write runs over its test and its held-out questions."""
    from quorum.competition.folder import find_competition
    from quorum.competition.prepare import prepare_competition
    from quorum.competition.workspace import Workspace

    if (folder / "made").exists():
        return
    prepared = prepare_competition(find_competition(folder / "comp"), Workspace(folder))
    for name, accuracy in RUNS.items():
        for file, questions in (("test", prepared.test), ("heldout", prepared.held_out)):
            answers = {question.id: question.answer or "A" for question in questions}
            write_run(folder / "made" / name / f"{file}.parquet", name, answers, accuracy)


def write_ledger(path: Path, lines: int) -> None:
    """Write a ledger with so many submissions of one competition."""
    from quorum.evaluation.ledger import Entry
    from quorum.evaluation.metrics import Score

    draw = random.Random(lines)
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            value = draw.random()
            entry = Entry(
                name=f"m{number}",
                submission=f"c-m{number}.csv",
                sha256=f"{number:064x}",
                config={"backend": {"name": "encoder"}, "out": "runs/c/m"},
                commit="0123abc",
                data="d" * 64,
                split="s" * 64,
                metric="accuracy",
                held_out=Score(value=value, error=0.02, low=value - 0.04, high=value + 0.04, n=400, unread=0),
                members=(),
                unread_test=0,
                seconds=1.0,
                when="2026-11-21T03:00:00+00:00",
                competition="c",
            )
            file.write(json.dumps(asdict(entry)) + "\n")


if __name__ == "__main__":
    run_program(main)
