"""Runs in, one submission out: an ensemble's vote, chosen and measured on labelled questions.

scripts/vote.py RUNS [--gold DEV] --out SUBMISSION [--json]
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, run_program
from quorum.errors import BadInput

if TYPE_CHECKING:
    import polars as pl

    from quorum.judge.ensemble.select import VotingRule

EPILOG = """\
RUNS are answers files (.parquet), CSVs of id and one label column a run, or CSVs of id and a probability column a
choice (A, B …). An empty cell is unread. DEV is a CSV of id,answer: questions whose answers may be used, which no
member was trained on and which are not scored. OUT is a CSV of id,answer for every id of the runs; a question that no
run read gets an empty answer.

methods: auto (with DEV: the blend of a stack and weighted votes, unless another method is clearly better out of fold,
and never below the best member; without DEV: agreement), majority, agreement, dawid-skene, glad; with DEV also best
member, top 3, weighted, weighted top 3, weighted top 5, greedy, stack, blend, mean, weighted mean, calibrated mean,
weighted calibrated mean, geometric mean, weighted geometric mean, calibrated geometric mean, stacked votes, and with
--subjects blend by subject."""


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
    parser.add_argument("--json", action="store_true", help="tell the result as one JSON document")
    arguments = parser.parse_args()

    from quorum.files.cells import write_cells
    from quorum.files.runs import read_runs

    answers, warnings = _trusted(read_runs(arguments.runs), arguments.questions)
    gold = _labels(arguments.gold, "answer") if arguments.gold else None
    subjects = _labels(arguments.subjects, "subject") if arguments.subjects else None
    votes, election = _vote(answers, gold, subjects, arguments.method, warnings)
    first = votes.unique("id", keep="first", maintain_order=True)
    write_cells(
        arguments.out, ("id", "answer"), [(id, label or "") for id, label in first.select("id", "label").rows()]
    )
    told = _told(answers, election, warnings, len(first), first["label"].null_count())
    if arguments.explain is not None:
        told["explain"] = _explained(answers, election, arguments.explain)
    if arguments.json:
        print_json(told)
    else:
        _print(told)
    return DONE


def _trusted(answers: "pl.DataFrame", questions: Path | None) -> tuple["pl.DataFrame", list[str]]:
    """The answers without copied runs and without labels that a question lacks, and what there is to warn of."""
    import polars as pl

    from quorum.errors import list_some
    from quorum.judge.ensemble.diagnostics import find_copied_runs, find_foreign_alphabets, find_near_copies

    copies = find_copied_runs(answers)
    warnings = [f"run {copy!r} is a copy of {original!r} and has no vote" for copy, original in copies.items()]
    answers = answers.filter(~pl.col("run").is_in(list(copies)))
    for first, second, share in find_near_copies(answers):
        warnings.append(f"runs {first!r} and {second!r} agree on {share:.1%}: one model may be voting twice")
    warnings += [
        f"run {run!r} gives labels that no other run gives: is it one?" for run in find_foreign_alphabets(answers)
    ]
    ids = answers["id"].n_unique()
    told = answers.group_by("run", maintain_order=True).agg(pl.col("id").n_unique(), read=pl.col("label").count())
    for name, own, read in told.rows():
        if not read:
            warnings.append(f"run {name!r} has no answer at all")
        elif own < ids:
            warnings.append(f"run {name!r} lacks {ids - own} of {ids} questions; they are unread there")
    if questions is not None:
        from quorum.data.read import read_questions

        labels = {question.id: question.labels for question in read_questions(questions) if question.choices}
        pairs = pl.DataFrame(
            [(id, label) for id, own_labels in labels.items() for label in own_labels],
            schema={"id": pl.String, "label": pl.String},
            orient="row",
        )
        closed = pl.col("id").is_in(list(labels)) & pl.col("label").is_not_null()
        strange = answers.filter(closed).join(pairs, on=["id", "label"], how="anti")
        if len(strange):
            shown = list_some(
                [f"{run}/{id}: {label}" for run, id, label in strange.select("run", "id", "label").rows()[:20]]
            )
            warnings.append(f"{len(strange)} votes are for labels that the question lacks and do not count: {shown}")
            answers = answers.join(
                strange.select("run", "id", "label", strange=pl.lit(True)),
                on=["run", "id", "label"],
                how="left",
                maintain_order="left",
            ).select("run", "id", "label", pl.when("strange").then(0.0).otherwise("weight").alias("weight"))
    return answers, warnings


def _labels(path: Path, column: str) -> "pl.DataFrame":
    import polars as pl

    from quorum.files.runs import read_labels

    labels = read_labels(path, column)
    return pl.DataFrame(list(labels.items()), schema={"id": pl.String, column: pl.String}, orient="row")


def _vote(
    answers: "pl.DataFrame",
    gold: "pl.DataFrame | None",
    subjects: "pl.DataFrame | None",
    method: str,
    warnings: list[str],
) -> tuple["pl.DataFrame", "VotingRule"]:
    """The votes, a ballot a question, and how they came about."""
    from quorum.judge.ensemble.pool import vote_majority
    from quorum.judge.ensemble.select import FEWEST_LABELLED, VotingRule, apply_rule, select_rule
    from quorum.judge.ensemble.unsupervised import vote_dawid_skene, vote_glad, weigh_by_agreement
    from quorum.judge.ensemble.weighting import collect_labelled_ballots

    ones = dict.fromkeys(answers["run"].unique(maintain_order=True), 1.0)
    if not answers["label"].count():
        return answers.unique("id", keep="first", maintain_order=True), VotingRule("majority", "votes", ones)
    if gold is not None:
        known = answers.join(gold, on="id")
        count = known["id"].n_unique()
        if method == "auto" and 0 < count < FEWEST_LABELLED:
            warnings.append(f"{count} labelled questions are too few to weigh members by ({FEWEST_LABELLED} would do)")
            gold = None
        elif count:
            _of_one_alphabet(known)
    if method == "dawid-skene":
        return vote_dawid_skene(answers), VotingRule("dawid-skene", "votes", ones)
    if method == "glad":
        return vote_glad(answers), VotingRule("glad", "votes", ones)
    if method == "agreement" or (gold is None and method == "auto"):
        election = weigh_by_agreement(answers) if len(ones) > 2 else VotingRule("majority", "votes", ones)
    elif gold is None and method == "majority":
        return vote_majority(answers), VotingRule("majority", "votes", ones)
    elif gold is None:
        raise BadInput(
            f"--method {method!r} needs --gold DEV; without it, majority, agreement, dawid-skene or glad are allowed"
        )
    else:
        from quorum.judge.ensemble.diagnostics import find_worse_than_chance

        ballots = collect_labelled_ballots(
            answers, gold if subjects is None else gold.join(subjects, on="id", how="left")
        )
        election = select_rule(ballots, None if method == "auto" else method)
        for member, share in find_worse_than_chance(ballots):
            warnings.append(f"run {member!r} is right on {share:.1%} of what it read: worse than chance")
        if not election.weights and not election.subject_weights:
            warnings.append("no member is worth a weight: the plain majority stands")
            election = replace(election, method="majority", weights=ones)
    return apply_rule(answers, election, subjects), election


def _of_one_alphabet(known: "pl.DataFrame") -> None:
    """Refuses runs that give none of the labelled questions' answers there: the two speak of different things."""
    from quorum.errors import list_some

    found, wanted = ([*map(repr, known[column].drop_nulls().unique().sort())] for column in ("label", "answer"))
    if not set(found) & set(wanted):
        raise BadInput(
            f"the labelled questions' answers are {list_some(wanted, 8)}, and no run gives one of them: theirs are"
            f" {list_some(found, 8)}"
        )


def _told(
    answers: "pl.DataFrame", election: "VotingRule", warnings: list[str], questions: int, unread: int
) -> dict[str, Any]:
    """What a machine is told; `out_of_fold` and `best_single` are null without labelled questions."""
    return {
        "method": election.method,
        "members": list(election.weights),
        "weights": dict(election.weights),
        "subject_weights": {subject: dict(weights) for subject, weights in election.subject_weights.items()},
        "left_out": [run for run in answers["run"].unique(maintain_order=True) if run not in election.weights],
        "out_of_fold": asdict(election.out_of_fold) | {"n": election.labelled} if election.out_of_fold else None,
        "best_single": asdict(election.best_member) if election.best_member else None,
        "methods": [asdict(standing) for standing in election.standings],
        "questions": questions,
        "unread": unread,
        "warnings": warnings,
    }


def _explained(answers: "pl.DataFrame", election: "VotingRule", id: str) -> list[dict[str, Any]]:
    from quorum.judge.ensemble.select import explain_vote

    rows = explain_vote(answers, election, id).to_dicts()
    if not rows:
        raise BadInput(f"--explain {id!r}: no run has this id")
    return rows


def _print(told: dict[str, Any]) -> None:
    for warning in told["warnings"]:
        print(f"warning: {warning}")
    print(f"{told['method']}: {told['questions']} questions, {len(told['members'])} members, {told['unread']} unread")
    for member, weight in told["weights"].items():
        print(f"  {weight:7.3f}  {member}")
    if told["out_of_fold"]:
        measured, best = told["out_of_fold"], told["best_single"]
        print(f"out of fold {measured['accuracy']:.4f} ± {measured['error']:.4f} (n = {measured['n']})")
        print(f"best member {best['accuracy']:.4f} ± {best['error']:.4f} ({best['name']})")
        for standing in told["methods"]:
            print(f"  {standing['accuracy']:.4f} ± {standing['error']:.4f}  {standing['name']}")
    for row in told.get("explain", []):
        print(f"  {row['label'] or 'unread':6} {row['weight']:.3f} x {row['voice']:.3f}  {row['run']}")


if __name__ == "__main__":
    run_program(main)
