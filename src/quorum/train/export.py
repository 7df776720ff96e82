"""Write training rows in a format that other trainers read, or convert rows from one format into another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from quorum.config import from_table
from quorum.data.duplicates import cluster_duplicates
from quorum.data.layout import Layout
from quorum.data.read import read_records
from quorum.data.repair import repair_table
from quorum.data.split import SPLIT, Split, TrainingFolds, read_split, select_training_folds
from quorum.errors import BadInput, list_some
from quorum.question import Question
from quorum.train.build_rows import build_rows, read_teaching
from quorum.train.row import TrainingRow
from quorum.train.row_files import detect_row_format, read_rows, write_explanations, write_rows
from quorum.train.selection import select_folds
from quorum.train.settings import RowSettings, SelectionSettings, TrainSettings
from quorum.train.teacher_settings import TeacherSettings

ExportFormat = Literal["prompt", "chat", "alpaca", "explain"]


@dataclass(frozen=True, kw_only=True)
class ExportedRows:
    """What was written. `questions` is None if rows were converted; the last three count questions."""

    rows: int
    out: str
    format: str
    words: int  # of prompts and completions
    questions: int | None = None
    examples: int = 0
    reserved: int = 0  # kept out of the rows with the examples
    without_rationale: int = 0  # without a rationale that leads to their answer


def export_rows(
    file: Path,
    out: Path,
    format: ExportFormat,
    split: Path | None,
    everything: bool,
    table: Mapping[str, Any],
    report: Callable[[str], None] = lambda text: None,
) -> ExportedRows:
    """Write the rows of a file of solved questions, or those of a file of rows, to `out`.

    Args:
        split: a split of the questions; only its training folds become rows.
        everything: every question may become a row; either this or `split` is needed.
        table: settings of kernels/train.py; its tables rows, teacher, sampling and layout are used.
        report: called with lines for the log.

    Raises:
        BadInput: neither or both of `split` and `everything`, or a setting is wrong.
    """
    if old := [name for name in ("lesson", "template") if name in table]:
        raise BadInput(f"setting `{old[0]}` is now called `{TrainSettings.RENAMED[old[0]]}`")
    if detect_row_format(file) is not None:
        return _convert_rows(file, out, format)
    folds = _select_questions(file, split, everything, table, report)
    if format == "explain":
        solved = [question for question in folds.questions if question.answer is not None]
        write_explanations(solved, out)
        words = sum(len(f"{each.text} {each.rationale or ''}".split()) for each in solved)
        return ExportedRows(rows=len(solved), out=str(out), format=format, words=words, questions=len(folds.questions))
    settings = from_table(RowSettings, table.get("rows", {}), "rows")
    teacher = from_table(TeacherSettings, table.get("teacher", {}), "teacher")
    rows = build_rows(folds, settings, teaching=read_teaching(folds, settings, teacher, report))
    write_rows(rows.rows, out, format)
    return ExportedRows(
        rows=len(rows.rows),
        out=str(out),
        format=format,
        words=_count_words(rows.rows),
        questions=len(folds.questions),
        examples=len(rows.examples),
        reserved=rows.reserved,
        without_rationale=rows.without_rationale,
    )


def _convert_rows(file: Path, out: Path, format: ExportFormat) -> ExportedRows:
    if format == "explain":
        raise BadInput(f"{file} holds rows; explanations are written from questions")
    rows = read_rows(file)
    write_rows(rows, out, format)
    return ExportedRows(rows=len(rows), out=str(out), format=format, words=_count_words(rows))


def _select_questions(
    file: Path, split: Path | None, everything: bool, table: Mapping[str, Any], report: Callable[[str], None]
) -> TrainingFolds:
    if (split is None) == (not everything):
        raise BadInput("name the split with --split, or give --all if every question may be trained on")
    repaired = repair_table(read_records(file, from_table(Layout, table.get("layout", {}), "layout")))
    questions, dropped = repaired.questions, repaired.dropped
    if dropped:
        shown = list_some([f"row {remark.row} ({remark.id}): {remark.what}" for remark in dropped], 3)
        report(f"{file}: {len(dropped)} of {len(dropped) + len(questions)} rows left out: {shown}")
    if unsolved := sum(question.answer is None for question in questions):
        report(f"{file}: {unsolved} of {len(questions)} questions have no answer and become no rows")
    parts = read_split(split) if split is not None else _make_single_fold(questions)
    folds = select_training_folds(parts, questions)
    return select_folds(folds, from_table(SelectionSettings, table.get("sampling", {}), "sampling"))


def _make_single_fold(questions: Sequence[Question]) -> Split:
    frame = {
        "id": [each.id for each in questions],
        "cluster": cluster_duplicates(questions),
        "fold": [1] * len(questions),
    }
    return Split(pl.DataFrame(frame, schema=SPLIT).sort("id"))


def _count_words(rows: Sequence[TrainingRow]) -> int:
    texts = [row.completion for row in rows]
    for row in rows:
        content = row.prompt.content
        texts += [content] if isinstance(content, str) else [turn.content for turn in content]
    return sum(len(text.split()) for text in texts)
