"""Language models on the whole ladder of real files: each stage's gain, with Holm's correction over all of them.

python benchmarks/ladder_models.py FOLDER --model NAME=FOLDER[,KEY=VALUE…] … --work FOLDER [--files ARC-Easy BoolQ …]

FOLDER holds arc/, mmlu_csv/, boolq/ … with the files as their authors published them; of each, n questions are drawn.
"sample" is the competition in data/sample. KEY=VALUE are settings of kernels/infer.py, for example
prompt.style="option". Every stage of `quorum ladder` that applies to the model is tried; the adapter is trained with
--train. What is finished is kept in --work and reused. The last lines are the table of all rungs: p is the paired
test's, and "Holm, all" corrects it over all files, models and stages of the table.
"""

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoder_real_files import FILES, read_all
from folds import SAMPLE, write_competition

from quorum.console import DONE, print_status, run_program

if TYPE_CHECKING:
    from quorum.competition.ladder import Ladder

DEFAULT = [SAMPLE, "ARC-Easy", "MMLU (57 files)", "BoolQ"]
HEADER = "| file | model | stage | n | value | gain | 95 % | only with : only without | p | Holm, all | kept |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", action="append", required=True, metavar="NAME=FOLDER[,KEY=VALUE…]")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--files", nargs="+", default=DEFAULT, help=f"of {SAMPLE}, {', '.join(FILES)}")
    parser.add_argument(
        "--n", type=int, default=1600, help="questions of a file, half of them a test that is not asked"
    )
    parser.add_argument("--held-out", type=float, default=0.125, help="share of the labelled questions")
    parser.add_argument("--train", type=Path, action="append", default=[], help="settings of kernels/train.py")
    parser.add_argument("--votes", type=int, default=3)
    parser.add_argument("--reply-tokens", type=int, default=64)
    parser.add_argument("--rehearse", type=int, default=60)
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()

    rows: list[dict[str, Any]] = []
    for file in args.files:
        folder = Path("data/sample")
        if file != SAMPLE:
            folder = args.work / "files" / file.lower().split(" ")[0]
            write_competition(read_all(args.folder, FILES[file]), folder, args.n, args.seed)
        for model in args.model:
            name, _, settings = model.partition("=")
            member = write_member(name, settings, args.work / "members")
            rows += list_rows(file, name, climb(folder, member, args))
    print_table(rows)
    return DONE


def write_member(name: str, settings: str, folder: Path) -> Path:
    """Write the member's TOML: the model's folder, then overrides after commas."""
    from quorum.config import apply_overrides, write_table

    model, *overrides = settings.split(",")
    table = {
        "run": name,
        "questions": ["data/sample/test.csv"],
        "sample": "data/sample/sample_submission.csv",
        "out": f"runs/{name}",
        "prompt": {"style": "letter"},
        "backend": {"name": "transformers", "model": model, "method": "letter"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    write_table(apply_overrides(table, overrides, name), path)
    return path


def climb(folder: Path, member: Path, args: argparse.Namespace) -> "Ladder":
    """Run the whole ladder without cross-fitting: the table compares single stages."""
    from quorum.competition.climb_ladder import LadderPlan, choose_stages, run_ladder
    from quorum.competition.folder import find_competition
    from quorum.competition.prepare import prepare_competition
    from quorum.competition.stages import StageOptions
    from quorum.competition.workspace import Workspace

    workspace = Workspace(args.work / "runs")
    prepared = prepare_competition(find_competition(folder), workspace, args.held_out, args.seed, print_status)
    options = StageOptions(rehearse=args.rehearse, votes=args.votes, reply_tokens=args.reply_tokens)
    stages = choose_stages(prepared, member, options, trainings=args.train)
    ladder = run_ladder(prepared, LadderPlan(member=member, stages=stages, folds=0), print_status)
    for stage, reason in ladder.skipped.items():
        print_status(f"{folder.name}, {member.stem}: {stage} not tried: {reason}")
    return ladder


def list_rows(file: str, model: str, ladder: "Ladder") -> list[dict[str, Any]]:
    """Return a row per rung of one ladder."""
    rows = []
    for rung in ladder.rungs:
        row = {"file": file, "model": model, "stage": rung.stage, "n": ladder.n, "value": rung.value, "p": rung.p}
        if pair := rung.difference:
            row |= {"gain": pair.difference, "low": pair.low, "high": pair.high, "kept": rung.kept}
            row |= {"with": pair.only_first, "without": pair.only_second}
        rows.append(row)
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print all rungs, with Holm's p over all of them."""
    from quorum.evaluation.compare import adjust_by_holm

    tested = [row for row in rows if row["p"] is not None]
    for row, adjusted in zip(tested, adjust_by_holm([row["p"] for row in tested]), strict=True):
        row["adjusted"] = adjusted
    print(HEADER)
    print("|---" * (HEADER.count("|") - 1) + "|")
    for row in rows:
        cells = [row["file"], row["model"], row["stage"], str(row["n"]), f"{row['value']:.3f}", *[""] * 6]
        with contextlib.suppress(KeyError):  # the base has no gain
            interval = f"{row['low']:+.3f} to {row['high']:+.3f}"
            counts = f"{row['with']} : {row['without']}"
            kept = "yes" if row["kept"] else "no"
            cells[5:] = [f"{row['gain']:+.3f}", interval, counts, f"{row['p']:.2g}", f"{row['adjusted']:.2g}", kept]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    run_program(main)
