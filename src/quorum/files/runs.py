"""Read the runs of any tool, and right answers, as answers in one canonical form: the only reader of both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import polars as pl

from quorum.ballot import Ballot
from quorum.errors import BadInput, list_some
from quorum.files.answer_columns import read_columns
from quorum.files.answers import ballots_from_answers, check_answers
from quorum.files.canonical import (
    LabelSet,
    refuse_other_alphabets,
    refuse_shifted_indices,
    translate_labels,
    translate_texts,
)
from quorum.files.cells import is_null
from quorum.files.label_style import LabelStyle
from quorum.files.run_tables import RawRun, drop_repeats, read_raw_runs
from quorum.files.solution import Solution, SolvedRow

ReportLine = Callable[[str], None]
_LEAST_TEXTS = 0.5  # of a run's answers must be option texts to be read as such


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """How files of answers are read, where their contents do not say it.

    Attributes:
        column: the column of a table that holds the answers.
        style: how runs write labels; it shows from which number indices count.
        choices: the options of questions by id.
        keep_repeats: keep the place of a label that a ranked cell lists again, for MAP@k.
        report: takes a line on what was set aside.
    """

    column: str | None = None
    style: LabelStyle | None = None
    choices: Mapping[str, Sequence[str]] | None = None
    keep_repeats: bool = False
    report: ReportLine | None = None


def read_runs(paths: Sequence[Path], options: ReadingOptions | None = None) -> pl.DataFrame:
    """Return the answers in all files (see `read_raw_runs`), with runs and ids in the order of the files.

    One run's answers to different questions may be in several files.

    Raises:
        BadInput: a file holds no run, two files answer the same question for the same run, or runs share less than half
            of their questions.
    """
    return read_runs_and_solution(paths, None, options)[0]


def read_runs_and_solution(
    paths: Sequence[Path], solution: Solution | None, options: ReadingOptions | None = None
) -> tuple[pl.DataFrame, list[SolvedRow]]:
    """Return the answers in all files and the right answers, both with the same labels.

    Raises:
        BadInput: as `read_runs`; or a run's labels cannot be compared with the right answers.
    """
    options = options or ReadingOptions()
    raws = read_raw_runs(paths, options.column, options.report)
    if not raws:
        raise BadInput(
            f"{list_some([str(path) for path in paths])}: no answers; "
            "expected a run's answers.parquet, or a table of ids and answers"
        )
    choices = {**(solution.choices if solution else {}), **(options.choices or {})}
    frames, rows = _translate(raws, solution, choices, options)
    if not options.keep_repeats:
        frames = [drop_repeats(frame) for frame in frames]
    runs = _merge_files([(raw.path, frame) for raw, frame in zip(raws, frames, strict=True)])
    _check_same_questions(runs)
    if solution:
        _check_alphabets(runs, rows, solution)
    else:
        _check_index_bases(runs)
    return pl.concat(runs), rows


def read_ballots(
    path: Path, solution: Solution | None = None, options: ReadingOptions | None = None
) -> tuple[dict[str, Ballot], list[SolvedRow]]:
    """Return the ballots of the one run in a file by question id, and the right answers with the same labels.

    Raises:
        BadInput: as `read_runs_and_solution`, or the file holds several runs.
    """
    options = replace(options or ReadingOptions(), keep_repeats=True)
    answers, rows = read_runs_and_solution([path], solution, options)
    if len(names := answers["run"].unique(maintain_order=True).to_list()) != 1:
        raise BadInput(
            f"{path}: {len(names)} runs ({list_some(names)}); one is expected; --column names one of a table"
        )
    return ballots_from_answers(answers), rows


def read_labels(path: Path, column: str) -> dict[str, str]:
    """Return the labels in a column of a table by id; ids with an empty cell are left out.

    Args:
        column: the name of the column in lower case; the file may write it in any case.

    Raises:
        BadInput: there is no such column, or an id is empty or occurs twice.
    """
    ids, columns = read_columns(path)
    cells = next((cells for name, cells in columns.items() if name.strip().casefold() == column), None)
    if cells is None:
        raise BadInput(f"{path}: no column {column!r} beside the ids; the others are {', '.join(columns) or 'none'}")
    return {id: cell.strip() for id, cell in zip(ids, cells, strict=True) if not is_null(cell)}


def _translate(
    raws: Sequence[RawRun], solution: Solution | None, choices: Mapping[str, Sequence[str]], options: ReadingOptions
) -> tuple[list[pl.DataFrame], list[SolvedRow]]:
    """Return the runs and the solution in canonical form."""
    widest = max(map(len, choices.values()), default=0)
    sets = [LabelSet(where=str(raw.path), given=frozenset(raw.labels), canonical=raw.canonical) for raw in raws]
    gold: list[LabelSet] = []
    if solution:
        given = frozenset(row.answer for row in solution.rows if row.answer)
        gold = [LabelSet(where=str(solution.path), given=given, canonical=solution.canonical and bool(choices))]
    raws = [_choose_reading(raw, gold, sets) for raw in raws]
    sets = [LabelSet(where=str(raw.path), given=frozenset(raw.labels), canonical=raw.canonical) for raw in raws]
    frames = []
    for raw, own in zip(raws, sets, strict=True):
        frame = raw.frame
        if choices and own.kind not in ("letters", "nothing"):
            frame, texts = _translate_texts(raw, choices)
            if texts >= _LEAST_TEXTS:
                frames.append(check_answers(frame, str(raw.path)))
                continue
            frame = raw.frame
        mapping = translate_labels(own, [*gold, *sets], widest, options.style)
        frames.append(check_answers(_replace_labels(frame, mapping), str(raw.path)))
    if not solution:
        return frames, []
    return frames, _translate_solution(solution, gold[0], sets, choices, options)


def _choose_reading(raw: RawRun, gold: Sequence[LabelSet], runs: Sequence[LabelSet]) -> RawRun:
    """Return the run with numbers from 0 to 1 as labels, if the right answers, or other runs' answers, are numbers."""
    if raw.numbers is None:
        return raw
    kinds = {one.kind for one in gold} or {one.kind for one in runs}
    bits = any(one.given <= {"0", "1", "0.0", "1.0"} for one in gold)
    if kinds & {"numbers", "indices"} and not bits:
        return replace(raw, frame=raw.numbers)
    return raw


def _translate_solution(
    solution: Solution,
    own: LabelSet,
    others: Sequence[LabelSet],
    choices: Mapping[str, Sequence[str]],
    options: ReadingOptions,
) -> list[SolvedRow]:
    if solution.canonical:
        return solution.rows
    if choices and own.kind in ("texts", "words", "numbers"):
        found = translate_texts({row.id: [row.answer] for row in solution.rows}, choices)
        if len(found) >= _LEAST_TEXTS * len(solution.rows):
            return [replace(row, answer=found.get((row.id, row.answer), row.answer)) for row in solution.rows]
    widest = max(map(len, choices.values()), default=0)
    try:
        mapping = translate_labels(own, [own, *others], widest)
    except BadInput:  # its own range does not show from which number it counts
        if options.style is None:
            raise
        mapping = translate_labels(own, [own, *others], widest, options.style)
    return [replace(row, answer=mapping.get(row.answer, row.answer)) for row in solution.rows]


def _translate_texts(raw: RawRun, choices: Mapping[str, Sequence[str]]) -> tuple[pl.DataFrame, float]:
    """Return a run whose option texts are labels, and the share of its labels that are option texts."""
    read = raw.frame.filter(pl.col("label").is_not_null() & pl.col("id").is_in(list(choices)))
    by_id: dict[str, list[str]] = {}
    for id, label in read.select("id", "label").iter_rows():
        by_id.setdefault(id, []).append(label)
    found = translate_texts(by_id, choices)
    if not found:
        return raw.frame, 0.0
    pairs = pl.DataFrame(
        [(id, text, label) for (id, text), label in found.items()],
        schema={"id": pl.String, "label": pl.String, "own": pl.String},
        orient="row",
    )
    frame = raw.frame.join(pairs, on=["id", "label"], how="left", maintain_order="left")
    return frame.with_columns(pl.coalesce("own", "label").alias("label")).drop("own"), len(found) / max(1, len(read))


def _replace_labels(frame: pl.DataFrame, mapping: Mapping[str, str]) -> pl.DataFrame:
    changed = {label: own for label, own in mapping.items() if label != own}
    return frame.with_columns(pl.col("label").replace(changed)) if changed else frame


def _merge_files(found: Sequence[tuple[Path, pl.DataFrame]]) -> list[pl.DataFrame]:
    """Return one frame per run; refuse a run whose answers to a question are in two files, which would count twice."""
    by_name: dict[str, list[tuple[Path, pl.DataFrame]]] = {}
    for path, run in found:
        by_name.setdefault(run["run"][0], []).append((path, run))
    for name, parts in by_name.items():
        for (path, one), (other_path, other) in combinations(parts, 2):
            if len(one.join(other, on="id", how="semi")):
                raise BadInput(
                    f"{path} and {other_path}: both hold answers of run {name}, which would vote twice; "
                    "another run needs another name (its setting `run`, or its column)"
                )
    return [pl.concat([run for _, run in parts]) for parts in by_name.values()]


def _check_same_questions(runs: Sequence[pl.DataFrame]) -> None:
    """Refuse runs that share few questions: they answer different files. A run may lack some; they are unread."""
    first = runs[0].select("id").unique()
    for run in runs[1:]:
        own = run.select("id").unique()
        shared = len(own.join(first, on="id", how="semi"))
        if shared * 2 < max(len(own), len(first)):
            names = f"runs {runs[0]['run'][0]!r} and {run['run'][0]!r}"
            alone = pl.concat([own.join(first, on="id", how="anti"), first.join(own, on="id", how="anti")])["id"].sort()
            raise BadInput(
                f"{names} share {shared} of {shared + len(alone)} questions; only one of them has"
                f" {list_some([repr(id) for id in alone.head(5)])}"
            )


def _check_alphabets(runs: Sequence[pl.DataFrame], rows: Sequence[SolvedRow], solution: Solution) -> None:
    right = {row.answer for row in rows if row.answer}
    for run in runs:
        given = set(run["label"].drop_nulls().unique().to_list())
        refuse_shifted_indices(run["run"][0], given, right, str(solution.path))
        refuse_other_alphabets(run["run"][0], given, right, str(solution.path))


def _check_index_bases(runs: Sequence[pl.DataFrame]) -> None:
    """Refuse runs of which one counts options from 0 and another from 1."""
    given = [set(run["label"].drop_nulls().unique().to_list()) for run in runs]
    for run, labels in zip(runs[1:], given[1:], strict=True):
        refuse_shifted_indices(run["run"][0], labels, given[0], f"run {runs[0]['run'][0]!r}")
