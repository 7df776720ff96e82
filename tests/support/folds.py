"""A split made by hand, for tests of what may be learnt from."""

from collections.abc import Mapping, Sequence

import polars as pl

from quorum.data.split import SPLIT, Split, TrainingFolds, select_training_folds
from quorum.question import Question


def make_folds(
    questions: Sequence[Question], clusters: Mapping[str, int] | None = None, folds: Mapping[str, int] | None = None
) -> TrainingFolds:
    """The questions of the training folds: all in fold 1 and each a cluster of its own, unless told otherwise."""
    ordered = sorted(question.id for question in questions)
    rows = [(id, (clusters or {}).get(id, 1000 + place), (folds or {}).get(id, 1)) for place, id in enumerate(ordered)]
    return select_training_folds(Split(pl.DataFrame(rows, schema=SPLIT, orient="row")), questions)
