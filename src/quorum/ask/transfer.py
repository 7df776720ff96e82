"""The answers of test questions that stand solved in train, word for word: a switch of its own, and never a score.

It is information that a competition usually permits and that a held-out score cannot see: no twin of a held-out
question is in the training folds.
"""

from collections.abc import Sequence

from quorum.data.duplicates import exact_key
from quorum.question import Ballot, Question, same_text


def transferred(questions: Sequence[Question], solved: Sequence[Question]) -> dict[str, Ballot]:
    """For each unanswered question whose exact twin is solved: the label that says the twin's answer.

    Twins have the same text and the same choices, in whatever order. Nothing is transferred where more than one choice
    says it, or where several twins say different things.
    """
    said: dict[str, set[str]] = {}
    for twin in solved:
        if twin.answer is not None and twin.choices:
            said.setdefault(exact_key(twin), set()).add(same_text(twin.choice(twin.answer)))
    found: dict[str, Ballot] = {}
    for question in questions:
        answers = said.get(exact_key(question), set()) if question.answer is None else set[str]()
        labels = [label for label in question.labels if same_text(question.choice(label)) in answers]
        if len(answers) == 1 and len(labels) == 1:
            found[question.id] = {labels[0]: 1.0}
    return found
