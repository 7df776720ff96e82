"""Runs in, one submission out: an ensemble's vote, selected and measured on labelled questions.

scripts/vote.py RUNS [--gold DEV] --out SUBMISSION [--json]
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, print_status, run_program

if TYPE_CHECKING:
    from quorum.judge.poll import Poll

EPILOG = """\
RUNS are answers files (.parquet), CSVs of id and one label column per run, or CSVs of id and a probability column per
choice (A, B …). An empty cell is unread. DEV is a CSV of id,answer: questions whose answers may be used, on which no
run was trained and on which the vote is not scored. SUBMISSION is a CSV of id,answer for every id of the runs; a
question that no run read gets an empty answer.

methods: auto (with DEV: the blend of a stack and weighted votes, unless another method is clearly better out of fold,
and never below the best member; without DEV: agreement, or the mean of one or two runs), majority, mean, agreement,
dawid-skene, glad; with DEV also best member, top 3, weighted, weighted top 3, weighted top 5, greedy, stack, blend,
weighted mean, calibrated mean, weighted calibrated mean, geometric mean, weighted geometric mean, calibrated geometric
mean, stacked votes, and with --subjects blend by subject."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Runs vote on one submission.", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUNS", help="files of one or more runs")
    parser.add_argument("--gold", type=Path, metavar="DEV", help="CSV of id,answer: labelled questions to fit on")
    parser.add_argument("--out", type=Path, required=True, metavar="SUBMISSION", help="CSV to write: id,answer")
    parser.add_argument("--method", default="auto", help="how to vote (default: auto)")
    parser.add_argument("--questions", type=Path, help="questions file: a label that a question lacks is no vote")
    parser.add_argument("--subjects", type=Path, help="CSV of id,subject: weights may then differ by subject")
    parser.add_argument("--explain", metavar="ID", help="show which members made this question's answer")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")
    arguments = parser.parse_args()

    from quorum.files.cells import write_cells
    from quorum.files.runs import read_labels, read_runs
    from quorum.judge.poll import GoldQuestions, poll

    gold = GoldQuestions(answers=read_labels(arguments.gold, "answer")) if arguments.gold else None
    subjects = read_labels(arguments.subjects, "subject") if arguments.subjects else None
    labels = read_question_labels(arguments.questions) if arguments.questions else None
    result = poll(read_runs(arguments.runs), gold, method=arguments.method, labels=labels, subjects=subjects)
    first = result.ballots.unique("id", keep="first", maintain_order=True)
    rows = [(id, label or "") for id, label in first.select("id", "label").rows()]
    write_cells(arguments.out, ("id", "answer"), rows)
    report = make_report(result, len(rows), arguments.explain)
    if arguments.json:
        print_json(report)
    else:
        show(report)
    return DONE


def read_question_labels(path: Path) -> dict[str, tuple[str, ...]]:
    """Read the labels of each question of a file, as far as it can be read or repaired."""
    from quorum.data.read import read_records
    from quorum.data.repair import repair_table

    return {question.id: question.labels for question in repair_table(read_records(path)).questions}


def make_report(result: "Poll", questions: int, explained: str | None) -> dict[str, Any]:
    """Return the result as a JSON document; `out_of_fold` and `best_single` are null without labelled questions."""
    rule = result.rule
    report = {
        "method": rule.method,
        "members": list(rule.weights),
        "weights": dict(rule.weights),
        "subject_weights": {subject: dict(weights) for subject, weights in rule.subject_weights.items()},
        "left_out": result.left_out,
        "out_of_fold": asdict(rule.out_of_fold) | {"n": rule.labelled} if rule.out_of_fold else None,
        "best_single": asdict(rule.best_member) if rule.best_member else None,
        "methods": [asdict(score) for score in rule.method_scores],
        "questions": questions,
        "unread": result.unread,
        "warnings": list(result.warnings),
    }
    return report if explained is None else report | {"explain": result.explain(explained)}


def show(report: dict[str, Any]) -> None:
    """Print the report, warnings on standard error."""
    for warning in report["warnings"]:
        print_status(f"warning: {warning}")
    members = len(report["members"])
    print(f"{report['method']}: {report['questions']} questions, {members} members, {report['unread']} unread")
    for member, weight in report["weights"].items():
        print(f"  {weight:7.3f}  {member}")
    if report["out_of_fold"]:
        measured, best = report["out_of_fold"], report["best_single"]
        print(f"out of fold {measured['accuracy']:.4f} ± {measured['error']:.4f} (n = {measured['n']})")
        print(f"best member {best['accuracy']:.4f} ± {best['error']:.4f} ({best['name']})")
        for score in report["methods"]:
            print(f"  {score['accuracy']:.4f} ± {score['error']:.4f}  {score['name']}")
    for row in report.get("explain", []):
        print(f"  {row['label'] or 'unread':6} {row['weight']:.3f} x {row['voice']:.3f}  {row['run']}")


if __name__ == "__main__":
    run_program(main)
