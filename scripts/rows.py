"""Questions as rows to learn from, in a format that other trainers read; or rows of one format in another.

Rows come from the training folds alone: name the split, or say with --all that every question may be learnt from.
"""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, print_status, run_program
from quorum.errors import BadInput

if TYPE_CHECKING:
    from quorum.data.split import TrainingFolds
    from quorum.train.build_rows import TrainingRows
    from quorum.train.row import TrainingRow


@dataclass(frozen=True)
class Account:
    """What was written."""

    rows: int
    out: str
    format: str
    words: int  # of prompts and completions
    questions: int | None = None  # None where rows were read
    examples: int = 0
    apart: int = 0  # questions kept out of the rows with the examples
    unreasoned: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="exit code: 0 done, 2 bad input")
    parser.add_argument("file", type=Path, help="solved questions, or rows as .json or .jsonl")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="a .jsonl or .json file")
    parser.add_argument(
        "--format",
        choices=("prompt", "chat", "alpaca", "explain"),
        default="prompt",
        help="prompt and completion, chat messages, Alpaca, or the questions with their explanations",
    )
    parser.add_argument("--split", type=Path, metavar="PARQUET", help="from scripts/split.py: its training folds")
    parser.add_argument("--all", action="store_true", help="every question of FILE may be learnt from")
    parser.add_argument("--settings", type=Path, metavar="TOML", help="of kernels/train.py, for rows and sampling")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("override", nargs="*", metavar="key=value", help="rows.target=rationale rows.style=cot …")
    args = parser.parse_intermixed_args()  # settings may stand behind the options

    from quorum.config import apply_overrides, read_table
    from quorum.train.row_files import detect_row_format, read_rows, write_explanations, write_rows
    from quorum.train.settings import TrainSettings

    if detect_row_format(args.file) is not None:
        if args.format == "explain":
            raise BadInput(f"{args.file} holds rows; explanations are written from questions")
        rows = read_rows(args.file)
        write_rows(rows, args.out, args.format)
        return say(args, Account(len(rows), str(args.out), args.format, words_of(rows)))
    table = apply_overrides(
        read_table(args.settings) if args.settings else {}, args.override, str(args.settings or "arguments")
    )
    if old := [name for name in ("lesson", "template") if name in table]:
        raise BadInput(f"setting `{old[0]}` is now called `{TrainSettings.RENAMED[old[0]]}`")
    folds = folds_of(args, table)
    if args.format == "explain":
        solved = [question for question in folds.questions if question.answer is not None]
        write_explanations(solved, args.out)
        words = sum(len(f"{each.text} {each.rationale or ''}".split()) for each in solved)
        return say(args, Account(len(solved), str(args.out), args.format, words, len(folds.questions)))
    taught = taught_by(folds, table)
    write_rows(taught.rows, args.out, args.format)
    told = (len(folds.questions), len(taught.examples), taught.reserved, taught.without_rationale)
    return say(args, Account(len(taught.rows), str(args.out), args.format, words_of(taught.rows), *told))


def folds_of(args: argparse.Namespace, table: dict[str, Any]) -> "TrainingFolds":
    """The questions that may be learnt from."""
    import polars as pl

    from quorum.config import from_table
    from quorum.data.duplicates import cluster_duplicates
    from quorum.data.layout import Layout
    from quorum.data.read import read_records
    from quorum.data.repair import repair_table
    from quorum.data.split import SPLIT, Split, read_split, select_training_folds
    from quorum.train.selection import select_folds
    from quorum.train.settings import SelectionSettings

    if (args.split is None) == (not args.all):
        raise BadInput("name the split with --split, or say with --all that every question may be learnt from")
    layout = from_table(Layout, table.get("layout", {}), "layout")
    questions = repair_table(read_records(args.file, layout)).questions
    if args.split is not None:
        parts = read_split(args.split)
    else:
        frame = {
            "id": [each.id for each in questions],
            "cluster": cluster_duplicates(questions),
            "fold": [1] * len(questions),
        }
        parts = Split(pl.DataFrame(frame, schema=SPLIT).sort("id"))
    return select_folds(
        select_training_folds(parts, questions), from_table(SelectionSettings, table.get("sampling", {}), "sampling")
    )


def taught_by(folds: "TrainingFolds", table: dict[str, Any]) -> "TrainingRows":
    from quorum.config import from_table
    from quorum.train.build_rows import build_rows
    from quorum.train.settings import RowSettings

    return build_rows(folds, from_table(RowSettings, table.get("rows", {}), "rows"))


def words_of(rows: "list[TrainingRow]") -> int:
    texts = [row.completion for row in rows]
    for row in rows:
        content = row.prompt.content
        texts += [content] if isinstance(content, str) else [turn.content for turn in content]
    return sum(len(text.split()) for text in texts)


def say(args: argparse.Namespace, told: Account) -> int:
    if args.json:
        print_json(asdict(told))
        return DONE
    print_status(f"{told.out}: {told.rows} rows of format {told.format}, {told.words} words")
    if told.examples:
        print_status(f"{told.examples} examples; {told.apart} questions are kept out of the rows with them")
    if told.unreasoned:
        print_status(f"{told.unreasoned} questions have no rationale that leads to their answer")
    return DONE


if __name__ == "__main__":
    run_program(main)
