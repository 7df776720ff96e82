"""Select a run's kept replies as worked solutions: right, whole, different from each other, and a few per question.

Zelikman et al. (2022), "STaR", arXiv:2203.14465; Yuan et al. (2023), "Scaling Relationship on Learning Mathematical
Reasoning" (rejection-sampling fine-tuning), arXiv:2308.01825.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from quorum.ask.reply import parse_reply
from quorum.data.duplicates import cluster_duplicates
from quorum.errors import BadInput
from quorum.files.kept_replies import read_kept_replies
from quorum.files.run_folder import RunFolder
from quorum.question import Question
from quorum.train.teacher_settings import KeptReplySettings

_SUFFIX = ".replies.parquet"
_PASSES = ("first", "reason", "order", "vote")  # those in which a model answers the question itself


@dataclass(frozen=True, slots=True)
class WorkedSolution:
    """A question with its options in the order in which a model saw them, and the model's reply, which is right."""

    question: Question
    text: str


def select_replies(
    settings: KeptReplySettings, questions: Sequence[Question], report: Callable[[str], None] = lambda text: None
) -> dict[str, list[WorkedSolution]]:
    """Return the worked solutions of the solved questions that have some, by id.

    A reply counts if the model finished it, the reply parser reads the right answer from it, and it has enough words.
    Of near-duplicate replies to one question the first is kept. Replies to other questions have no effect.

    Args:
        report: called with a line for the log.

    Raises:
        BadInput: a file is not one of kept replies, or no reply is selected.
    """
    solved = {question.id: question for question in questions if question.answer is not None}
    counts: Counter[str] = Counter()
    right: dict[str, list[WorkedSolution]] = {}
    for path in settings.files:
        for row in _read_own_replies(path, solved):
            counts["replies"] += 1
            solution = _check_reply(solved[row["id"]], row, settings.words)
            if solution is not None:
                right.setdefault(row["id"], []).append(solution)
    selected = {id: _drop_near_duplicates(found)[: settings.most] for id, found in right.items()}
    kept, all_right = sum(map(len, selected.values())), sum(map(len, right.values()))
    line = (
        f"{counts['replies']} replies to training questions: {all_right} whole ones lead to the right answer, and"
        f" {kept} of them become rows, of {len(selected)} of {len(solved)} questions"
    )
    if not kept:
        raise BadInput(f"{', '.join(map(str, settings.files))}: {line}")
    report(line)
    return {id: selected[id] for id in solved if id in selected}


def _read_own_replies(path: Path, solved: Mapping[str, Question]) -> list[dict[str, Any]]:
    """Return the rows of a file of kept replies (`files.kept_replies.REPLIES`) that are about these questions.

    Raises:
        BadInput: there is no such file, or it is of another kind.
    """
    if not path.name.endswith(_SUFFIX):
        raise BadInput(f"{path}: rows.replies.files names files of kept replies, RUN/FILE{_SUFFIX}")
    kept = read_kept_replies(RunFolder(path.parent), path.name.removesuffix(_SUFFIX), list(solved))
    if kept is None:
        raise BadInput(f'{path}: no kept replies; a run keeps them unless limits.keep is "answers"')
    return [row for row in kept.replies.iter_rows(named=True) if row["pass"] in _PASSES]


def _check_reply(question: Question, row: Mapping[str, Any], words: int) -> WorkedSolution | None:
    """Return a reply with its question as it was shown, or None if the reply does not count."""
    text = (row["text"] or "").strip()
    if row["finish"] == "length" or len(text.split()) < max(words, 1) or text in question.labels:
        return None
    shown = _show_in_order(question, row["order"])
    if shown is None or parse_reply(text, shown.labels, shown.choices, finish=row["finish"]).label != shown.answer:
        return None
    return WorkedSolution(shown, text)


def _show_in_order(question: Question, order: str) -> Question | None:
    """Return the question with its options in the order of these labels; None if the order lacks one of them."""
    if not question.choices:
        return question
    if sorted(order) != list(question.labels):
        return None
    choices = tuple(question.choice(label) for label in order)
    return replace(question, choices=choices, answer=question.labels[order.index(str(question.answer))])


def _drop_near_duplicates(solutions: Sequence[WorkedSolution]) -> list[WorkedSolution]:
    """Return the first of each cluster of near-duplicate texts, in order."""
    texts = [Question(id=str(number), text=each.text) for number, each in enumerate(solutions)]
    first: dict[int, WorkedSolution] = {}
    for cluster, solution in zip(cluster_duplicates(texts), solutions, strict=True):
        first.setdefault(cluster, solution)
    return list(first.values())
