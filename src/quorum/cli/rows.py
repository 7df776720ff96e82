"""`quorum rows`: write training rows in a format that other trainers read."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from quorum.cli.options import AsJson
from quorum.cli.tables import report_line
from quorum.console import DONE, print_json


def rows_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Solved questions, or training rows as .json or .jsonl.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write the rows to: .jsonl or .json.")],
    override: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Overrides, such as rows.target=rationale rows.style=cot."),
    ] = None,
    format: Annotated[
        Literal["prompt", "chat", "alpaca", "explain"],
        typer.Option(
            help="Format: prompt and completion, chat messages, Alpaca, or questions with their explanations."
        ),
    ] = "prompt",
    split: Annotated[
        Path | None, typer.Option(metavar="PARQUET", help="Split of FILE; only its training folds become rows.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Let every question of FILE become a row.")] = False,
    settings: Annotated[
        Path | None,
        typer.Option(metavar="TOML", help="Settings of kernels/train.py, such as [rows], [sampling] and [layout]."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Write training rows in a format that other trainers read.

    Builds rows from solved questions, or converts rows from another format. Rows must come from training folds: name
    the split with --split, or give --all if every question may be trained on.
    """
    from dataclasses import asdict

    from quorum.config import apply_overrides, read_table
    from quorum.train.export import export_rows

    table = read_table(settings) if settings else {}
    table = apply_overrides(table, override or [], str(settings or "arguments"))
    written = export_rows(file, out, format=format, split=split, everything=everything, table=table, report=report_line)
    if as_json:
        print_json(asdict(written))
        return DONE
    report_line(f"{written.out}: {written.rows} rows of format {written.format}, {written.words} words")
    if written.examples:
        report_line(f"{written.examples} examples; {written.reserved} questions are kept out of the rows with them")
    if written.without_rationale:
        report_line(f"{written.without_rationale} questions have no rationale that leads to their answer")
    return DONE
