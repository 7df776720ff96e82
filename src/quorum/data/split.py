"""Split questions into a held-out fold and training folds: stratified, clusters of near-duplicates kept whole."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import polars as pl

from quorum.console import Progress
from quorum.data.duplicates import cluster_duplicates
from quorum.data.records import pause_collection
from quorum.data.stratify import stratify
from quorum.errors import BadInput, list_some
from quorum.question import Question
from quorum.tables.parquet import read_parquet_file, write_parquet_file

SPLIT = pl.Schema({"id": pl.String, "cluster": pl.UInt32, "fold": pl.UInt8})
HELD_OUT = 0  # the fold that is never used for training; the training folds are 1, 2, 3 …

MOST_FOLDS = 250
_MOST_PIECES = 20  # the held-out fold is a whole number of at most this many equal pieces


@dataclass(frozen=True)
class Split:
    """The fold of each question: a frame of schema `SPLIT`, ordered by id.

    Raises:
        BadInput: other columns, ids that are not unique or not sorted, a cluster in two folds.
    """

    frame: pl.DataFrame

    def __post_init__(self) -> None:
        if self.frame.schema != SPLIT or self.frame.null_count().sum_horizontal().item():
            raise BadInput(f"split: found columns {dict(self.frame.schema)}; expected {dict(SPLIT)} without nulls")
        if not (self.frame["id"].is_sorted() and self.frame["id"].is_unique().all()):
            raise BadInput("split: the ids have to be unique and sorted")
        divided = self.frame.group_by("cluster").agg(pl.col("fold").n_unique()).filter(pl.col("fold") > 1)
        if len(divided):
            clusters = list_some([str(cluster) for cluster in divided["cluster"].sort()])
            raise BadInput(f"split: each cluster has to be in one fold; cluster {clusters} is in several")

    @cached_property
    def fold_of(self) -> dict[str, int]:
        """The fold of each question id."""
        return dict(self.frame.select("id", "fold").iter_rows())

    @cached_property
    def folds(self) -> list[int]:
        """The numbers of the training folds, in order."""
        return self.frame.filter(pl.col("fold") != HELD_OUT)["fold"].unique().sort().to_list()

    @cached_property
    def held_out(self) -> frozenset[str]:
        """The ids of the held-out questions."""
        return frozenset(self.frame.filter(pl.col("fold") == HELD_OUT)["id"].to_list())

    @property
    def scored(self) -> frozenset[str]:
        """The ids of the questions to score: the held-out ones; all, if no fold is held out (see data/folds.py)."""
        return self.held_out or frozenset(self.fold_of)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the ids and their folds as JSON; equal for splits with the same questions in the same folds."""
        return hashlib.sha256(json.dumps(self.frame.select("id", "fold").rows()).encode()).hexdigest()


@dataclass(frozen=True)
class TrainingFolds:
    """Questions that may be used for training, retrieval, few-shot examples and fitted weights.

    An instance never contains a held-out question, or one that is not in the split.

    Raises:
        BadInput: a question is held out or not in the split.
    """

    split: Split
    questions: tuple[Question, ...]

    def __post_init__(self) -> None:
        folds = [(question.id, _find_fold(self.split, question)) for question in self.questions]
        if held := [id for id, fold in folds if fold == HELD_OUT]:
            raise BadInput(f"{len(held)} questions are held out and must not be used for training: {list_some(held)}")


@pause_collection()
def split_questions(
    questions: Sequence[Question],
    held_out: float = 0.2,
    folds: int = 5,
    seed: int = 42,
    progress: Progress | None = None,
) -> Split:
    """Draw a held-out fold with about the share `held_out`, and `folds` training folds of about equal size.

    Clusters of near-duplicates and groups (see `cluster_duplicates`) stay whole. The folds are stratified by subject
    (or by number of choices if there are no subjects) and answer; combinations that are too rare are stratified by
    answer alone. The result does not depend on the order of `questions`; a seed gives the same split on every machine.

    Args:
        questions: The questions to split.
        held_out: Share of the held-out fold, above 0 and at most 0.5.
        folds: Number of training folds, 2 to 250.
        seed: Seed of the draw.
        progress: Called with the number of compared questions and their total.

    Raises:
        BadInput: an id that is not unique, a share or number of folds out of range, too few clusters.
    """
    if not 0 < held_out <= 0.5:
        raise BadInput(f"held-out share is {held_out}; allowed is more than 0 and at most 0.5")
    ordered = order_questions(questions, folds)
    cluster = cluster_duplicates(ordered, progress)
    if len(set(cluster)) <= folds:
        raise BadInput(
            f"{len(ordered)} questions form {len(set(cluster))} clusters of near-duplicates,"
            f" but {folds} training folds and a held-out fold need at least {folds + 1}"
        )
    fold = _draw_held_out(ordered, cluster, held_out, seed)
    rest = [index for index, held in enumerate(fold) if held != HELD_OUT]
    parts = stratify([ordered[index] for index in rest], [cluster[index] for index in rest], folds, seed)
    for index, part in zip(rest, parts, strict=True):
        fold[index] = part + 1
    ids = [question.id for question in ordered]
    return Split(pl.DataFrame({"id": ids, "cluster": cluster, "fold": fold}, schema=SPLIT))


def order_questions(questions: Sequence[Question], folds: int) -> list[Question]:
    """Return the questions in the order of their ids, in which a split has them.

    Raises:
        BadInput: an id that is not unique, or the number of folds is out of range.
    """
    if not 2 <= folds <= MOST_FOLDS:
        raise BadInput(f"the number of folds is {folds}; allowed are 2 to {MOST_FOLDS}")
    ordered = sorted(questions, key=lambda question: question.id)
    if repeated := [id for id, count in Counter(question.id for question in ordered).items() if count > 1]:
        raise BadInput(f"ids have to be unique; found more than once: {list_some(repeated)}")
    return ordered


def select_held_out(split: Split, questions: Sequence[Question]) -> list[Question]:
    """Return the held-out questions among `questions`, in order.

    Raises:
        BadInput: a question is not in the split.
    """
    return [question for question in questions if _find_fold(split, question) == HELD_OUT]


def select_training_folds(split: Split, questions: Sequence[Question]) -> TrainingFolds:
    """Return the questions among `questions` that are in training folds, in order.

    Raises:
        BadInput: a question is not in the split.
    """
    return TrainingFolds(split, tuple(question for question in questions if _find_fold(split, question) != HELD_OUT))


def iterate_folds(training: TrainingFolds) -> Iterator[tuple[TrainingFolds, list[Question]]]:
    """Yield, for each training fold, the other folds to train on and the questions of this fold to predict."""
    for fold in training.split.folds:
        predicted = [question for question in training.questions if _find_fold(training.split, question) == fold]
        others = tuple(question for question in training.questions if _find_fold(training.split, question) != fold)
        yield TrainingFolds(training.split, others), predicted


def strip_answers(questions: Sequence[Question]) -> list[Question]:
    """Return the questions without answers, and without rationales, which would reveal the answers."""
    return [replace(question, answer=None, rationale=None) for question in questions]


def estimate_random_leak(split: Split) -> float:
    """Estimate how many held-out questions would have a near-duplicate in training after a plain random split.

    The expected number, if as many questions were drawn at random without regard to clusters.
    """
    total, held = len(split.frame), split.frame["fold"].to_list().count(HELD_OUT)
    sizes = Counter(Counter(split.frame["cluster"].to_list()).values())
    leaked = 0.0
    for size, count in sizes.items():
        all_held = 1.0  # the probability that the rest of a held-out question's cluster is held out too
        for drawn in range(1, size):
            all_held *= max(0, held - drawn) / (total - drawn)
        leaked += count * size * held / total * (1 - all_held)
    return leaked


def write_split(split: Split, path: Path) -> None:
    """Write a split as Parquet, atomically."""
    write_parquet_file(split.frame, path)


def read_split(path: Path) -> Split:
    """Read a split from a Parquet file.

    Raises:
        BadInput: the file is not a Parquet file or not a split.
    """
    frame = read_parquet_file(path)
    try:
        return Split(frame)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def _find_fold(split: Split, question: Question) -> int:
    fold = split.fold_of.get(question.id)
    if fold is None:
        raise BadInput(f"question {question.id} is not in the split of {len(split.fold_of)} questions")
    return fold


def _draw_held_out(questions: Sequence[Question], cluster: Sequence[int], share: float, seed: int) -> list[int]:
    """Return HELD_OUT for each held-out question and 1 for the others."""
    pieces = min(_MOST_PIECES, len(set(cluster)))
    part = Fraction(share).limit_denominator(pieces) or Fraction(1, min(round(1 / share), len(set(cluster))))
    chosen = random.Random(seed).sample(range(part.denominator), part.numerator)
    pieces_of = stratify(questions, cluster, part.denominator, seed)
    return [HELD_OUT if piece in chosen else 1 for piece in pieces_of]
