"""A run as a folder of files: its answers, what it asked, and its submission."""

from dataclasses import dataclass
from pathlib import Path

from quorum.data.split_folder import HELD_OUT_FILE, TEST_FILE


@dataclass(frozen=True)
class RunFolder:
    """The files of one run; answers are named like the question file that they answer."""

    path: Path

    def answers(self, questions: str) -> Path:
        """The answers to the question file with this stem."""
        return self.path / f"{questions}.parquet"

    @property
    def test(self) -> Path:
        """The answers to the test questions."""
        return self.path / TEST_FILE

    @property
    def held_out(self) -> Path:
        """The answers to the held-out questions."""
        return self.path / HELD_OUT_FILE

    @property
    def held_out_submission(self) -> Path:
        """The held-out answers in the form of the submission, filled by the same rule: what is scored."""
        return self.path / "heldout.csv"

    @property
    def submission(self) -> Path:
        """The submission that the kernel itself wrote."""
        return self.path / "submission.csv"

    @property
    def manifest(self) -> Path:
        """What was asked of which model, and how often."""
        return self.path / "run.json"
