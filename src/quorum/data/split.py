"""What may be learnt from, and what is held out: stratified, and never through a cluster of near-duplicates."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import polars as pl

from quorum.console import Progress
from quorum.data.duplicates import NEAR, cluster_duplicates
from quorum.disk import replace_file
from quorum.errors import BadInput, list_some
from quorum.question import Question

SPLIT = pl.Schema({"id": pl.String, "cluster": pl.UInt32, "fold": pl.UInt8})
HELD_OUT = 0  # the fold that nothing learns from; the training folds are 1, 2, 3 …

MOST_FOLDS = 250
_MOST_PIECES = 20  # the held-out fold is some of at most so many equal pieces


@dataclass(frozen=True)
class Split:
    """Which fold each question stands in: a frame of schema `SPLIT`, ordered by id.

    Raises:
        BadInput: other columns, an id twice or not in order, a cluster that stands in two folds.
    """

    frame: pl.DataFrame

    def __post_init__(self) -> None:
        if self.frame.schema != SPLIT or self.frame.null_count().sum_horizontal().item():
            raise BadInput(f"split: columns {dict(self.frame.schema)}, where {dict(SPLIT)} without nulls are expected")
        if not (self.frame["id"].is_sorted() and self.frame["id"].is_unique().all()):
            raise BadInput("split: its ids are not each there once and in order")
        straddling = self.frame.group_by("cluster").agg(pl.col("fold").n_unique()).filter(pl.col("fold") > 1)
        if len(straddling):
            found = list_some([str(cluster) for cluster in straddling["cluster"].sort()])
            raise BadInput(f"split: a cluster stands in one fold, not so cluster {found}")

    @cached_property
    def fold_of(self) -> dict[str, int]:
        """The fold of each id."""
        return dict(self.frame.select("id", "fold").iter_rows())

    @cached_property
    def folds(self) -> list[int]:
        """The numbers of the training folds, in order."""
        return self.frame.filter(pl.col("fold") != HELD_OUT)["fold"].unique().sort().to_list()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the ids and their folds as JSON: equal where the same questions stand in the same folds."""
        return hashlib.sha256(json.dumps(self.frame.select("id", "fold").rows()).encode()).hexdigest()


@dataclass(frozen=True)
class TrainingFolds:
    """Questions that may be learnt from: what training, retrieval, few-shot examples and weight fitting take.

    It cannot be made with a held-out question in it, nor with one that the split does not know.

    Raises:
        BadInput: a question is held out or unknown to the split.
    """

    split: Split
    questions: tuple[Question, ...]

    def __post_init__(self) -> None:
        folds = [(question.id, _find_fold(self.split, question)) for question in self.questions]
        if held := [id for id, fold in folds if fold == HELD_OUT]:
            raise BadInput(f"{len(held)} questions are held out, nothing may learn from them: {list_some(held)}")


def split_questions(
    questions: Sequence[Question],
    held_out: float = 0.2,
    folds: int = 5,
    seed: int = 42,
    threshold: float = NEAR,
    progress: Progress | None = None,
) -> Split:
    """Draw a held-out fold with about the share `held_out`, and `folds` training folds of about equal size.

    Clusters of near-duplicates and groups (see `cluster_duplicates`) stay whole. The folds are alike in subject (or
    number of choices, where there are no subjects) and answer; what is too rare for that is alike in answer alone. The
    order of `questions` plays no part, and the same seed gives the same split on every machine.

    Raises:
        BadInput: an id twice, a share not above 0 and up to 0.5, fewer than two folds, too few clusters.
    """
    if not 0 < held_out <= 0.5:
        raise BadInput(f"held-out share is {held_out}; allowed is more than 0 and at most 0.5")
    if not 2 <= folds <= MOST_FOLDS:
        raise BadInput(f"{folds} folds; allowed are 2 to {MOST_FOLDS}")
    ordered = sorted(questions, key=lambda question: question.id)
    if twice := [id for id, count in Counter(question.id for question in ordered).items() if count > 1]:
        raise BadInput(f"an id stands for one question, not so {list_some(twice)}")
    cluster = cluster_duplicates(ordered, threshold, progress)
    if len(set(cluster)) <= folds:
        raise BadInput(
            f"{len(ordered)} questions fall into {len(set(cluster))} clusters of near-duplicates,"
            f" where {folds} folds and a held-out one need at least {folds + 1}"
        )
    fold = _draw_held_out(ordered, cluster, held_out, seed)
    rest = [place for place, held in enumerate(fold) if held != HELD_OUT]
    parts = _stratify([ordered[place] for place in rest], [cluster[place] for place in rest], folds, seed)
    for place, part in zip(rest, parts, strict=True):
        fold[place] = part + 1
    ids = [question.id for question in ordered]
    return Split(pl.DataFrame({"id": ids, "cluster": cluster, "fold": fold}, schema=SPLIT))


def select_held_out(split: Split, questions: Sequence[Question]) -> list[Question]:
    """Those of `questions` that are held out, in order.

    Raises:
        BadInput: a question is unknown to the split.
    """
    return [question for question in questions if _find_fold(split, question) == HELD_OUT]


def select_training_folds(split: Split, questions: Sequence[Question]) -> TrainingFolds:
    """Those of `questions` that may be learnt from, in order.

    Raises:
        BadInput: a question is unknown to the split.
    """
    return TrainingFolds(split, tuple(question for question in questions if _find_fold(split, question) != HELD_OUT))


def iterate_folds(training: TrainingFolds) -> Iterator[tuple[TrainingFolds, list[Question]]]:
    """For each training fold: the other folds to learn from, and the questions of this one to be asked."""
    for fold in training.split.folds:
        asked = [question for question in training.questions if _find_fold(training.split, question) == fold]
        others = tuple(question for question in training.questions if _find_fold(training.split, question) != fold)
        yield TrainingFolds(training.split, others), asked


def strip_answers(questions: Sequence[Question]) -> list[Question]:
    """The same questions as a model may see them: no answers, and no rationales that give them away."""
    return [replace(question, answer=None, rationale=None) for question in questions]


def estimate_random_leak(split: Split) -> float:
    """How many held-out questions would have a twin in training, on average, had as many been drawn at random."""
    total, held = len(split.frame), split.frame["fold"].to_list().count(HELD_OUT)
    sizes = Counter(Counter(split.frame["cluster"].to_list()).values())
    leaked = 0.0
    for size, count in sizes.items():
        all_held = 1.0  # the chance that the rest of a held-out question's cluster is held out with it
        for mate in range(1, size):
            all_held *= max(0, held - mate) / (total - mate)
        leaked += count * size * held / total * (1 - all_held)
    return leaked


def write_split(split: Split, path: Path) -> None:
    """Writes a split as Parquet, whole or not at all."""
    with replace_file(path) as part:
        split.frame.write_parquet(part)


def read_split(path: Path) -> Split:
    """The split in a Parquet file.

    Raises:
        BadInput: it is no Parquet file, or no split.
    """
    try:
        return Split(pl.read_parquet(path))
    except (pl.exceptions.ComputeError, BadInput) as error:
        raise BadInput(f"{path}: {error}") from None


def _find_fold(split: Split, question: Question) -> int:
    fold = split.fold_of.get(question.id)
    if fold is None:
        raise BadInput(f"question {question.id} is unknown to the split of {len(split.fold_of)} questions")
    return fold


def _draw_held_out(questions: Sequence[Question], cluster: Sequence[int], share: float, seed: int) -> list[int]:
    """HELD_OUT for each question that is held out, 1 for the others."""
    pieces = min(_MOST_PIECES, len(set(cluster)))
    part = Fraction(share).limit_denominator(pieces) or Fraction(1, min(round(1 / share), len(set(cluster))))
    chosen = random.Random(seed).sample(range(part.denominator), part.numerator)
    pieces_of = _stratify(questions, cluster, part.denominator, seed)
    return [HELD_OUT if piece in chosen else 1 for piece in pieces_of]


def _stratify(questions: Sequence[Question], cluster: Sequence[int], parts: int, seed: int) -> list[int]:
    """The part of each question, 0 to parts - 1: stratified, clusters whole, none empty."""
    from sklearn.model_selection import StratifiedGroupKFold  # type: ignore[import-untyped]

    if len(set(cluster)) < parts:
        raise BadInput(f"{len(set(cluster))} clusters of near-duplicates are left for {parts} folds")
    folder = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    part_of = [0] * len(questions)
    for part, (_, places) in enumerate(folder.split(cluster, _assign_strata(questions, parts), cluster)):
        for place in places.tolist():
            part_of[place] = part
    if len(set(part_of)) < parts:
        raise BadInput(f"a cluster of near-duplicates is so large that a fold of {parts} stays empty")
    return part_of


def _assign_strata(questions: Sequence[Question], least: int) -> list[int]:
    """The stratum of each question, in none of them fewer than `least`: the finest description that is not too rare."""
    described: list[list[Hashable]] = [
        [(question.subject or len(question.choices), answer), (answer,), ()]
        for question in questions
        for answer in [question.answer if question.choices else None]
    ]
    numbers: dict[Hashable, int] = {}
    stratum: list[int | None] = [None] * len(questions)
    for level in range(3):
        counts = Counter(ways[level] for ways, known in zip(described, stratum, strict=True) if known is None)
        for place, ways in enumerate(described):
            if stratum[place] is None and counts[ways[level]] >= least:
                stratum[place] = numbers.setdefault((level, ways[level]), len(numbers))
    commonest = Counter(number for number in stratum if number is not None).most_common(1)[0][0]
    return [commonest if number is None else number for number in stratum]
