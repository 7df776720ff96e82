"""kill -9 at random moments: what the kernel promises of its journal and its submission."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from quorum.data.layout import Layout
from quorum.data.read import read_records
from quorum.data.repair import repair_table
from quorum.files.answers import read_answers
from quorum.files.check import check_submission
from quorum.files.kept_replies import read_kept_replies
from quorum.files.run_folder import RunFolder
from quorum.files.sample import read_sample
from tests.support.paths import ROOT

KILLS = 100
QUESTIONS = 96
SETTINGS = 'run = "r"\nquestions = ["{folder}/test.csv"]\nsample = "{folder}/sample.csv"\nout = "{folder}/{out}"\n'
SETTINGS += 'limits.batch = 4\nlimits.journal = "{folder}/{out}.sqlite"\n[backend]\nname = "fake"\n'


class Kernel:
    """A process that runs the kernel as often as it is asked to."""

    def __init__(self, folder: Path, out: str) -> None:
        self.folder, self.out = folder, out
        self.notes, self.journal = folder / f"{out}.notes", folder / f"{out}.sqlite"
        toml = folder / f"{out}.toml"
        toml.write_text(SETTINGS.format(folder=folder, out=out))
        command = [sys.executable, str(ROOT / "tests" / "support" / "killed_kernel.py"), str(toml), str(self.notes)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin
        assert self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def start(self) -> int:
        self.stdin.write("\n")
        self.stdin.flush()
        return int(self.stdout.readline())

    def status(self) -> int:
        return int(self.stdout.readline())

    def asked(self) -> list[str]:
        return self.notes.read_text().split() if self.notes.exists() else []

    def kept(self) -> set[str]:
        """The questions whose replies are committed."""
        if not self.journal.exists():
            return set()
        store = sqlite3.connect(self.journal)
        try:
            tables = store.execute("SELECT name FROM sqlite_master").fetchall()
            return {question for (question,) in store.execute("SELECT question FROM replies")} if tables else set()
        finally:
            store.close()

    def answers(self):
        return read_answers(self.folder / self.out / "test.parquet")


@pytest.fixture
def kernel(tmp_path):
    rows = [f"q{i},Which is number {i}?,\"['one {i}', 'two {i}', 'three']\"\n" for i in range(QUESTIONS)]
    (tmp_path / "test.csv").write_text("id,question,choices\n" + "".join(rows))
    (tmp_path / "sample.csv").write_text("id,answer\n" + "".join(f"q{i},A\n" for i in range(QUESTIONS)))
    kernels = []

    def started(out):
        kernels.append(Kernel(tmp_path, out))
        return kernels[-1]

    yield started
    for each in kernels:
        each.stdin.close()
        each.process.wait(60)
        each.stdout.close()


@pytest.mark.slow
def test_a_hundred_kills_lose_nothing_double_nothing_and_leave_a_legal_submission_each_time(kernel, tmp_path):
    whole, killed = kernel("whole"), kernel("killed")
    whole.start()
    assert whole.status() == 0

    sample = read_sample(tmp_path / "sample.csv")
    questions = repair_table(read_records(tmp_path / "test.csv", Layout())).questions
    labels = {question.id: question.labels for question in questions}
    chance = random.Random(7)
    kills = amid = 0
    while kills < KILLS:
        kept, noted = killed.kept(), len(killed.asked())
        run = killed.start()
        more = chance.choice((0, chance.randrange(QUESTIONS // 4)))  # half of the kills fall while a run starts
        patience = time.monotonic() + 5
        while len(killed.asked()) < noted + more and time.monotonic() < patience:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        with suppress(ProcessLookupError):  # it had ended
            os.kill(run, signal.SIGKILL)
        if killed.status() == signal.SIGKILL:
            kills += 1
            amid += 0 < len(killed.kept()) < QUESTIONS
        assert kept <= killed.kept(), "a committed reply was lost"
        assert not kept & set(killed.asked()[noted:]), "asked again though its reply was committed"
        submission = tmp_path / "killed" / "submission.csv"
        if submission.exists():
            assert check_submission(submission, sample, labels) == []
        else:
            assert not killed.asked(), "a question was asked before a submission was there"
        if killed.kept() == set(labels):  # from the start again
            compare(whole, killed)
            for path in tmp_path.glob("killed.sqlite*"):
                path.unlink()
    assert amid > KILLS / 4, "too many kills fell outside the questions to prove anything"
    killed.start()
    assert killed.status() == 0
    compare(whole, killed)


def compare(whole, killed):
    killed.start()
    assert killed.status() == 0
    assert killed.answers().equals(whole.answers())
    submissions = [(each.folder / each.out / "submission.csv").read_bytes() for each in (whole, killed)]
    assert submissions[0] == submissions[1]
    for each in (whole, killed):
        kept = read_kept_replies(RunFolder(each.folder / each.out), "test")
        assert kept
        assert kept.replies["id"].to_list() == each.answers()["id"].unique(maintain_order=True).to_list()
