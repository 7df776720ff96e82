"""Offer the main steps as functions: `import quorum` for notebooks and scripts, and the command line, call them.

They take paths as text or `Path`, return records, and raise `BadInput` for wrong input. They never print and never
exit.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorum.competition.submit import SubmissionResult
    from quorum.evaluation.compare import Comparison
    from quorum.evaluation.metrics import Scores
    from quorum.files.check import Problem
    from quorum.files.submission import Form
    from quorum.judge.poll import Poll
    from quorum.question import Question

PathLike = str | Path


def read(file: PathLike) -> "list[Question]":
    """Return the questions of a file, repaired as `quorum doctor FILE --repair` repairs them.

    Raises:
        BadInput: the file cannot be read as questions.
    """
    from quorum.data.repair import read_clean_questions

    return read_clean_questions(Path(file))


def submit(
    folder: PathLike,
    members: Sequence[PathLike] = (),
    *,
    workspace: PathLike = ".",
    held_out: float = 0.25,
    seed: int = 42,
    report: Callable[[str], None] = lambda line: None,
) -> "SubmissionResult":
    """Answer, check and score a competition's submissions, as `quorum submit FOLDER` does.

    Args:
        folder: the competition's folder, with train, test and sample submission.
        members: settings (TOML files) of the infer kernel; the default members if empty.
        workspace: the folder for submissions, runs and the ledger.
        held_out: share of train to hold out and score on.
        seed: seed of the split.
        report: is called with one line after each step; pass `print` to see progress.

    Raises:
        BadInput: a file is missing or wrong.
        KernelFailed: a member's process failed.
    """
    from quorum.competition.submit import submit_competition
    from quorum.competition.workspace import Workspace

    toml_files = [Path(member) for member in members]
    return submit_competition(
        Path(folder), Workspace(Path(workspace)), toml_files, held_out=held_out, seed=seed, report=report
    )


def score(
    submission: PathLike,
    solution: PathLike,
    metric: str = "accuracy",
    *,
    questions: PathLike | None = None,
    answer_column: str | None = None,
    seed: int = 42,
) -> "Scores":
    """Score a submission, or a run's answers, against a solution, with standard errors and intervals.

    Args:
        questions: a question file, for subjects, and for the groups of the standard error.
        answer_column: column of the solution with the answers, if it is not detected.
        seed: seed of the simulated public part and of macro-F1's bootstrap.

    Raises:
        BadInput: a file cannot be read, or the metric is unknown.
    """
    from quorum.evaluation.metrics import check_metric, score_answers
    from quorum.files.solution import add_subjects, read_ballots, read_solution

    check_metric(metric)
    rows = read_solution(Path(solution), answer_column)
    if questions and rows:
        rows = add_subjects(rows, Path(questions))
    return score_answers(read_ballots(Path(submission)), rows, metric, seed)


def compare(
    runs: Sequence[PathLike],
    gold: PathLike,
    metric: str = "accuracy",
    *,
    groups: PathLike | None = None,
    seed: int = 42,
) -> "Comparison":
    """Compare runs question by question: paired differences, tests with Holm's correction, smallest detectable one.

    Args:
        gold: CSV of id and answer.
        groups: CSV of id and group, for questions that belong together.
        seed: seed of macro-F1's bootstrap.

    Raises:
        BadInput: a file cannot be read, or the metric is unknown.
    """
    from quorum.evaluation.compare import compare_runs
    from quorum.files.answers import ballots_from_answers
    from quorum.files.runs import read_labels, read_runs
    from quorum.files.solution import SolvedRow

    grouped = read_labels(Path(groups), "group") if groups else {}
    answers = read_labels(Path(gold), "answer")
    solution = [SolvedRow(id=id, answer=answer, group=grouped.get(id)) for id, answer in answers.items()]
    frames = read_runs([Path(run) for run in runs]).partition_by("run", maintain_order=True)
    ballots = {frame["run"][0]: ballots_from_answers(frame) for frame in frames}
    return compare_runs(ballots, solution, metric, seed)


def vote(
    runs: Sequence[PathLike],
    out: PathLike | None = None,
    *,
    gold: PathLike | None = None,
    method: str = "auto",
    questions: PathLike | None = None,
    subjects: PathLike | None = None,
) -> "Poll":
    """Combine runs into one: select a voting rule and apply it.

    Args:
        out: CSV of id and answer to write; a question that no run answers gets an empty answer.
        gold: CSV of id and answer, the labelled questions to select the rule on.
        method: a method of `quorum vote --help`.
        questions: a question file; votes for a label that a question does not have are ignored.
        subjects: CSV of id and subject; weights may then differ by subject.

    Raises:
        BadInput: a file cannot be read, or the method is unknown or needs `gold`.
    """
    from quorum.data.repair import read_clean_questions
    from quorum.files.cells import write_cells
    from quorum.files.runs import read_labels, read_runs
    from quorum.judge.poll import GoldQuestions, poll

    result = poll(
        read_runs([Path(run) for run in runs]),
        GoldQuestions(answers=read_labels(Path(gold), "answer")) if gold else None,
        method=method,
        labels={each.id: each.labels for each in read_clean_questions(Path(questions))} if questions else None,
        subjects=read_labels(Path(subjects), "subject") if subjects else None,
    )
    if out is not None:
        write_cells(Path(out), ("id", "answer"), [(id, label or "") for id, label in result.answers_by_id().items()])
    return result


def check(
    submission: PathLike, sample: PathLike, *, questions: PathLike | None = None, form: "Form | None" = None
) -> "list[Problem]":
    """Return the problems of a submission, compared with the sample submission; empty if it has none.

    Args:
        questions: a question file; answers must then be labels of their own question.
        form: the format of an answer, if it is not detected from the sample.

    Raises:
        BadInput: a file cannot be read.
    """
    from quorum.data.read import read_records
    from quorum.files.check import check_submission
    from quorum.files.submission import read_sample
    from quorum.question import letters

    records = read_records(Path(questions)).records if questions else ()
    labels = {record.id: letters(len(record.choices)) for record in records}
    return check_submission(Path(submission), read_sample(Path(sample), form=form), labels)
