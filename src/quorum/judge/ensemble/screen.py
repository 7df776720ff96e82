"""Check the runs of a vote: copied runs lose their vote, impossible labels their weight, the rest is reported."""

from collections.abc import Mapping, Sequence

import polars as pl

from quorum.errors import BadInput, list_some
from quorum.judge.ensemble.diagnostics import find_copied_runs, find_foreign_alphabets, find_near_copies

Labels = Mapping[str, Sequence[str]]  # the labels of each question by id; empty, or without the id: not known


def screen_runs(
    answers: pl.DataFrame, labelled: pl.DataFrame | None, labels: Labels, gold_labels: Labels
) -> tuple[pl.DataFrame, pl.DataFrame | None, list[str]]:
    """Return the answers to vote on, those to the labelled questions, and warnings.

    Args:
        answers: the runs' answers to the questions that are voted on.
        labelled: the same runs' answers to labelled questions, where these are not in `answers`.

    Raises:
        BadInput: no run has answers to both.
    """
    frames = [answers] if labelled is None else [answers, labelled]
    copies = find_copied_runs(frames)
    warnings = [f"run {copy!r} is a copy of {original!r} and has no vote" for copy, original in copies.items()]
    frames = [frame.filter(~pl.col("run").is_in(list(copies))) for frame in frames]
    warnings += _describe_pairs(frames)
    warnings += _describe_gaps(frames[0], "questions")
    if labelled is not None:
        frames[1], lost = _match_runs(frames[0], frames[1])
        warnings += [*lost, *_describe_gaps(frames[1], "labelled questions")]
    for number, known in enumerate([labels, gold_labels][: len(frames)]):
        frames[number], foreign = _void_foreign_labels(frames[number], known)
        warnings += foreign
    return frames[0], frames[1] if labelled is not None else None, warnings


def _describe_pairs(frames: Sequence[pl.DataFrame]) -> list[str]:
    """Warn of runs that nearly agree with another, or share no label with any."""
    together = frames[0]
    if len(frames) > 1:  # ids are made distinct: test and labelled questions may both be numbered from 1
        together = pl.concat([frame.with_columns(id=f"{n}/" + pl.col("id")) for n, frame in enumerate(frames)])
    warnings = [
        f"runs {first!r} and {second!r} agree on {share:.1%}: one model may be voting twice"
        for first, second, share in find_near_copies(together)
    ]
    alphabets = find_foreign_alphabets(together)
    return warnings + [f"run {run!r} gives labels that no other run gives: it may not be a run" for run in alphabets]


def _describe_gaps(answers: pl.DataFrame, what: str) -> list[str]:
    """Warn of runs without any answer, and of runs that lack questions."""
    ids = answers["id"].n_unique()
    counts = answers.group_by("run", maintain_order=True).agg(pl.col("id").n_unique(), read=pl.col("label").count())
    warnings = []
    for name, own, read in counts.rows():
        if not read:
            warnings.append(f"run {name!r} has no answer to any of {ids} {what}")
        elif own < ids:
            warnings.append(f"run {name!r} lacks {ids - own} of {ids} {what}; they count as unread")
    return warnings


def _match_runs(answers: pl.DataFrame, labelled: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Drop runs that only have labelled answers, and warn of them and of runs that have none."""
    voting, known = (frame["run"].unique(maintain_order=True).to_list() for frame in (answers, labelled))
    if not set(voting) & set(known):
        raise BadInput(
            f"the runs are called {list_some(voting)}, and in the labelled questions' files {list_some(known)}; "
            "a run needs the same name in both"
        )
    warnings = [f"run {name!r} has no labelled answers: its weight is unknown" for name in voting if name not in known]
    warnings += [f"run {name!r} has labelled answers only and has no vote" for name in known if name not in voting]
    return labelled.filter(pl.col("run").is_in(voting)), warnings


def _void_foreign_labels(answers: pl.DataFrame, labels: Labels) -> tuple[pl.DataFrame, list[str]]:
    """Take the weight from labels that their question lacks."""
    pairs = pl.DataFrame(
        [(id, label) for id, own in labels.items() for label in own],
        schema={"id": pl.String, "label": pl.String},
        orient="row",
    )
    closed = pl.col("id").is_in(pairs["id"].unique().implode()) & pl.col("label").is_not_null()
    foreign = answers.filter(closed).join(pairs, on=["id", "label"], how="anti", maintain_order="left")
    if not len(foreign):
        return answers, []
    found = [f"{run}/{id}: {label}" for run, id, label in foreign.select("run", "id", "label").head(20).rows()]
    marked = foreign.select("run", "id", "label", foreign=pl.lit(True))
    joined = answers.join(marked, on=["run", "id", "label"], how="left", maintain_order="left")
    weight = pl.when("foreign").then(0.0).otherwise("weight").alias("weight")
    warning = f"votes for labels that their question lacks do not count; {len(foreign)} found: {list_some(found)}"
    return joined.select("run", "id", "label", weight), [warning]
