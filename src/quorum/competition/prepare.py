"""Prepare a competition: read, repair and split its questions, so that no member sees a held-out answer."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from quorum.competition.folder import DESCRIPTION_FILE, Competition
from quorum.competition.read_files import describe_test, describe_train, drop_passages, read_train_and_test
from quorum.competition.workspace import ALL_LABELS, Workspace
from quorum.data.folds import split_into_folds
from quorum.data.read import Table, write_questions
from quorum.data.repair import repair_table
from quorum.data.split import Split, select_training_folds, split_questions
from quorum.data.split_files import write_questions_of_folds, write_split_folder
from quorum.data.split_folder import SplitFolder
from quorum.disk import fingerprint
from quorum.errors import BadInput, list_some
from quorum.evaluation.ledger import read_ledger
from quorum.files.run_folder import RunFolder
from quorum.files.sample import Sample, make_default_sample, read_sample
from quorum.files.solution import Solution, read_solution
from quorum.files.submission import write_submission
from quorum.files.train_answers import collect_evidence
from quorum.question import Question, label_prior

HELD_OUT_SHARE = 0.25
SPLIT_SEED = 42


@dataclass(frozen=True, kw_only=True)
class PreparedCompetition:
    """A competition whose questions are repaired, split and on disk; every run uses these files.

    `part` names a part of a competition with folds (see competition/folds.py). Of a whole competition with folds every
    labelled question is in `held_out`, because each is held out once.
    """

    competition: Competition  # its sample submission and its metric are never None
    workspace: Workspace
    sample: Sample
    split: Split
    held_out: list[Question]  # with their answers
    test: list[Question]
    prior: Mapping[str, float]  # of the labels that the answers to the test questions may use
    data: str  # fingerprint of the train and the test file
    solution: Solution | None  # the hidden answers to the test questions
    until: float | None = None  # time.monotonic() at which a member's process is killed; None: no limit
    folds: int = 1  # how many the scored questions were held out in; 1: in one fold
    part: str = ""
    asked: tuple[Literal["test", "held-out"], ...] = ("test", "held-out")  # the questions that members are asked

    @property
    def name(self) -> str:
        return self.competition.name

    @property
    def metric(self) -> str:
        """The metric of the competition's scores."""
        return self.competition.metric or "accuracy"

    @property
    def files(self) -> SplitFolder:
        """The files that members read."""
        return self.workspace.split(self.name, self.part)

    @property
    def test_file(self) -> Path:
        """The questions to submit answers for, which all parts share."""
        return self.workspace.split(self.name).test

    @property
    def train_file(self) -> Path:
        """The solved questions that answers to the test questions may use."""
        return self.workspace.split(self.name, ALL_LABELS).train if self.folds > 1 else self.files.train

    @cached_property
    def _prior_of_fold(self) -> dict[int, dict[str, float]]:
        """The label shares of the questions outside each fold."""
        fold_of = self.split.fold_of
        return {
            fold: label_prior([question for question in self.held_out if fold_of[question.id] != fold])
            for fold in self.split.folds
        }

    def find_prior(self, id: str) -> Mapping[str, float]:
        """Return the label shares that may fill the answer to a held-out question: those outside its fold."""
        return self._prior_of_fold[self.split.fold_of[id]] if self.folds > 1 else self.prior

    def run(self, name: str) -> RunFolder:
        """Return the folder of a run."""
        return self.workspace.run(self.name, name, self.part)

    @property
    def gold(self) -> Path:
        """The held-out questions with their answers, which only the vote may read."""
        return self.workspace.gold(self.name)

    @property
    def clusters(self) -> dict[str, int]:
        """The cluster of near-duplicates that each question of the split is in."""
        return dict(self.split.frame.select("id", "cluster").iter_rows())


def prepare_competition(
    competition: Competition,
    workspace: Workspace,
    held_out: float = HELD_OUT_SHARE,
    seed: int = SPLIT_SEED,
    report: Callable[[str], None] = lambda line: None,
    folds: int = 1,
) -> PreparedCompetition:
    """Read, examine, repair and split a competition's questions, and write the files that its runs use.

    Args:
        held_out: share of train that is held out to score on; of no importance with several folds.
        seed: of the split.
        folds: 2 or more: every labelled question is held out, in one of so many folds.
        report: is called with one line for each input file and one for the split.
    """
    folder, gold = workspace.split(competition.name), workspace.gold(competition.name)
    train, test = read_train_and_test(competition)
    for table in (train, test):
        report(f"{table.path.name}: {table.roles}")
    if competition.unused:
        report(f"files not used: {', '.join(path.name for path in competition.unused)}")
    if train.layout.context is not None and test.layout.context is None:
        report(f"{train.path.name}: column {train.layout.context!r} is left out, because {test.path.name} lacks it")
        train = drop_passages(train)
    repaired, asked = repair_table(train), repair_table(test)
    for line in filter(None, (train.source, test.source)):
        report(line)
    report(describe_train(train, repaired))
    report(describe_test(test, asked, train))
    sample = _read_sample(competition, folder.sample, train, asked.questions, report)
    split = _divide(repaired.questions, folder, held_out, folds, seed=seed, report=report)
    held = [question for question in repaired.questions if question.id in split.scored]
    write_questions(held, gold)
    write_questions(asked.questions, folder.test)
    prior = label_prior(list(select_training_folds(split, repaired.questions).questions))
    data = fingerprint_data(competition)
    _report_shared_name(competition.name, data, workspace, report)
    metric = _choose_metric(competition, sample, report)
    return PreparedCompetition(
        competition=replace(
            competition,
            sample=competition.sample or folder.sample,
            metric=metric,
        ),
        workspace=workspace,
        sample=sample,
        split=split,
        held_out=held,
        test=asked.questions,
        prior=prior,
        data=data,
        folds=folds,
        solution=_check_solution(competition, asked.questions, report),
    )


def _divide(
    questions: Sequence[Question],
    folder: SplitFolder,
    held_out: float,
    folds: int,
    *,
    seed: int,
    report: Callable[[str], None],
) -> Split:
    """Hold out a share of the questions, or each of them once in folds, and write the files that members read."""
    if folds > 1:
        split = split_into_folds(questions, folds, seed)
        report(
            f"split: {len(questions)} labelled, each held out once in {folds} folds (seed {seed}); near-duplicates kept"
            " in one fold"
        )
        write_questions_of_folds(split, questions, folder)
        return split
    split = split_questions(questions, held_out, seed=seed)
    held = len(split.held_out)
    report(f"split: {len(questions) - held} train, {held} held out (seed {seed}); near-duplicates kept on one side")
    write_split_folder(split, questions, folder)
    return split


def _read_sample(
    competition: Competition, default: Path, train: Table, test: Sequence[Question], report: Callable[[str], None]
) -> Sample:
    """Read the sample submission; without one, write one in `default` that answers as train does."""
    choices = {question.id: question.choices for question in test if question.choices}
    evidence = collect_evidence(train, choices)
    if competition.sample is None:
        blank = make_default_sample([question.id for question in test], competition.form, evidence)
        labels = {question.id: question.labels for question in test}
        write_submission(default, {}, labels, blank, {}, choices=choices)
        sample = read_sample(default, blank.setting)
        report(f"no sample submission: {sample.describe()}, as {train.path.name} writes them")
        return sample
    sample = read_sample(competition.sample, competition.form, evidence)
    report(f"{competition.sample.name}: {sample.describe()}")
    known = set(sample.ids)
    missing = [repr(question.id) for question in test if question.id not in known]
    if missing:
        raise BadInput(f"{competition.sample}: no row for {list_some(missing)} of {competition.test.name}")
    return sample


def _report_shared_name(name: str, data: str, workspace: Workspace, report: Callable[[str], None]) -> None:
    """Report submissions of other data under the same name: another folder, or files that have changed."""
    others = {entry.data for entry in read_ledger(workspace.ledger) if entry.competition == name} - {data}
    if others:
        report(
            f"{workspace.ledger}: has submissions of other data under the name {name!r} (another folder, or files that"
            f" changed); scores are kept apart, files are overwritten; set name in {DESCRIPTION_FILE} to keep both"
        )


def _check_solution(
    competition: Competition, test: Sequence[Question], report: Callable[[str], None]
) -> Solution | None:
    """Return the solution; None, which is reported, if a file that was found by its name does not solve the test."""
    solution = read_known_solution(competition, report)
    if solution is None or competition.solution_is_named:
        return solution
    name, known = solution.path.name, {row.id for row in solution.rows}
    lacking = [question.id for question in test if question.id not in known]
    if lacking:
        report(f"{name}: not used as a solution: it lacks {len(lacking)} of {len(test)} questions of the test file")
        return None
    report(f"{name}: used as the solution of {competition.test.name}, for the scores beside the submissions")
    return solution


def read_known_solution(competition: Competition, report: Callable[[str], None]) -> Solution | None:
    """Return the solution, if there is one; a file that was found by its name and is none is reported.

    Raises:
        BadInput: the solution in quorum.toml cannot be read.
    """
    if competition.solution is None:
        return None
    try:
        return read_solution(competition.solution)
    except BadInput as error:
        if competition.solution_is_named:
            raise
        report(f"{competition.solution.name}: not used as a solution: {error}")
        return None


def _choose_metric(competition: Competition, sample: Sample, report: Callable[[str], None]) -> str:
    """Return the metric of quorum.toml, else the one that the sample submission suggests, which is reported.

    Raises:
        BadInput: the sample submission has no room for what the metric needs.
    """
    if competition.metric is not None:
        _check_metric_of_sample(competition.metric, sample)
        return competition.metric
    if sample.metric is None:
        return "accuracy"
    shown = f"lists {sample.k} labels" if sample.form == "ranked" else "holds probabilities"
    report(f"metric: {sample.metric}, because the sample {shown}; set metric in {DESCRIPTION_FILE} to change it")
    return sample.metric


def _check_metric_of_sample(metric: str, sample: Sample) -> None:
    """Refuse a metric that needs more than the sample submission has room for.

    Raises:
        BadInput: the metric is log-loss and the sample has no probabilities, or it is map@K and the sample ranks fewer
            than K labels.
    """
    has_shares = sample.form in ("probability", "probabilities")
    most = re.fullmatch(r"map@(\d+)", metric)
    if metric == "log-loss" and not has_shares:
        needed = "probabilities"
    elif most and not has_shares and int(most[1]) > (sample.k if sample.form == "ranked" else 1):
        needed = f"{most[1]} labels in each row"
    else:
        return
    raise BadInput(f"{DESCRIPTION_FILE}: metric {metric!r} needs {needed}, and the sample has {sample.describe()}")


def fingerprint_data(competition: Competition) -> str:
    """Return the SHA-256 of the train and the test file; only scores on the same data are comparable."""
    both = fingerprint(competition.train) + fingerprint(competition.test)
    return hashlib.sha256(both.encode()).hexdigest()
