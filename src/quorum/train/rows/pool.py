"""Solved questions kept apart to be shown as examples: they and their near-duplicates are not learnt from."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from quorum.data.split import TrainingFolds
from quorum.errors import BadInput
from quorum.question import Question


@dataclass(frozen=True, slots=True)
class ExamplePool:
    """Questions to be shown, and what is left to learn from: none of it shares a cluster with one of them."""

    questions: tuple[Question, ...]
    rest: TrainingFolds


def set_examples_apart(training: TrainingFolds, size: int, seed: int, worked: bool) -> ExamplePool:
    """A pool of `size` solved questions drawn by chance, of as many clusters; `worked`: those with a rationale first.

    The order of the questions plays no part.

    Raises:
        BadInput: so large a pool would leave nothing to learn from.
    """
    cluster = dict(training.split.frame.select("id", "cluster").iter_rows())
    solved = sorted((each for each in training.questions if each.answer is not None), key=lambda each: each.id)
    random.Random(seed).shuffle(solved)
    solved.sort(key=lambda each: worked and each.rationale is None)  # stable: chance decides among equals
    chosen = _one_of_each_cluster(solved, [cluster[each.id] for each in solved], size)
    taken = {cluster[each.id] for each in chosen}
    rest = tuple(each for each in training.questions if cluster[each.id] not in taken)
    if len(chosen) < size or not any(each.answer is not None for each in rest):
        raise BadInput(
            f"a pool of {size} examples, each of another cluster, leaves nothing of {len(solved)} solved questions in "
            f"{len({cluster[each.id] for each in solved})} clusters to learn from"
        )
    return ExamplePool(tuple(chosen), TrainingFolds(training.split, rest))


def _one_of_each_cluster(questions: Sequence[Question], clusters: Sequence[int], size: int) -> list[Question]:
    first: dict[int, Question] = {}
    for question, cluster in zip(questions, clusters, strict=True):
        if len(first) < size:
            first.setdefault(cluster, question)
    return list(first.values())
