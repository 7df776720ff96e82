"""What a run leaves on disk, whole at every moment: answers, a verifier's rounds, the submission, the account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorum.files.answers import make_answers, write_answers
from quorum.files.manifest import RunManifest, write_manifest
from quorum.files.pass_result import PassResult
from quorum.files.run_folder import RunFolder
from quorum.files.submission import read_sample, write_submission
from quorum.files.verifier_log import write_verifier_log
from quorum.question import Question


@dataclass(frozen=True)
class RunOutputs:
    """Where a run writes: OUT/FILE.parquet for each question file, and OUT/submission.csv for the one submitted."""

    run: str
    out: Path
    submitted: str  # the question file, without its ending
    sample: Path | None  # the competition's sample submission; without it none is written
    prior: Mapping[str, float]  # of the labels: what fills answers that are not known

    def save(self, file: str, questions: Sequence[Question], known: PassResult) -> None:
        """Writes what is known so far of a question file; what has not been asked yet is unread."""
        answers = {question.id: known.ballots.get(question.id, {}) for question in questions}
        write_answers(make_answers(self.run, answers), RunFolder(self.out).answers(file))
        if known.verdicts:
            write_verifier_log(known.verdicts, self.out / f"{file}.rounds.parquet")
        if self.sample and file == self.submitted:
            labels = {question.id: question.labels for question in questions}
            sample = read_sample(self.sample)
            write_submission(RunFolder(self.out).submission, answers, labels, sample, self.prior)

    def close(self, account: RunManifest) -> None:
        """Writes what the run asked, and of whom."""
        write_manifest(account, RunFolder(self.out).manifest)
