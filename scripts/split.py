"""Draws a held-out fold and training folds; near-duplicates and groups stay together."""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.console import DONE, print_json, progress_bar, run_program
from quorum.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorum.data.split import Split
    from quorum.question import Question


@dataclass(frozen=True)
class Account:
    """What a split is like."""

    questions: int
    clusters: int
    in_clusters: int  # questions that have a near-duplicate or a group
    biggest_cluster: list[str]  # its ids
    folds: dict[int, int]  # fold -> questions; 0 is held out
    labels: dict[int, dict[str, float]]  # fold -> label -> share
    random_leak: float  # held-out questions with a twin in training, had as many been drawn at random (expected)
    fingerprint: str
    out: str


def account(split: "Split", questions: "Sequence[Question]", out: Path) -> Account:
    from quorum.data.split import estimate_random_leak
    from quorum.question import label_prior

    clusters = split.frame.group_by("cluster").agg("id").sort("cluster")["id"].to_list()
    parts = {
        fold: [question for question in questions if split.fold_of[question.id] == fold] for fold in [0, *split.folds]
    }
    return Account(
        questions=len(questions),
        clusters=len(clusters),
        in_clusters=sum(len(ids) for ids in clusters if len(ids) > 1),
        biggest_cluster=max(clusters, key=len),
        folds={fold: len(part) for fold, part in parts.items()},
        labels={fold: label_prior(part) for fold, part in parts.items()},
        random_leak=estimate_random_leak(split),
        fingerprint=split.fingerprint,
        out=str(out),
    )


def write_parts(split: "Split", questions: "Sequence[Question]", out: Path) -> None:
    """What may be learnt from, what is asked and its answers go to files of their own."""
    import polars as pl

    from quorum.data.read import write_questions
    from quorum.data.split import select_held_out, select_training_folds, strip_answers, write_split
    from quorum.disk import replace_file

    held = select_held_out(split, questions)
    write_questions(select_training_folds(split, questions).questions, out / "train.parquet")
    write_questions(strip_answers(held), out / "heldout.parquet")
    with replace_file(out / "heldout_solution.csv") as part:
        pl.DataFrame([(question.id, question.answer) for question in held], ["id", "answer"], orient="row").write_csv(
            part
        )
    write_split(split, out / "split.parquet")


def show(told: Account) -> None:
    from rich.console import Console
    from rich.table import Table

    labels = sorted({label for shares in told.labels.values() for label in shares})
    table = Table("fold", "questions", *labels, title=f"{told.questions} questions in {told.clusters} clusters")
    for fold, count in told.folds.items():
        shares = (f"{told.labels[fold].get(label, 0):.1%}" for label in labels)
        table.add_row(str(fold) if fold else "held out", str(count), *shares)
    console = Console()
    console.print(table)
    biggest = ", ".join(told.biggest_cluster[:5])
    lines = [
        f"{told.in_clusters} questions ({told.in_clusters / told.questions:.1%}) have a near-duplicate or a group; "
        f"the biggest cluster has {len(told.biggest_cluster)}: {biggest}",
        f"a random held-out fold would share {told.random_leak:.0f} of its {told.folds[0]} questions with training "
        f"({told.random_leak / told.folds[0]:.1%}); this one shares none of these",
        f"{told.out}/: train.parquet, heldout.parquet (no answers), heldout_solution.csv, split.parquet",
        f"fingerprint {told.fingerprint}",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="solved questions: .csv, .tsv, .json, .jsonl or .parquet")
    parser.add_argument("--held-out", type=float, default=0.25, help="share to hold out (default %(default)s)")
    parser.add_argument("--folds", type=int, default=5, help="training folds over the rest (default %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="another seed, another split (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("data/split"), metavar="FOLDER", help="default %(default)s")
    parser.add_argument("--layout", type=Path, metavar="TOML", help="which column is what, where it can not be found")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    given = parser.parse_args()

    from quorum.config import read_config
    from quorum.data.layout import Layout
    from quorum.data.read import read_questions
    from quorum.data.split import split_questions

    questions = read_questions(given.file, read_config(Layout, given.layout) if given.layout else None)
    if all(question.answer is None for question in questions):
        raise BadInput(f"{given.file}: none of its {len(questions)} questions has an answer, so none can be held out")
    with progress_bar("looking for near-duplicates") as progress:
        drawn = split_questions(questions, given.held_out, given.folds, given.seed, progress=progress)
    write_parts(drawn, questions, given.out)
    told = account(drawn, questions, given.out)
    if given.json:
        print_json(asdict(told))
    else:
        show(told)
    return DONE


if __name__ == "__main__":
    run_program(main)
