"""Find questions that train already solves word for word: copy the answers for a submission, refuse them in a score.

Most competitions allow copying the answer of a test question's exact duplicate in train. In a held-out score the same
duplicate would be a leak, so the training folds hold no duplicate of a held-out question.
"""

from collections.abc import Sequence

from quorum.ballot import Ballot
from quorum.data.duplicates import exact_key
from quorum.errors import BadInput, list_some
from quorum.question import Question, fold_text


def check_no_duplicate(file: str, questions: Sequence[Question], solved: Sequence[Question]) -> None:
    """Refuse a question file that may be scored and has questions that are solved in train.

    Raises:
        BadInput: a question has the text and the choices, in any order, of a solved question; ids do not matter.
    """
    known = {exact_key(other) for other in solved if other.answer is not None}
    if leaked := [question.id for question in questions if exact_key(question) in known]:
        raise BadInput(
            f"{file}: {len(leaked)} of {len(questions)} questions are already solved in train, so a score of this file"
            f" would be leaked: {list_some(leaked)}. Set train to the training folds (train.parquet of the split); only"
            " the first of questions, with a sample submission, may have exact duplicates in train"
        )


def copy_answers(questions: Sequence[Question], solved: Sequence[Question]) -> dict[str, Ballot]:
    """Return the ballots of unanswered questions that have a solved exact duplicate, by question id.

    Duplicates have the same text and the same choices, in any order; the answer is copied by its text. Nothing is
    copied if several choices have that text, or if several duplicates have different answers.
    """
    answers_of: dict[str, set[str]] = {}
    for duplicate in solved:
        if duplicate.answer is not None and duplicate.choices:
            answers_of.setdefault(exact_key(duplicate), set()).add(fold_text(duplicate.choice(duplicate.answer)))
    ballots: dict[str, Ballot] = {}
    for question in questions:
        answers = answers_of.get(exact_key(question), set()) if question.answer is None else set[str]()
        labels = [label for label in question.labels if fold_text(question.choice(label)) in answers]
        if len(answers) == 1 and len(labels) == 1:
            ballots[question.id] = {labels[0]: 1.0}
    return ballots
