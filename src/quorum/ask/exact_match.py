"""Questions that stand solved in train, word for word: copied where they are submitted, refused where they are scored.

What a test question's twin in train says is information that a competition usually permits. In a held-out score it
would be a leak, whatever the model: no twin of a held-out question is in the training folds.
"""

from collections.abc import Sequence

from quorum.ballot import Ballot
from quorum.data.duplicates import exact_key
from quorum.errors import BadInput, list_some
from quorum.question import Question, fold_text


def check_no_duplicate(file: str, questions: Sequence[Question], solved: Sequence[Question]) -> None:
    """Refuses a question file of which a score may be taken, and whose questions stand solved in train.

    Raises:
        BadInput: a question has the text and the choices, in whatever order, of a solved one, under whatever id.
    """
    known = {exact_key(twin) for twin in solved if twin.answer is not None}
    if seen := [question.id for question in questions if exact_key(question) in known]:
        raise BadInput(
            f"{file}: {len(seen)} of {len(questions)} questions stand solved in train, so that its score would be"
            f" leaked: {list_some(seen)}. With files that may be scored, train holds the training folds (train.parquet"
            " of the split); only the first of questions, with a sample submission, may have such twins in train"
        )


def copy_answers(questions: Sequence[Question], solved: Sequence[Question]) -> dict[str, Ballot]:
    """For each unanswered question whose exact twin is solved: the label that says the twin's answer.

    Twins have the same text and the same choices, in whatever order. Nothing is transferred where more than one choice
    says it, or where several twins say different things.
    """
    said: dict[str, set[str]] = {}
    for twin in solved:
        if twin.answer is not None and twin.choices:
            said.setdefault(exact_key(twin), set()).add(fold_text(twin.choice(twin.answer)))
    found: dict[str, Ballot] = {}
    for question in questions:
        answers = said.get(exact_key(question), set()) if question.answer is None else set[str]()
        labels = [label for label in question.labels if fold_text(question.choice(label)) in answers]
        if len(answers) == 1 and len(labels) == 1:
            found[question.id] = {labels[0]: 1.0}
    return found
