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


@dataclass(frozen=True, kw_only=True)
class RunManifest:
    """What a run asked: question files, prompts, precision, and calls.

    `questions` holds a fingerprint and `counts` the number of questions by file; `calls` are prompts by who was asked
    (answerer, verifier, reader). `order_sensitive` is, by file, the share of the questions shown in several option
    orders whose answer changes with the order; `reread` the share with a reply that only the second reader could parse.
    `reasoning` says which questions were reasoned about, and on what evidence.
    """

    run: str
    questions: Mapping[str, str]
    counts: Mapping[str, int]
    prompt: Mapping[str, Any]
    precision: Mapping[str, Any]
    calls: Mapping[str, int]
    order_sensitive: Mapping[str, float] = field(default_factory=dict)
    reasoning: Mapping[str, Any] = field(default_factory=dict)
    reread: Mapping[str, float] = field(default_factory=dict)

    @property
    def calls_a_question(self) -> float:
        """Prompts asked of any model for each question answered, those of the rehearsal included."""
        return sum(self.calls.values()) / max(1, sum(self.counts.values()))


def make_manifest(
    run: str,
    files: Mapping[str, Sequence[Question]],
    prompt: Mapping[str, Any],
    backend: Mapping[str, Any],
    calls: Mapping[str, int],
    results: Mapping[str, PassResult],
    reasoning: Mapping[str, Any] | None = None,
) -> RunManifest:
    """Return the manifest of a run over `files`; `results` are its answers by file."""
    sensitive = {file: list(result.order_sensitive.values()) for file, result in results.items()}
    return RunManifest(
        run=run,
        questions={file: fingerprint_questions(questions) for file, questions in files.items()},
        counts={file: len(questions) for file, questions in files.items()},
        prompt=prompt,
        precision={name: backend[name] for name in PRECISION if name in backend},
        calls=calls,
        order_sensitive={file: sum(changes) / len(changes) for file, changes in sensitive.items() if changes},
        reasoning=reasoning or {},
        reread={
            file: len(result.reread) / max(1, len(result.ballots))
            for file, result in results.items()
            if "reader" in calls
        },
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
        table = json.loads(path.read_text(encoding="utf-8"))
        if "torn" in table:  # its name before 0.2
            table["order_sensitive"] = table.pop("torn")
        return RunManifest(**table)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path}: no run's account: {error}") from None
