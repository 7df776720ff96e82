"""Reserve solved questions as examples; they and their near-duplicates are excluded from training."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from quorum.data.split import TrainingFolds
from quorum.errors import BadInput
from quorum.question import Question


@dataclass(frozen=True, slots=True)
class ExamplePool:
    """Questions to show as examples, and the questions to train on, which share no cluster with them."""

    questions: tuple[Question, ...]
    rest: TrainingFolds


def reserve_examples(training: TrainingFolds, size: int, seed: int, worked: bool) -> ExamplePool:
    """Draw a pool of `size` solved questions, each from another cluster.

    The order of the questions has no effect.

    Args:
        worked: draw questions with a rationale first.

    Raises:
        BadInput: such a pool would leave no question to train on.
    """
    cluster = dict(training.split.frame.select("id", "cluster").iter_rows())
    solved = sorted((each for each in training.questions if each.answer is not None), key=lambda each: each.id)
    random.Random(seed).shuffle(solved)
    solved.sort(key=lambda each: worked and each.rationale is None)  # a stable sort keeps the random order of equals
    chosen = _pick_one_per_cluster(solved, [cluster[each.id] for each in solved], size)
    chosen_clusters = {cluster[each.id] for each in chosen}
    rest = tuple(each for each in training.questions if cluster[each.id] not in chosen_clusters)
    if len(chosen) < size or not any(each.answer is not None for each in rest):
        raise BadInput(
            f"a pool of {size} examples, each from another cluster, leaves none of {len(solved)} solved questions in "
            f"{len({cluster[each.id] for each in solved})} clusters to train on; lower rows.pool or rows.examples"
        )
    return ExamplePool(tuple(chosen), TrainingFolds(training.split, rest))


def _pick_one_per_cluster(questions: Sequence[Question], clusters: Sequence[int], size: int) -> list[Question]:
    first: dict[int, Question] = {}
    for question, cluster in zip(questions, clusters, strict=True):
        if len(first) < size:
            first.setdefault(cluster, question)
    return list(first.values())
