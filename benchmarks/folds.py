"""One held-out fold against every label: the score that is promised, and what the hidden answers give.

python benchmarks/folds.py FOLDER [--files CodeMMLU ARC-Easy …] [--n 1000] [--folds 5] [--work FOLDER]

FOLDER holds arc/, medqa/, exams/ … with the files as their authors published them. Of each file, n questions are drawn.
Half of them, with whole clusters of near-duplicates, is the test, whose answers only the hidden score uses. "sample" is
the competition in data/sample. `quorum submit` runs with one held-out fold, with folds and a refit on all labels, and
with folds whose members' test answers are averaged. With --work, finished steps are kept and reused.
"""

import argparse
import csv
import math
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoder_real_files import FILES, read_all

from quorum.console import DONE, print_json, print_status, run_program

if TYPE_CHECKING:
    from quorum.competition.submit import SubmissionResult
    from quorum.evaluation.metrics import Score
    from quorum.question import Question

SAMPLE = "sample"
DEFAULT = [SAMPLE, "CodeMMLU", "ARC-Easy", "ARC-Challenge", "MedQA", "EXAMS"]
Z95 = 1.96


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", nargs="+", default=DEFAULT, help=f"of {SAMPLE}, {', '.join(FILES)}")
    parser.add_argument(
        "--n", type=int, default=1000, help="questions of a file, drawn at random (default %(default)s)"
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--members", nargs="+", default=[], help="shipped members, by name; default: those of submit")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        work = args.work or Path(scratch)
        for name in args.files:
            folder = Path("data/sample")
            if name != SAMPLE:
                folder = work / "files" / name.lower().replace(" ", "-")
                write_competition(read_all(args.folder, FILES[name]), folder, args.n, args.seed)
            found = measure(name, folder, work, args.folds, args.members)
            rows += found
            for row in () if args.json else found:
                print(format_row(row), flush=True)
    if args.json:
        print_json(rows)
    return DONE


def write_competition(questions: "Sequence[Question]", folder: Path, n: int, seed: int) -> None:
    """Write n questions, half of them as a test whose answers are in the solution."""
    from quorum.data.split import split_questions

    drawn = random.Random(seed).sample(questions, min(n, len(questions)))
    test = split_questions(drawn, 0.5, seed=seed).held_out
    labels = max((question.labels for question in drawn), key=len)
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, header: list[str], rows: list[list[str]]) -> None:
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])

    def cells(question: "Question") -> list[str]:
        return [question.id, question.text, *question.choices, *[""] * (len(labels) - len(question.choices))]

    hidden = [question for question in drawn if question.id in test]
    columns = ["id", "question", *labels]
    learnt = [[*cells(each), str(each.answer)] for each in drawn if each.id not in test]
    write("train.csv", [*columns, "answer"], learnt)
    write("test.csv", columns, [cells(each) for each in hidden])
    write("sample_submission.csv", ["id", "answer"], [[each.id, "A"] for each in hidden])
    write("solution.csv", ["id", "answer"], [[each.id, str(each.answer)] for each in hidden])


def measure(name: str, folder: Path, work: Path, folds: int, members: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per run and way of scoring; "gain" compares the average's test answers with the refit's."""
    from quorum.competition.run import find_kernel_toml
    from quorum.competition.submit import submit_competition
    from quorum.competition.workspace import Workspace

    rows, answers = [], {}
    tomls = [find_kernel_toml(member) for member in members]
    ways: dict[str, dict[str, Any]] = {"one fold": {}, "refit": {"folds": folds}, "average": {"folds": folds}}
    for way, settings in ways.items():
        if way == "average":
            settings["test_by"] = "average"
        workspace = Workspace(work / ("one" if way == "one fold" else "folds"))
        start = time.monotonic()
        result = submit_competition(folder, workspace, tomls, report=print_status, **settings)
        print_status(f"{name}, {way}: {time.monotonic() - start:.0f} s")
        for entry in result.entries:
            hidden, right = score_hidden(result, entry.name)
            answers[way, entry.name] = right
            rows.append({"file": name, "way": way, "run": entry.name, **describe(entry.held_out, hidden)})
            if way == "average":
                rows[-1]["gain"] = compare(right, answers["refit", entry.name])
    return rows


def score_hidden(result: "SubmissionResult", run: str) -> "tuple[Score, Mapping[str, bool]]":
    """Return a submission's score on the hidden answers, and which of them are right."""
    from quorum.ballot import is_right
    from quorum.evaluation.metrics import score_answers
    from quorum.files.runs import ReadingOptions, read_ballots

    prepared = result.prepared
    assert prepared.solution is not None
    choices = {question.id: question.choices for question in prepared.test}
    options = ReadingOptions(style=prepared.sample.style, choices=choices)
    path = prepared.workspace.submission(prepared.name, run)
    ballots, solved = read_ballots(path, prepared.solution, options)
    right = {row.id: is_right(ballots.get(row.id, {}), row.answer) for row in solved}
    return score_answers(ballots, solved, prepared.metric).overall, right


def describe(held_out: "Score", hidden: "Score") -> dict[str, Any]:
    errors = math.hypot(held_out.error or 0.0, hidden.error or 0.0)
    return {
        "n": held_out.n,
        "held-out": held_out.value,
        "error": held_out.error,
        "low": held_out.low,
        "high": held_out.high,
        "hidden n": hidden.n,
        "hidden": hidden.value,
        "hidden error": hidden.error,
        "inside": held_out.low is not None and held_out.low <= hidden.value <= (held_out.high or 0.0),
        "within error": abs(held_out.value - hidden.value) <= Z95 * errors,
    }


def compare(one: "Mapping[str, bool]", other: "Mapping[str, bool]") -> tuple[int, int]:
    """Return how many questions only the one has right, and only the other."""
    return sum(one[id] > other[id] for id in one), sum(one[id] < other[id] for id in one)


def format_row(row: "Mapping[str, Any]") -> str:
    held_out = f"{row['held-out']:.3f} ± {row['error']:.3f}"
    hidden = f"{row['hidden']:.3f} ± {row['hidden error']:.3f}"
    cells = [row["file"], row["way"], row["run"], row["n"], held_out, f"{row['low']:.3f}–{row['high']:.3f}", hidden]
    cells += ["yes" if row["inside"] else "no", "yes" if row["within error"] else "no"]
    return f"| {' | '.join(map(str, cells))} | {' : '.join(map(str, row.get('gain', ())))} |"


if __name__ == "__main__":
    run_program(main)
