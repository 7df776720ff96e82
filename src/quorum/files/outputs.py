"""Write the outputs of a run, each file atomically: answers, verifier log, submission and manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorum.files.answers import make_answers, write_answers
from quorum.files.manifest import RunManifest, write_manifest
from quorum.files.pass_result import PassResult
from quorum.files.run_folder import RunFolder
from quorum.files.sample import Sample
from quorum.files.submission import write_submission
from quorum.files.verifier_log import write_verifier_log
from quorum.question import Question


@dataclass(frozen=True, kw_only=True)
class RunOutputs:
    """The files a run writes: OUT/FILE.parquet for each question file, OUT/submission.csv for the submitted one."""

    run: str
    out: Path
    submitted: str  # the name of the question file without its suffix
    sample: Sample | None  # the format of the submission; None: no submission is written
    prior: Mapping[str, float]  # of the labels; fills unread answers

    def save(self, file: str, questions: Sequence[Question], result: PassResult) -> None:
        """Write the answers to a question file so far; questions that were not asked yet are unread."""
        answers = {question.id: result.ballots.get(question.id, {}) for question in questions}
        write_answers(make_answers(self.run, answers), RunFolder(self.out).answers(file))
        if result.verdicts:
            write_verifier_log(result.verdicts, RunFolder(self.out).verdicts(file))
        if self.sample and file == self.submitted:
            labels = {question.id: question.labels for question in questions}
            choices = {question.id: question.choices for question in questions}
            write_submission(RunFolder(self.out).submission, answers, labels, self.sample, self.prior, choices=choices)

    def close(self, manifest: RunManifest) -> None:
        """Write the manifest of the finished run."""
        write_manifest(manifest, RunFolder(self.out).manifest)
