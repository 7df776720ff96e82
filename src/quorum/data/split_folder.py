"""The files of a split: what may be trained on, what is held out, and the answers apart from both."""

from dataclasses import dataclass
from pathlib import Path

TEST_FILE = "test.parquet"
HELD_OUT_FILE = "heldout.parquet"


@dataclass(frozen=True)
class SplitFolder:
    """The files of a split; a training folder has its `split`, a competition's split has `test` and `sample` too."""

    path: Path

    @property
    def split(self) -> Path:
        """The fold of each question."""
        return self.path / "split.parquet"

    @property
    def train(self) -> Path:
        """The questions of the training folds, with answers."""
        return self.path / "train.parquet"

    @property
    def held_out(self) -> Path:
        """The held-out questions, without answers."""
        return self.path / HELD_OUT_FILE

    @property
    def solution(self) -> Path:
        """The answers to the held-out questions."""
        return self.path / "heldout_solution.csv"

    @property
    def test(self) -> Path:
        """The questions to submit answers for."""
        return self.path / TEST_FILE

    @property
    def sample(self) -> Path:
        """A sample submission, if the competition has none of its own."""
        return self.path / "sample_submission.csv"
