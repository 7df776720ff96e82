"""What a run asked of whom, and how often: run.json beside its answers.

Two runs may be compared where they answered the same questions, in the same prompt, at the same precision; this is
what tells. There is no time in it: the same run makes the same file.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from quorum.disk import replace_file
from quorum.errors import BadInput
from quorum.files.pass_result import PassResult
from quorum.question import Question

PRECISION = ("dtype", "quantization")  # settings of a backend that say with how many bits it computes


@dataclass(frozen=True)
class RunManifest:
    """One run: fingerprint and size of each question file, what prompts are made of, precision, and prompts asked.

    `calls` are prompts by who was asked: answerer, verifier, reader. `torn` is the share of the questions shown in
    several orders whose answer hangs on the order, by file; `reread` that of the questions with a reply that the second
    reader alone could read, where there is one. `reasoning` says which questions were reasoned about, and why, where
    that was decided.
    """

    run: str
    questions: Mapping[str, str]
    counts: Mapping[str, int]
    prompt: Mapping[str, Any]
    precision: Mapping[str, Any]
    calls: Mapping[str, int]
    torn: Mapping[str, float] = field(default_factory=dict)
    reasoning: Mapping[str, Any] = field(default_factory=dict)
    reread: Mapping[str, float] = field(default_factory=dict)

    @property
    def calls_a_question(self) -> float:
        """Prompts asked of anybody for each question answered, those of the rehearsal included."""
        return sum(self.calls.values()) / max(1, sum(self.counts.values()))


def make_manifest(
    run: str,
    files: Mapping[str, Sequence[Question]],
    prompt: Mapping[str, Any],
    backend: Mapping[str, Any],
    calls: Mapping[str, int],
    known: Mapping[str, PassResult],
    reasoning: Mapping[str, Any] | None = None,
) -> RunManifest:
    """The account of a run over `files`, of which it came to know what stands in `known`."""
    return RunManifest(
        run,
        {file: fingerprint_questions(questions) for file, questions in files.items()},
        {file: len(questions) for file, questions in files.items()},
        prompt,
        {name: backend[name] for name in PRECISION if name in backend},
        calls,
        {file: sum(look.torn.values()) / len(look.torn) for file, look in known.items() if look.torn},
        reasoning or {},
        {file: len(look.reread) / max(1, len(look.ballots)) for file, look in known.items() if "reader" in calls},
    )


def list_differences(one: RunManifest, other: RunManifest) -> dict[str, str]:
    """In what two runs are not the same thing (questions, prompt, precision), each with a few words.

    Of the questions those files count that both have answered.
    """
    found = {}
    both = one.questions.keys() & other.questions.keys()
    if not both or any(one.questions[file] != other.questions[file] for file in both):
        found["questions"] = "other questions"
    for what, mine, theirs in (("prompt", one.prompt, other.prompt), ("precision", one.precision, other.precision)):
        if changed := sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)):
            found[what] = f"another {what}: " + ", ".join(
                f"{name} {mine.get(name)!r}, not {theirs.get(name)!r}" for name in changed
            )
    return found


def fingerprint_questions(questions: Sequence[Question]) -> str:
    """SHA-256 of what is asked: ids, texts, contexts and choices, in order."""
    asked = [(question.id, question.text, question.context, question.choices) for question in questions]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def write_manifest(account: RunManifest, path: Path) -> None:
    """Writes an account as JSON, whole or not at all."""
    with replace_file(path) as part:
        part.write_text(json.dumps(asdict(account), indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")


def read_manifest(path: Path) -> RunManifest:
    """The account in a JSON file.

    Raises:
        BadInput: it is none.
    """
    try:
        return RunManifest(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path}: no run's account: {error}") from None
