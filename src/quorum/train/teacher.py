"""Learn from a teacher: turn its probabilities into soft labels, and refuse a teacher that knew the answers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from quorum.ballot import (
    Ballot,
    apply_temperature,
    average_ballots,
    compute_share_right,
    is_unread,
    normalise_ballot,
)
from quorum.errors import BadInput, list_some
from quorum.files.manifest import read_manifest
from quorum.files.run_folder import RunFolder
from quorum.files.runs import ReadingOptions, read_ballots
from quorum.question import Question
from quorum.train.teacher_settings import TeacherSettings

_ALL_RIGHT = 0.995  # a teacher with this accuracy has probably seen the answers ...
_LEAST_QUESTIONS = 50  # ... if it has answered as many questions


def read_teacher(
    settings: TeacherSettings, questions: Sequence[Question], report: Callable[[str], None] = lambda text: None
) -> dict[str, Ballot]:
    """Return the teacher's probabilities of the labels of these solved questions, by id.

    A question that no file answers, or answers with none of its labels, is left out. Answers to other questions have
    no effect.

    Args:
        report: called with lines for the log.

    Raises:
        BadInput: a file cannot be read, none answers any of the questions, or a run's manifest says that its model was
            trained on some of them.
    """
    solved = {question.id: question for question in questions if question.choices and question.answer}
    choices = {id: question.choices for id, question in solved.items()}
    by_id: dict[str, list[Ballot]] = {}
    for path in settings.answers:
        if not path.is_file():
            raise BadInput(f"{path}: no such file; teacher.answers names answers to the training questions")
        _refuse_insiders(path, solved, report)
        ballots, _ = read_ballots(path, options=ReadingOptions(choices=choices, report=report))
        for id, ballot in ballots.items():
            if id in solved and (own := _keep_labels(ballot, solved[id].labels)):
                by_id.setdefault(id, []).append(own)
    if not by_id:
        names = ", ".join(map(str, settings.answers))
        raise BadInput(f"{names}: no answers to any of the {len(solved)} training questions with choices")
    teacher = {id: apply_temperature(average_ballots(found), settings.temperature) for id, found in by_id.items()}
    _report_teacher(teacher, solved, report)
    return teacher


def make_soft_labels(ballot: Ballot, shown: Sequence[str], weight: float) -> tuple[float, ...]:
    """Return the probabilities of a ballot times `weight`.

    Args:
        shown: the question's own labels in the order in which their options are shown.
    """
    shares = normalise_ballot(ballot)
    return tuple(weight * shares.get(label, 0.0) for label in shown)


def _keep_labels(ballot: Ballot, labels: Sequence[str]) -> Ballot:
    """Return the ballot without labels that the question does not have; empty if no weight is left."""
    own = {label: weight for label, weight in ballot.items() if label in labels}
    return {} if is_unread(own) or not sum(own.values()) else own


def _refuse_insiders(path: Path, solved: Mapping[str, Question], report: Callable[[str], None]) -> None:
    """Refuse the answers of a run whose model was trained on a question that it answered.

    Raises:
        BadInput: the manifest beside the answers names such questions.
    """
    manifest = RunFolder(path.parent).manifest
    if not manifest.is_file():
        report(f"{path}: no {manifest.name} is beside it, so it cannot be checked that the answers are out of fold")
        return
    seen = [id for id in read_manifest(manifest).seen.get(path.stem, ()) if id in solved]
    if seen:
        raise BadInput(
            f"{path}: the model that gave these answers was trained on {len(seen)} of the questions, or on"
            f" near-duplicates of them: {list_some(seen)}; use out-of-fold answers, each by a model that was not"
            " trained on the question's fold"
        )


def _report_teacher(
    teacher: Mapping[str, Ballot], solved: Mapping[str, Question], report: Callable[[str], None]
) -> None:
    answers = {id: str(solved[id].answer) for id in teacher}
    accuracy = compute_share_right(teacher, answers)
    report(f"teacher: answers to {len(teacher)} of {len(solved)} training questions, accuracy {accuracy:.3f}")
    if accuracy >= _ALL_RIGHT and len(teacher) >= _LEAST_QUESTIONS:
        report(
            f"warning: the teacher is right on {accuracy:.1%} of the training questions; it has probably seen their"
            " answers, and nothing is gained by learning from it"
        )
