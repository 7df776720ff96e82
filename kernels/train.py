"""Solved questions in, a trained model out: what kernels/infer.py then asks.

python kernels/train.py kernels/train-encoder.toml [key=value ...] [--smoke]
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.config import from_table
from quorum.console import print_status, progress_bar, run_story
from quorum.errors import BadInput

if TYPE_CHECKING:
    from quorum.train.rows.row import TrainingRow

RENDERING = ("lesson", "template", "sampling", "retrieval")  # the tables that make rows of questions


@dataclass(frozen=True)
class Train:
    """The settings of one training."""

    run: str  # what the model is called
    train: Path  # solved questions; or rows of scripts/rows.py, with the split they were made with
    out: Path  # folder: the model, its card, the loss curve, checkpoints, split.parquet
    trainer: Mapping[str, Any]  # its name and its settings
    split: Path | None = None  # from scripts/split.py; without it one is made, as make submit makes it
    held_out: float = 0.25  # share that is held out where the split is made here
    seed: int = 42  # of that split
    lesson: Mapping[str, Any] = field(default_factory=dict)  # how questions become rows
    template: Mapping[str, Any] = field(default_factory=dict)  # the words around a question, as in the infer kernel
    sampling: Mapping[str, Any] = field(default_factory=dict)  # which questions, where not all; empty: all
    retrieval: Mapping[str, Any] = field(default_factory=dict)  # what is shown beside a question; empty: nothing
    layout: Mapping[str, Any] = field(default_factory=dict)  # column mapping, where detection needs help
    smoke: bool = False  # does it run at all? A few steps on the shortest rows, into OUT-smoke


def main(config: Train) -> None:
    """Trains on the training folds alone, and says what it came to."""
    from quorum.train.resume import clear_training
    from quorum.train.rows.formats import detect_format
    from quorum.train.trainer import train_model

    out = config.out.with_name(f"{config.out.name}-smoke") if config.smoke else config.out
    trainer = {**config.trainer, "smoke": True} if config.smoke else config.trainer
    if config.smoke:
        clear_training(out)
    as_rows = not config.layout and detect_format(config.train) is not None  # a layout says that it holds questions
    rows = learnt_as_given(config, out) if as_rows else learnt_from_questions(config, out)
    with progress_bar(config.run) as progress:
        trained = train_model(trainer, rows, out, progress, print_status)
    rate = trained.tokens / trained.seconds
    fell = f"loss {trained.losses[0][1]:.3f} -> {trained.losses[-1][1]:.3f}"
    print_status(
        f"{config.run}: {trained.steps} steps, {trained.seconds:.0f} s, {rate:.0f} tokens/s, {fell}: {trained.folder}"
    )


def learnt_from_questions(config: Train, out: Path) -> "list[TrainingRow]":
    """The rows of the training folds, rendered as they will be asked."""
    from quorum.ask.retrieve import Retriever
    from quorum.ask.settings import RetrievalSettings
    from quorum.ask.template import Template
    from quorum.data.layout import Layout
    from quorum.data.read import read_records, write_questions
    from quorum.data.repair import repair_table
    from quorum.data.split import read_split, split_questions, training_folds, write_split
    from quorum.model.embed import load_embedder, load_reranker
    from quorum.train.rows.build import RowSettings, build_rows
    from quorum.train.rows.selection import SelectionSettings, select_folds

    for path in (config.split, config.sampling.get("ids")):
        if path and not Path(str(path)).is_file():
            raise BadInput(
                f"{path}: no such file; scripts/draw.py {config.train} --backend TOML draws ids and makes their split, "
                f"scripts/split.py {config.train} makes a split alone"
            )
    solved = repair_table(read_records(config.train, from_table(Layout, config.layout, "layout"))).questions
    parts = read_split(config.split) if config.split else split_questions(solved, config.held_out, seed=config.seed)
    whole = training_folds(parts, solved)
    folds = select_folds(whole, from_table(SelectionSettings, config.sampling, "sampling"))
    write_split(parts, out / "split.parquet")
    retriever = Retriever(
        from_table(RetrievalSettings, config.retrieval, "retrieval"), whole, load_embedder, load_reranker
    )
    ids = [question.id for question in folds.questions]
    beside = dict(zip(ids, retriever.shown(folds.questions), strict=True))
    lesson, template = (
        from_table(RowSettings, config.lesson, "lesson"),
        from_table(Template, config.template, "template"),
    )
    taught = build_rows(folds, lesson, beside, template)
    told = f"{len(taught.rows)} rows from {len(folds.questions)} of {len(whole.questions)} training questions"
    print_status(f"{config.run}: {told}")
    if taught.unreasoned:
        print_status(f"{config.run}: {taught.unreasoned} questions have no rationale that leads to their answer")
    if taught.examples:
        write_questions(taught.examples, out / "examples.parquet")
        print_status(
            f"{config.run}: {len(taught.examples)} examples, {taught.apart} questions kept out of the rows with them"
        )
    return taught.rows


def learnt_as_given(config: Train, out: Path) -> "list[TrainingRow]":
    """The rows of a file of scripts/rows.py as they stand: what would render questions has no say."""
    from quorum.data.split import read_split, write_split
    from quorum.train.rows.given import read_given_rows

    if idle := [name for name in RENDERING if getattr(config, name)]:
        raise BadInput(
            f"{config.train} holds rows, learnt as they stand: {', '.join(idle)} would change nothing; "
            f"take out what is said there ({' '.join(f'{name}={{}}' for name in idle)}), or give the questions"
        )
    if config.split is None or not config.split.is_file():
        raise BadInput(
            f"{config.train} holds rows: name the split that they were made with (split = FILE; found "
            f"{config.split or 'none'}), so that nothing held out is learnt, or give the questions"
        )
    parts = read_split(config.split)
    rows = read_given_rows(config.train, parts)
    write_split(parts, out / "split.parquet")
    print_status(f"{config.run}: {len(rows)} rows of {config.train}, as they stand")
    return rows


if __name__ == "__main__":
    run_story(Train, main, __doc__)
