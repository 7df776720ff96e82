"""Name the files in the folder of a run: answers, manifest and submission."""

import re
from dataclasses import dataclass
from pathlib import Path

from quorum.data.split_folder import HELD_OUT_FILE, TEST_FILE
from quorum.errors import BadInput

_OTHER_TABLE = re.compile(r"\.(?:replies|prompts|background|rounds)$")  # beside the answers, in the stem of a file


@dataclass(frozen=True)
class RunFolder:
    """The files of one run; a file of answers has the name of its question file."""

    path: Path

    def answers(self, questions: str) -> Path:
        """Return the file with the answers to the question file with this stem.

        Raises:
            BadInput: a table that is kept beside the answers has this name.
        """
        if found := _OTHER_TABLE.search(questions):
            raise BadInput(
                f"questions: a file called {questions!r} would have its answers where a run keeps another table; rename"
                f" it, so that its name does not end with {found[0]!r}"
            )
        return self.path / f"{questions}.parquet"

    def list_answered(self) -> list[str]:
        """Return the names (without ending) of the question files that the run has answered."""
        return sorted(path.stem for path in self.path.glob("*.parquet") if not _OTHER_TABLE.search(path.stem))

    def replies(self, questions: str) -> Path:
        """Return the file with every reply to the question file with this stem, and what was parsed from it."""
        return self.path / f"{questions}.replies.parquet"

    def prompts(self, questions: str) -> Path:
        """Return the file with the prompts of these replies, each once."""
        return self.path / f"{questions}.prompts.parquet"

    def background(self, questions: str) -> Path:
        """Return the file that lists what was retrieved for each question, with scores."""
        return self.path / f"{questions}.background.parquet"

    def parts(self, questions: str) -> Path:
        """Return the folder of prompts and replies of a run that is not finished, or was killed."""
        return self.path / f"{questions}.parts"

    def verdicts(self, questions: str) -> Path:
        """Return the file with the verifier's verdicts, round by round."""
        return self.path / f"{questions}.rounds.parquet"

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
        """The held-out answers in the form of the submission, with the same filling; they are scored."""
        return self.path / "heldout.csv"

    @property
    def submission(self) -> Path:
        """The submission that the kernel wrote."""
        return self.path / "submission.csv"

    @property
    def manifest(self) -> Path:
        """The run manifest: what was asked of which model, and how often."""
        return self.path / "run.json"
