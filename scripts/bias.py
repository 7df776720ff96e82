"""What runs show of their models' habits: letters said against letters right, answers that hang on the order of the
options, and how right a model is where it is so sure.

The order is known where the kernel has shown questions in several ([shuffle]): run.json beside the answers tells.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.console import DONE, print_json, run_program

if TYPE_CHECKING:
    from collections.abc import Collection

    from quorum.evaluation.label_habits import LabelHabits
    from quorum.question import Question


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="exit code: 0 done, 2 bad input")
    parser.add_argument("runs", type=Path, nargs="+", help="answers files (.parquet), or CSVs as in vote.py")
    parser.add_argument("--gold", type=Path, required=True, help="solved questions, or a CSV of id and answer")
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="accuracy against sureness, a panel for each run")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    args = parser.parse_args()

    from quorum.evaluation.label_habits import measure_habits
    from quorum.files.answers import ballots_from_answers
    from quorum.files.runs import read_runs

    read = [
        (part, torn_share(path))
        for path in args.runs
        for part in read_runs([path]).partition_by("run", maintain_order=True)
    ]
    said = {label for part, _ in read for label in part["label"].drop_nulls().unique()}
    solved = solved_questions(args.gold, said)
    runs = [(measure_habits(str(part["run"][0]), ballots_from_answers(part), solved), torn) for part, torn in read]
    if args.plot:
        plot([habits for habits, _ in runs], args.plot)
    if args.json:
        print_json([asdict(habits) | {"torn": torn} for habits, torn in runs])
    else:
        for habits, torn in runs:
            show(habits, torn)
    return DONE


def solved_questions(gold: Path, said: "Collection[str]") -> "list[Question]":
    """The questions with their answers. Of a CSV of ids and answers alone: each offers every letter up to the last one
    that is an answer or `said`, for nothing tells how many choices it has."""
    from quorum.data.read import read_records
    from quorum.data.repair import repair_table
    from quorum.files.cells import read_cells
    from quorum.files.runs import read_labels
    from quorum.question import MOST_CHOICES, Question, letters

    if gold.suffix != ".csv" or len({name.casefold() for name in read_cells(gold).header} - {"usage"}) > 2:
        return repair_table(read_records(gold)).questions
    answers = read_labels(gold, "answer")
    places = {label: place for place, label in enumerate(letters(MOST_CHOICES), 1)}
    offered = letters(max([2, *(places.get(label, 0) for label in {*answers.values(), *said})]))
    return [Question(id, id, offered, answer) for id, answer in answers.items() if answer in offered]


def torn_share(answers: Path) -> float | None:
    """The share of the questions whose answer hangs on the order of the options; None where it is not known."""
    from quorum.files.manifest import read_manifest

    path = answers.with_name("run.json")
    return read_manifest(path).order_sensitive.get(answers.stem) if path.exists() else None


def plot(runs: "list[LabelHabits]", path: Path) -> None:
    """The reliability of every run that says how sure it is, as the report draws it.

    Raises:
        BadInput: no run says it.
    """
    from quorum.disk import replace_file
    from quorum.errors import BadInput
    from quorum.evaluation.report.charts import draw_reliability_chart
    from quorum.evaluation.report_facts import Reliability

    sure = [Reliability(one.run, one.read, one.bins, one.error) for one in runs if one.error is not None]
    if not sure:
        raise BadInput("--plot: no run says how sure it is; they name letters and no probabilities")
    with replace_file(path) as part:
        part.write_bytes(draw_reliability_chart("reliability", "Accuracy against sureness.", sure).png)


def show(habits: "LabelHabits", torn: float | None) -> None:
    """One run's habits as Markdown."""
    sure = "" if habits.error is None else f", ECE {habits.error:.4f}, NLL {habits.loss:.4f}"
    order = "" if torn is None else f", {torn:.1%} of the answers hang on the order"
    print(f"{habits.run}: {habits.read} of {habits.n} read, {habits.accuracy:.4f} of them right{sure}{order}\n")
    print("| letter | questions | right | said |\n|---|---|---|---|")
    for one in habits.letters:
        print(f"| {one.letter} | {one.count} | {one.right:.3f} | {one.answered:.3f} |")
    print()


if __name__ == "__main__":
    run_program(main)
