"""What each way of voting is worth on real runs: fitted on a random half, scored on the other, many times.

python benchmarks/vote_methods.py DATA [--labelled 500] [--repeats 20] [--json]

DATA is a folder with questions.jsonl (question_id, answer, category) and model_texts.jsonl.xz (model, question_id,
pred): 28 models' stored letters for 1,000 questions of MMLU-Pro. Every repeat draws which questions are labelled; all
methods are fitted on these and scored on all others. Errors of differences are those of the mean over repeats, which
share questions: they say how far the draw matters, not how far another thousand questions would.
"""

import argparse
import json
import lzma
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, progress_bar, run_program

if TYPE_CHECKING:
    import polars as pl

BASELINES = ("best member", "majority", "top 3")
WEIGHTED = ("weighted", "weighted top 3", "weighted top 5", "greedy", "stack", "blend")
METHODS = ("auto", *BASELINES, *WEIGHTED)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--labelled", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--without", nargs="*", default=[], metavar="MODEL", help="models to leave out")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    answers, gold = read_pool(given.data, set(given.without))
    with progress_bar("repeats") as progress:
        rights, chosen, below = repeated(answers, gold, given.labelled, given.repeats, progress)
    rows = [row_of(name, rights) for name in rights]
    told = {
        "members": answers["run"].n_unique(),
        "labelled": given.labelled,
        "scored": len(gold) - given.labelled,
        "repeats": given.repeats,
        "auto_chose": dict(chosen),
        "auto_significantly_below_best_member": below,
        "methods": rows,
    }
    if given.json:
        print_json(told)
        return DONE
    print(f"{told['members']} members; fitted on {told['labelled']} questions, scored on {told['scored']}")
    print(f"auto chose {told['auto_chose']} in {given.repeats} repeats, {below} significantly below the best member")
    for row in rows:
        gains = "  ".join(
            f"{name} {row[f'minus {name}']:+.4f} ± {row[f'minus {name} error']:.4f}" for name in BASELINES
        )
        print(f"{row['method']:24} {row['accuracy']:.4f}   minus {gains}")
    return DONE


def read_pool(folder: Path, without: set[str]) -> tuple["pl.DataFrame", "pl.DataFrame"]:
    """The models' answers, and id, answer, subject of the questions."""
    import polars as pl

    from quorum.files.answers import ANSWERS

    questions = [json.loads(line) for line in (folder / "questions.jsonl").open(encoding="utf-8")]
    legal = {question["question_id"]: len(question["options"]) for question in questions}
    rows = []
    with lzma.open(folder / "model_texts.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            label, id = line["pred"], line["question_id"]
            if line["model"] not in without:
                read = bool(label) and ord(label) - ord("A") < legal[id]
                rows.append((line["model"], str(id), label if read else None, float(read)))
    gold = [(str(q["question_id"]), q["answer"], q["category"]) for q in questions]
    return (
        pl.DataFrame(rows, schema=ANSWERS, orient="row"),
        pl.DataFrame(gold, schema=["id", "answer", "subject"], orient="row"),
    )


def repeated(
    answers: "pl.DataFrame", gold: "pl.DataFrame", labelled: int, repeats: int, progress: Any
) -> tuple[dict[str, list[float]], Counter[str], int]:
    """Method -> accuracy a repeat; what auto chose; how often it was below the best member by 1.96 paired errors."""
    from quorum.judge.poll import GoldQuestions, poll

    blind = {
        f"{method} (no labels)": poll(answers, method=method).ballots for method in ("agreement", "dawid-skene", "glad")
    }
    subjects = dict(gold.select("id", "subject").iter_rows())
    rights: dict[str, list[float]] = {}
    chosen, below = Counter[str](), 0
    for repeat in range(repeats):
        mixed = gold.sample(fraction=1.0, shuffle=True, seed=repeat)
        known = GoldQuestions(answers=dict(mixed.head(labelled).select("id", "answer").iter_rows()))
        rest = mixed.tail(-labelled)
        polls = {method: poll(answers, known, method=method) for method in METHODS}
        polls["blend by subject"] = poll(answers, known, method="blend by subject", subjects=subjects)
        votes = {name: found.ballots for name, found in polls.items()} | blind
        hits = {name: hits_of(vote, rest) for name, vote in votes.items()}
        for name, right in hits.items():
            rights.setdefault(name, []).append(float(right.mean()))
        chosen[polls["auto"].rule.method] += 1
        gain = hits["auto"] - hits["best member"]
        below += bool(gain.mean() < -1.96 * gain.std(ddof=1) / len(gain) ** 0.5)
        progress(repeat + 1, repeats)
    return rights, chosen, below


def hits_of(votes: "pl.DataFrame", gold: "pl.DataFrame") -> Any:
    """1.0 where the vote is right, else 0.0, in the order of `gold`."""
    import polars as pl

    first = votes.unique("id", keep="first", maintain_order=True)
    both = gold.join(first, on="id", how="left", maintain_order="left")
    return both.select((pl.col("label") == pl.col("answer")).fill_null(False).cast(pl.Float64)).to_series().to_numpy()


def row_of(name: str, rights: dict[str, list[float]]) -> dict[str, Any]:
    """Mean accuracy over repeats, and the paired difference from each baseline with its standard error."""
    import numpy as np

    own = np.array(rights[name])
    row: dict[str, Any] = {"method": name, "accuracy": round(float(own.mean()), 4)}
    for baseline in BASELINES:
        gain = own - np.array(rights[baseline])
        row[f"minus {baseline}"] = round(float(gain.mean()), 4)
        row[f"minus {baseline} error"] = round(float(gain.std(ddof=1) / len(gain) ** 0.5), 4)
    return row


if __name__ == "__main__":
    run_program(main)
