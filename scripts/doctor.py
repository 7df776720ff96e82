"""Says what is wrong with a file of questions, and on request writes a clean one."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.console import DONE, FOUND, print_json, progress_bar, run_program

if TYPE_CHECKING:
    from rich.console import Console

    from quorum.data.doctor import Report
    from quorum.data.repair import RepairedTable


def show_report(report: "Report", places: int, console: "Console") -> None:
    """The findings as a table, errors first, then what the file is like."""
    from rich.markup import escape
    from rich.table import Table

    colours = {"error": "red", "warning": "yellow", "note": "cyan"}
    like = report.statistics
    console.print(escape(f"{report.path}: {like.rows} rows, {report.errors} errors"), soft_wrap=True)
    table = Table()
    table.add_column("severity")
    table.add_column("count", justify="right")
    table.add_column("what")
    table.add_column("rows (id): found", overflow="fold")
    for finding in report.findings:
        shown = [f"{place.row} ({place.id}): {place.what}" for place in finding.places[:places]]
        more = finding.count - len(shown)
        groups = f" ({finding.groups} groups)" if finding.groups is not None else ""
        table.add_row(
            f"[{colours[finding.severity]}]{finding.severity}[/]",
            str(finding.count),
            f"{finding.what}{groups}",
            escape("\n".join([*shown, *([f"and {more} more"] if more > 0 else [])])),
        )
    if report.findings:
        console.print(table)
    if like.letter_prior:
        prior = ", ".join(f"{label} {share:.3f}" for label, share in like.letter_prior.items())
        console.print(f"letter prior over {like.answered} answers: {prior}", soft_wrap=True)
    console.print("choices a question: " + ", ".join(f"{size}: {count}" for size, count in like.choices.items()))
    for what, spread in (("question", like.text_length), ("choice", like.choice_length)):
        console.print(
            f"characters a {what}: {spread.least} to {spread.most}, "
            f"middle {spread.median}, 95 % up to {spread.most_of_95}"
        )


def show_repair(repair: "RepairedTable", out: Path, places: int, console: "Console") -> None:
    """What was written, changed and left out."""
    from rich.markup import escape

    console.print(
        escape(
            f"{out}: {len(repair.questions)} questions; {len(repair.changes)} changes, {len(repair.dropped)} rows out"
        )
    )
    for caption, told in (("changed", repair.changes), ("left out", repair.dropped)):
        for place in told[:places]:
            console.print(escape(f"  {caption}: row {place.row} ({place.id}): {place.what}"))
        if len(told) > places:
            console.print(f"  {caption}: and {len(told) - places} more; --json lists them all")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="questions: .csv, .tsv, .json, .jsonl or .parquet")
    parser.add_argument("--train", type=Path, metavar="FILE", help="also find rows of FILE in this train file")
    parser.add_argument("--repair", type=Path, metavar="OUT", help="write clean questions to OUT (.csv or .parquet)")
    parser.add_argument("--layout", type=Path, metavar="TOML", help="which column is what, where it can not be found")
    parser.add_argument("--places", type=int, default=5, metavar="N", help="rows shown a finding (default 5)")
    parser.add_argument("--json", action="store_true", help="one JSON document with every row instead of a table")
    given = parser.parse_args()

    from dataclasses import asdict

    from quorum.config import read_config
    from quorum.data.doctor import examine
    from quorum.data.layout import Layout
    from quorum.data.read import read_records, write_questions
    from quorum.data.repair import repair_table

    layout = read_config(Layout, given.layout) if given.layout else None
    table = read_records(given.file, layout)
    train = read_records(given.train, layout) if given.train else None
    with progress_bar("comparing with train") as progress:
        report = examine(table, train, progress if train else None)
    repair = repair_table(table) if given.repair else None
    if repair is not None:
        write_questions(repair.questions, given.repair)
    if given.json:
        document = asdict(report) | {"path": str(report.path), "errors": report.errors}
        if repair is not None:
            document["repair"] = {
                "out": str(given.repair),
                "questions": len(repair.questions),
                "changes": [asdict(place) for place in repair.changes],
                "dropped": [asdict(place) for place in repair.dropped],
            }
        print_json(document)
    else:
        from rich.console import Console

        console = Console()
        show_report(report, given.places, console)
        if repair is not None:
            show_repair(repair, given.repair, given.places, console)
    return FOUND if report.errors and repair is None else DONE


if __name__ == "__main__":
    run_program(main)
