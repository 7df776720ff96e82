"""Read, submit, score and compare from Python, as in a notebook.

python examples/notebook_style.py [WORKSPACE]
"""

import sys
from pathlib import Path

import quorum
from quorum.data.read import write_questions
from quorum.files.cells import write_cells

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "data" / "sample"
MEMBERS = [REPOSITORY / "kernels" / "neighbour.toml", REPOSITORY / "kernels" / "encoder.toml"]


def make_small_competition(folder: Path) -> Path:
    """Write a competition of 240 training and 60 test questions of the sample, and return its folder."""
    train, test = quorum.read(SAMPLE / "train.csv")[:240], quorum.read(SAMPLE / "test.csv")[:60]
    folder.mkdir(parents=True, exist_ok=True)
    write_questions(train, folder / "train.parquet")
    write_questions(test, folder / "test.parquet")
    write_cells(folder / "sample_submission.csv", ("id", "answer"), [(question.id, "A") for question in test])
    hidden = (SAMPLE / "hidden" / "solution.csv").read_text().splitlines()
    asked = {question.id for question in test}
    solution = [hidden[0], *(line for line in hidden[1:] if line.split(",")[0] in asked)]
    (folder / "solution.csv").write_text("\n".join(solution) + "\n")
    return folder


def main(workspace: Path) -> None:
    """Submit two members and their vote, score them on the hidden answers, and compare the members."""
    folder = make_small_competition(workspace / "small")
    result = quorum.submit(folder, MEMBERS, workspace=workspace, report=print)
    for entry in result.entries:
        held_out = entry.held_out
        hidden = quorum.score(workspace / "submissions" / entry.submission, folder / "solution.csv").overall
        print(f"{entry.name}: held out {held_out.value:.3f} (n = {held_out.n}), hidden {hidden.value:.3f}")

    gold = workspace / "gold.csv"
    write_cells(gold, ("id", "answer"), [(each.id, each.answer or "") for each in result.prepared.held_out])
    runs = [run.folder.held_out for run in result.runs if run.name in ("neighbour", "encoder")]
    (pair,) = quorum.compare(runs, gold).pairs
    print(f"{pair.first} - {pair.second}: {pair.difference:+.3f} ± {pair.error:.3f}, {pair.test} p = {pair.p:.2g}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/notebook_style"))
