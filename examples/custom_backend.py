"""Add a backend of your own, answer a question file with it, and score the answers.

The backend prefers long options. In hand-written tests the right option is often the longest, because it is worded
most carefully; the sample has no such bias, so there the backend scores at chance.

python examples/custom_backend.py [OUT]
"""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import quorum
from quorum.config import from_table
from quorum.console import progress_bar
from quorum.errors import BadInput
from quorum.judge.session import Session
from quorum.judge.settings import RunSettings
from quorum.model.backend import Kind, register_backend
from quorum.question import Prompt, Reply

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample"


@dataclass(frozen=True)
class LongestSettings:
    """Settings in the table `[backend]`; names and types are checked before the backend is opened."""

    scale: float = field(default=10.0, metadata={"help": "Characters that make an option e times as likely."})

    def __post_init__(self) -> None:
        if self.scale <= 0:
            raise BadInput(f"backend 'longest': scale is {self.scale}; allowed is above 0")


class Longest:
    """A backend that scores an option by its length."""

    def __init__(self, settings: LongestSettings) -> None:
        self.settings = settings

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return one reply for each prompt, in the same order: log-probabilities of its labels."""
        return [self._score(prompt) for prompt in prompts]

    def _score(self, prompt: Prompt) -> Reply:
        if not prompt.labels:
            return Reply(text="")  # an open question: left unread
        lengths = [len(option) / self.settings.scale for option in prompt.options]
        total = math.log(sum(map(math.exp, lengths)))
        return Reply(
            text="", label_logprobs={label: value - total for label, value in zip(prompt.labels, lengths, strict=True)}
        )


register_backend("longest", Kind(reads_prompt=False), LongestSettings, Longest)


def main(out: Path) -> None:
    """Answer the sample's test questions, which writes a legal submission too, and score it."""
    settings = from_table(
        RunSettings,
        {
            "run": "longest",
            "questions": [str(SAMPLE / "test.csv")],
            "sample": str(SAMPLE / "sample_submission.csv"),
            "out": str(out),
            "prompt": {"style": "bare"},
            "backend": {"name": "longest", "scale": 5.0},
        },
        "custom_backend.py",
    )
    session = Session(settings, clock=time.monotonic, report=print, show_progress=progress_bar)
    session.open()
    session.answer()
    fitted = session.rehearse()
    session.refine(fitted)
    session.close(fitted)

    overall = quorum.score(out / "submission.csv", SAMPLE / "hidden" / "solution.csv").overall
    print(f"longest: {overall.value:.3f} ± {overall.error:.3f} (n = {overall.n}, {overall.unread} unread)")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/custom_backend"))
