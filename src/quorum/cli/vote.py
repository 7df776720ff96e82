"""`quorum vote`: combine runs into one submission."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorum.cli.options import AsJson, Column, FormText
from quorum.cli.tables import print_line, print_table, report_line
from quorum.console import DONE, print_json

if TYPE_CHECKING:
    from quorum.judge.poll import Poll

VoteSample = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Sample submission: the vote is written in its form.")
]
VoteTrain = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Solved questions: fill what no run has read, and show how answers are written."),
]


def vote_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Files of one or more runs.")],
    out: Annotated[Path, typer.Option(metavar="CSV", help="The submission to write: id and answer.")],
    gold: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Labelled questions to fit on: a table of id and answer, or questions."),
    ] = None,
    method: Annotated[str, typer.Option(metavar="METHOD", help="How to vote, see above.")] = "auto",
    questions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Question file: a label that a question lacks is no vote.")
    ] = None,
    subjects: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV of id and subject: weights may then differ by subject.")
    ] = None,
    sample: VoteSample = None,
    train: VoteTrain = None,
    column: Column = None,
    form: FormText = None,
    explain: Annotated[
        str | None, typer.Option(metavar="ID", help="Show which members made this question's answer.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Combine runs into one submission.

    A run is an answers file (.parquet), or a table of id and one label column for each run (a cell may list several
    labels, the best first), or of id and one probability column for each choice. An empty cell is unread. No run may
    have been trained on the questions of --gold, and the vote cannot be scored on them. With --sample the vote is a
    submission in its form, for which --questions is needed too; without it, a table of id and answer, which is empty
    for a question that no run has read.

    Methods: auto (with --gold the blend of two stacks, unless another method or the best member is clearly better out
    of fold; without it agreement, or the mean of one or two runs), majority, mean, agreement, dawid-skene, glad. With
    --gold also best member, top 3, top 5, weighted, weighted top 3, weighted top 5, greedy, stack, signed stack, blend,
    weighted mean, calibrated mean, weighted calibrated mean, geometric mean, weighted geometric mean, calibrated
    geometric mean, stacked votes, and with --subjects blend by subject.
    """
    from quorum.competition.api import vote

    files = {"gold": gold, "questions": questions, "subjects": subjects, "sample": sample, "train": train}
    result = vote(runs, out, **files, method=method, column=column, form=form, report=report_line)
    document = make_vote_document(result, len(result.answers_by_id()), explain)
    print_json(document) if as_json else print_vote(document)
    return DONE


def make_vote_document(result: "Poll", questions: int, explained: str | None) -> dict[str, Any]:
    """Return the result as a JSON document; `out_of_fold` and `best_single` are null without labelled questions."""
    from dataclasses import asdict

    rule = result.rule
    document = {
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
    return document if explained is None else document | {"explain": result.explain(explained)}


def print_vote(document: dict[str, Any]) -> None:
    """Print the weights, the scores of the methods and what was asked to be explained; warnings on standard error."""
    for warning in document["warnings"]:
        report_line(f"warning: {warning}")
    members, unread = len(document["members"]), document["unread"]
    print_line(f"{document['method']}: {document['questions']} questions, {members} members, {unread} unread")
    if document["left_out"]:
        print_line(f"left out: {', '.join(document['left_out'])}")
    print_table(["run", "weight"], [[run, f"{weight:.3f}"] for run, weight in document["weights"].items()])
    if measured := document["out_of_fold"]:
        best = document["best_single"]
        scores = [measured | {"name": "this vote, out of fold"}, best | {"name": f"best member: {best['name']}"}]
        scores += document["methods"]
        cells = [[score["name"], f"{score['accuracy']:.4f} ± {score['error']:.4f}"] for score in scores]
        print_line("")
        print_table(["method", f"accuracy (n = {measured['n']})"], cells)
    if "explain" in document:
        rows = [
            [row["run"], row["label"] or "unread", f"{row['weight']:.3f}", f"{row['voice']:.3f}"]
            for row in document["explain"]
        ]
        print_line("")
        print_table(["run", "answer", "ballot", "weight"], rows)
