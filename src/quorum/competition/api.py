"""Offer the main steps as functions: `import quorum` for notebooks and scripts, and the command line, call them.

They take paths as text or `Path`, return records, and raise `BadInput` for wrong input. They never print and never
exit.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from quorum.ballot import Ballot
    from quorum.competition.submit import SubmissionResult
    from quorum.data.read import Table
    from quorum.evaluation.compare import Comparison
    from quorum.evaluation.metrics import Scores
    from quorum.files.check import Problem
    from quorum.files.runs import ReadingOptions
    from quorum.files.sample import Sample
    from quorum.files.solution import Solution, SolvedRow
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
    form: str | None = None,
    models: Sequence[PathLike] = (),
    hours: float | None = None,
    fresh: bool = False,
    folds: int | None = None,
    test_by: Literal["refit", "average"] = "refit",
    report: Callable[[str], None] = lambda line: None,
) -> "SubmissionResult":
    """Answer, check and score a competition's submissions, as `quorum submit FOLDER` does.

    Args:
        folder: the competition: train, test and sample submission.
        members: TOML files of the infer kernel; without any the default members answer.
        workspace: where submissions, runs and the ledger go.
        held_out: share of train that is held out to score on.
        form: how the submission writes an answer, if train and the sample do not show it.
        models: language models, folders or hub ids, that answer too, as they are and tuned.
        hours: most hours that this may take.
        fresh: repeat everything, even what an earlier call finished in this workspace.
        folds: 2 or more: score on all labels, each held out in one of so many folds, instead of on `held_out`;
            None: 1, or more if there is time within `hours`.
        test_by: with folds, test is answered by a "refit" on all labels, or by the "average" of the folds' members.
        report: takes a line after each step; pass `print` to follow.

    Raises:
        BadInput: a file is missing or wrong.
        KernelFailed: a member's process failed.
    """
    from quorum.competition.submit import submit_competition
    from quorum.competition.workspace import Workspace

    toml_files = [Path(member) for member in members]
    return submit_competition(
        Path(folder),
        Workspace(Path(workspace)),
        toml_files,
        held_out=held_out,
        seed=seed,
        form=form,
        models=[str(model) for model in models],
        hours=hours,
        fresh=fresh,
        folds=folds,
        test_by=test_by,
        report=report,
    )


def score(
    submission: PathLike,
    solution: PathLike,
    metric: str = "accuracy",
    *,
    questions: PathLike | None = None,
    column: str | None = None,
    answer_column: str | None = None,
    form: str | None = None,
    seed: int = 42,
    report: Callable[[str], None] = lambda line: None,
) -> "Scores":
    """Score a submission, or a run's answers, against a solution, with standard errors and intervals.

    Args:
        submission: a run of any tool (see `quorum vote --help`).
        solution: id and answer, or a file of labelled questions.
        questions: a question file; adds subjects, and groups for the standard error, and says what options mean.
        column: of the submission, if it is not detected.
        answer_column: of the solution, if it is not detected.
        form: index0 or index1, if the submission has indices and does not show from which number they count.
        seed: of the simulated public part and of macro-F1's bootstrap.
        report: takes a line on what was set aside.

    Raises:
        BadInput: a file cannot be read, the labels cannot be compared, or the metric is unknown.
    """
    from quorum.data.read import read_records
    from quorum.evaluation.metrics import check_metric, score_answers
    from quorum.files.runs import read_ballots
    from quorum.files.solution import add_subjects, read_solution

    check_metric(metric)
    gold = read_solution(Path(solution), answer_column)
    table = read_records(Path(questions)) if questions else None
    ballots, rows = read_ballots(Path(submission), gold, _reading_options(table, column, form, report))
    _report_solution(gold, rows, ballots, report)
    return score_answers(ballots, add_subjects(rows, table) if table and rows else rows, metric, seed)


def compare(
    runs: Sequence[PathLike],
    gold: PathLike,
    metric: str = "accuracy",
    *,
    groups: PathLike | None = None,
    questions: PathLike | None = None,
    form: str | None = None,
    seed: int = 42,
    report: Callable[[str], None] = lambda line: None,
) -> "Comparison":
    """Compare runs question by question: paired differences, tests with Holm's correction, smallest detectable one.

    Args:
        gold: id and answer, or a file of labelled questions.
        groups: CSV of id and group: questions that belong together.
        questions: a question file; says what options mean.
        form: index0 or index1, if the runs have indices and do not show from which number they count.
        report: takes a line on what was set aside.

    Raises:
        BadInput: a file cannot be read, the labels cannot be compared, or the metric is unknown.
    """
    from dataclasses import replace

    from quorum.data.read import read_records
    from quorum.evaluation.compare import compare_runs
    from quorum.evaluation.metrics import check_metric
    from quorum.files.answers import ballots_from_answers
    from quorum.files.runs import read_labels, read_runs_and_solution
    from quorum.files.solution import read_solution

    check_metric(metric)
    solution = read_solution(Path(gold))
    table = read_records(Path(questions)) if questions else None
    options = replace(_reading_options(table, None, form, report), keep_repeats=metric.startswith("map@"))
    answers, rows = read_runs_and_solution([Path(run) for run in runs], solution, options)
    if groups:
        grouped = read_labels(Path(groups), "group")
        rows = [replace(row, group=grouped.get(row.id)) for row in rows]
    frames = answers.partition_by("run", maintain_order=True)
    return compare_runs({frame["run"][0]: ballots_from_answers(frame) for frame in frames}, rows, metric, seed)


def vote(
    runs: Sequence[PathLike],
    out: PathLike | None = None,
    *,
    gold: PathLike | None = None,
    method: str = "auto",
    questions: PathLike | None = None,
    subjects: PathLike | None = None,
    sample: PathLike | None = None,
    train: PathLike | None = None,
    column: str | None = None,
    form: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> "Poll":
    """Combine runs into one: select a voting rule and apply it.

    Args:
        out: CSV of id and answer to write; a question that no run has read gets an empty answer.
        gold: labelled questions to select the rule on: id and answer, or a file of questions.
        method: a method of `quorum vote --help`.
        questions: a question file; a label that a question lacks is no vote.
        subjects: CSV of id and subject: weights may then differ by subject.
        sample: the sample submission, in whose form `out` is written; a question that no run has read is then filled.
        train: solved questions; they show how answers are written, and their label shares fill unread ones.
        column: of tables, if it is not detected.
        form: how answers are written, if it is not detected.
        report: takes a line on what was set aside.

    Raises:
        BadInput: a file cannot be read, or the method is unknown or needs `gold`.
    """
    from quorum.files.runs import read_labels, read_runs, read_runs_and_solution
    from quorum.files.solution import read_solution
    from quorum.judge.poll import GoldQuestions, poll
    from quorum.judge.vote_files import VoteFiles, write_vote

    files = VoteFiles.read(questions, sample, train, form)
    options = files.reading_options(column, form, report)
    paths = [Path(run) for run in runs]
    if gold:
        answers, rows = read_runs_and_solution(paths, read_solution(Path(gold)), options)
        labelled = GoldQuestions(answers={row.id: row.answer for row in rows})
    else:
        answers, labelled = read_runs(paths, options), None
    result = poll(
        answers,
        labelled,
        method=method,
        labels=files.labels or None,
        subjects=read_labels(Path(subjects), "subject") if subjects else None,
    )
    if out is not None:
        write_vote(Path(out), result, files)
    return result


def _reading_options(
    questions: "Table | None", column: str | None, form: str | None, report: Callable[[str], None]
) -> "ReadingOptions":
    from quorum.files.form_setting import parse_form
    from quorum.files.runs import ReadingOptions

    choices = {record.id: record.choices for record in questions.records if record.choices} if questions else None
    style = parse_form(form).style if form else None
    return ReadingOptions(column=column, style=style, choices=choices, report=report)


def _report_solution(
    solution: "Solution",
    rows: "Sequence[SolvedRow]",
    ballots: "Mapping[str, Ballot]",
    report: Callable[[str], None],
) -> None:
    """Report questions without a right answer, and those that the run lacks."""
    if solution.unsolved:
        report(f"{solution.path}: {solution.unsolved} questions without a usable answer are not scored")
    lacking = sum(row.id not in ballots for row in rows)
    if lacking:
        report(f"{lacking} of {len(rows)} questions are not in the run; they count as unread, and as wrong")


def check(
    submission: PathLike,
    sample: PathLike,
    *,
    questions: PathLike | None = None,
    train: PathLike | None = None,
    form: str | None = None,
) -> "list[Problem]":
    """Return the problems of a submission, compared with the sample submission; empty if it has none.

    Args:
        questions: a question file; answers must then be labels of their own question.
        train: solved questions; they show how answers are written where the sample holds placeholders.
        form: how the submission writes an answer, if train and the sample do not show it.

    Raises:
        BadInput: a file cannot be read.
    """
    from quorum.files.check import check_submission

    expected, labels, choices = read_expected(sample, questions=questions, train=train, form=form)
    return check_submission(Path(submission), expected, labels, choices)


def read_expected(
    sample: PathLike, *, questions: PathLike | None, train: PathLike | None, form: str | None
) -> "tuple[Sample, dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]":
    """Return a sample submission to check against, and the labels and the option texts of the questions by id.

    The sample's form is "any" if neither its cells nor train nor `form` shows how answers are written.

    Raises:
        BadInput: a file cannot be read.
    """
    from quorum.data.read import read_records
    from quorum.files.sample import read_sample
    from quorum.files.train_answers import collect_evidence
    from quorum.question import letters

    records = read_records(Path(questions)).records if questions else ()
    labels = {record.id: letters(len(record.choices)) for record in records}
    choices = {record.id: record.choices for record in records if record.choices}
    evidence = collect_evidence(read_records(Path(train)) if train else None, choices if records else None)
    return read_sample(Path(sample), form, evidence, structure_only=True), labels, choices
