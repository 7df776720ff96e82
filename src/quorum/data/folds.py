"""Divide questions into folds of which each is held out once, so that every label is used to learn and to score.

`split_into_folds` draws the folds and holds none of them out. `hold_out_fold` makes of it an ordinary split for each
fold: what is trained, searched or fitted with that split cannot contain a question of the fold. `divide_held_out` does
the same for the held-out questions of an ordinary split, so that each is answered by what learns from all others.
"""

from collections.abc import Sequence

import polars as pl

from quorum.console import Progress
from quorum.data.duplicates import cluster_duplicates
from quorum.data.records import pause_collection
from quorum.data.split import HELD_OUT, SPLIT, Split, order_questions
from quorum.data.stratify import stratify
from quorum.errors import BadInput
from quorum.question import Question

_TRAINING_FOLDS = 5  # as in a split with one held-out fold


@pause_collection()
def split_into_folds(
    questions: Sequence[Question], folds: int, seed: int = 42, progress: Progress | None = None
) -> Split:
    """Divide all questions into folds of about equal size, 1 to `folds`, as `split_questions` draws training folds.

    Raises:
        BadInput: an id that is not unique, a number of folds that is not 2 to 250, too few clusters.
    """
    ordered = order_questions(questions, folds)
    cluster = cluster_duplicates(ordered, progress)
    if len(set(cluster)) < folds + _TRAINING_FOLDS:
        raise BadInput(
            f"{len(ordered)} questions form {len(set(cluster))} clusters of near-duplicates, but {folds} folds, each"
            f" held out once, need at least {folds + _TRAINING_FOLDS}"
        )
    fold = [part + 1 for part in stratify(ordered, cluster, folds, seed)]
    ids = [question.id for question in ordered]
    return Split(pl.DataFrame({"id": ids, "cluster": cluster, "fold": fold}, schema=SPLIT))


def hold_out_fold(split: Split, questions: Sequence[Question], fold: int | None, seed: int = 42) -> Split:
    """Return a split of the same questions and clusters that holds out one fold, with five new training folds.

    Args:
        questions: the questions of the split, in any order.
        fold: the number of the fold to hold out; None: none is held out, and all questions are in training folds.

    Raises:
        BadInput: too few clusters are left for the training folds.
    """
    return _hold_out(split, questions, [own == fold for own in split.frame["fold"].to_list()], seed)


def divide_held_out(split: Split, questions: Sequence[Question], folds: int, seed: int = 42) -> list[Split]:
    """Return splits of the same questions and clusters, of which each holds out one part of the held-out questions.

    Args:
        questions: the questions of the split, in any order.
        folds: the number of parts, of about equal size; near-duplicates are in one part.

    Raises:
        BadInput: there are fewer clusters of held-out questions than parts.
    """
    by_id = {question.id: question for question in questions}
    ids, clusters, own = (split.frame[name].to_list() for name in ("id", "cluster", "fold"))
    held = [index for index, fold in enumerate(own) if fold == HELD_OUT]
    parts = stratify([by_id[ids[index]] for index in held], [clusters[index] for index in held], folds, seed)
    part_of = dict(zip(held, parts, strict=True))
    return [
        _hold_out(split, questions, [part_of.get(index) == part for index in range(len(ids))], seed)
        for part in range(folds)
    ]


def _hold_out(split: Split, questions: Sequence[Question], held: Sequence[bool], seed: int) -> Split:
    """Return a split that holds out the marked rows of the frame; all others are in new training folds."""
    by_id = {question.id: question for question in questions}
    ids, clusters = (split.frame[name].to_list() for name in ("id", "cluster"))
    rest = [index for index, out in enumerate(held) if not out]
    parts = stratify([by_id[ids[index]] for index in rest], [clusters[index] for index in rest], _TRAINING_FOLDS, seed)
    training = dict(zip(rest, (part + 1 for part in parts), strict=True))
    fold = [training.get(index, HELD_OUT) for index in range(len(ids))]
    return Split(pl.DataFrame({"id": ids, "cluster": clusters, "fold": fold}, schema=SPLIT))
