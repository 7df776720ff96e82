"""Prepare a competition: read, repair and split its questions, so that no member sees a held-out answer."""

import hashlib
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from quorum.competition.folder import Competition
from quorum.competition.workspace import Workspace
from quorum.data.doctor import examine
from quorum.data.read import Table, read_records, write_questions
from quorum.data.repair import RepairedTable, answer_to_label, repair_table
from quorum.data.split import Split, select_held_out, select_training_folds, split_questions
from quorum.data.split_files import write_split_folder
from quorum.data.split_folder import SplitFolder
from quorum.disk import fingerprint
from quorum.files.submission import Sample, make_sample, read_sample, write_submission
from quorum.question import Question, label_prior

HELD_OUT_SHARE = 0.25
SPLIT_SEED = 42


@dataclass(frozen=True, kw_only=True)
class PreparedCompetition:
    """A competition whose questions are repaired, split and on disk; every run uses these files."""

    competition: Competition  # its sample submission is never None
    workspace: Workspace
    sample: Sample
    split: Split
    held_out: list[Question]  # with their answers
    test: list[Question]
    prior: Mapping[str, float]  # of the labels in the training folds
    data: str  # fingerprint of the train and the test file

    @property
    def name(self) -> str:
        return self.competition.name

    @property
    def files(self) -> SplitFolder:
        """The files that members read."""
        return self.workspace.split(self.name)

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
) -> PreparedCompetition:
    """Read, examine, repair and split a competition's questions, and write the files that its runs use.

    Args:
        held_out: share of train that is held out to score on.
        seed: of the split.
        report: is called with one line for each input file and one for the split.
    """
    folder, gold = workspace.split(competition.name), workspace.gold(competition.name)
    train, test = (read_records(path, competition.layout) for path in (competition.train, competition.test))
    repaired, asked = repair_table(train), repair_table(test)
    report(describe_train(train, repaired))
    report(describe_test(test, asked, train))
    split = split_questions(repaired.questions, held_out, seed=seed)
    learnt = list(select_training_folds(split, repaired.questions).questions)
    held = select_held_out(split, repaired.questions)
    report(f"split: {len(learnt)} train, {len(held)} held out (seed {seed}); near-duplicates kept on one side")
    write_split_folder(split, repaired.questions, folder)
    write_questions(held, gold)
    write_questions(asked.questions, folder.test)
    sample, prior = competition.sample or folder.sample, label_prior(learnt)
    if competition.sample is None:  # then one letter is expected for every test question
        write_submission(sample, {}, {}, make_sample([question.id for question in asked.questions]), prior)
    return PreparedCompetition(
        competition=replace(competition, sample=sample),
        workspace=workspace,
        sample=read_sample(sample),
        split=split,
        held_out=held,
        test=asked.questions,
        prior=prior,
        data=fingerprint_data(competition),
    )


def fingerprint_data(competition: Competition) -> str:
    """Return the SHA-256 of the train and the test file; only scores on the same data are comparable."""
    both = fingerprint(competition.train) + fingerprint(competition.test)
    return hashlib.sha256(both.encode()).hexdigest()


def describe_train(table: Table, repaired: RepairedTable) -> str:
    """Return one line on a train file: the numbers of usable, repaired and dropped rows, and a command for details."""
    dropped = {remark.row for remark in repaired.dropped}
    changed = {remark.row for remark in repaired.changes}
    labels = {
        record.row
        for record in table.records
        if record.row not in dropped and record.answer is None and answer_to_label(record) is not None
    }
    return _describe_table(
        table,
        repaired,
        [
            (len(labels), "labels repaired"),
            (len(changed - labels), "rows repaired otherwise"),
            (len(dropped), "dropped"),
        ],
    )


def describe_test(table: Table, repaired: RepairedTable, train: Table) -> str:
    """Return one line on a test file: the numbers of repaired rows and of duplicates or near-duplicates in train."""
    in_train = {
        place.row
        for finding in examine(table, train).findings
        if finding.code in ("in_train", "text_in_train", "near_train")
        for place in finding.places
    }
    counts = [
        (len({remark.row for remark in repaired.changes}), "rows repaired"),
        (len(in_train), "duplicated in train"),
        (len(repaired.dropped), "dropped"),
    ]
    return f"{_describe_table(table, repaired, counts)} --train {shlex.quote(str(train.path))}"


def _describe_table(table: Table, repaired: RepairedTable, counts: list[tuple[int, str]]) -> str:
    parts = [f"{len(table.records):,} rows", f"{len(repaired.questions):,} usable"]
    parts += [f"{count:,} {what}" for count, what in counts if count]
    return f"{table.path.name}: {', '.join(parts)}; details: quorum doctor {shlex.quote(str(table.path))}"
