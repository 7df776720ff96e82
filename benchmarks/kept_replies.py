"""What it costs to keep prompts and replies: bytes per question with few-shot prompts, and microseconds per reply.

python benchmarks/kept_replies.py [--questions FILE] [--pool FILE] [--shots 5] [--words 120] [--json]
python benchmarks/kept_replies.py --run kernels/encoder.toml [key=value ...]

The infer kernel answers questions (by default the sample's test) with a model that takes no time and writes `--words`
words and an answer, with keep = "all" and "answers" in turn; the difference of the median CPU times is the cost of
keeping. With `--run TOML` a real run of the infer kernel takes its place, and the CPU time within the functions that
keep is given as a share of the whole run's after the model was loaded. The examples are the same for all questions
("fixed") or drawn for each ("drawn"), or each question is asked ten times ("votes"). A cost of c per reply is 2 % of
the run time of a model that needs 50 c, which is in the table.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from quorum.console import DONE, Progress, print_json, run_program
from quorum.question import Prompt, Reply

if TYPE_CHECKING:
    from quorum.judge.session import Session
    from quorum.judge.settings import RunSettings

SAMPLE = Path("data/sample")
VOTES = 10


@dataclass(frozen=True)
class Writer:
    """A model that takes no time: its replies were made before."""

    replies: tuple[str, ...]

    def answer(self, prompts: list[Prompt]) -> list[Reply]:
        """Return one reply for each prompt, in the same order."""
        return [
            Reply(text=self.replies[hash((prompt.question_id, prompt.repeat)) % len(self.replies)])
            for prompt in prompts
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, default=SAMPLE / "test.csv", help="to answer (%(default)s)")
    parser.add_argument("--pool", type=Path, default=SAMPLE / "train.csv", help="of the examples (%(default)s)")
    parser.add_argument("--shots", type=int, default=5, help="examples in a prompt (default %(default)s)")
    parser.add_argument("--words", type=int, default=120, help="of a reply (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--run", type=Path, metavar="TOML", help="settings of a real run")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of that run")
    args = parser.parse_args()
    if args.run:
        print_json(measure_real_run(args.run, args.overrides))
        return DONE
    rows = [measure(name, args) for name in ("fixed", "drawn", "votes")]
    if args.json:
        print_json(rows)
        return DONE
    print("| prompts | n | prompt, characters | bytes per question | of them prompts | µs per reply | 2 % of, ms |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(f"{value:,.0f}" if isinstance(value, float) else str(value) for value in row.values()))
    return DONE


def measure(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Return sizes and times of one kind of prompts."""
    seconds: dict[str, list[float]] = {"all": [], "answers": []}
    with tempfile.TemporaryDirectory() as folder:
        settings = make_settings(Path(folder), name, args)
        for _ in range(args.rounds):
            for keep, taken in seconds.items():
                taken.append(run({**settings, "limits": {"keep": keep}}, args.words))
        run(settings, args.words)
        return describe(
            Path(folder) / "out", args.questions.stem, name, median(seconds["all"]) - median(seconds["answers"])
        )


def measure_real_run(toml: Path, overrides: list[str]) -> dict[str, Any]:
    """Return the CPU seconds of a run after its model was loaded, and the share of them that keeping took."""
    from quorum.config import read_config
    from quorum.files.kept_replies import ReplyLog
    from quorum.judge.keep import ReplyRecorder
    from quorum.judge.settings import RunSettings

    taken = [0.0]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as patches:
        settings = read_config(RunSettings, toml, [*overrides, f"out={folder}"])
        for owner, name in ((ReplyRecorder, "record"), (ReplyRecorder, "record_background"), (ReplyLog, "close")):
            patches.enter_context(patch.object(owner, name, timed(getattr(owner, name), taken)))
        patches.enter_context(patch.object(ReplyLog, "save", timed(ReplyLog.save, taken)))
        session = make_session(settings)
        session.open()
        begun = time.process_time()
        answer_all(session)
        whole = time.process_time() - begun
        count = sum(map(len, session.files.values()))
    return {"questions": count, "seconds": round(whole, 2), "of keeping": round(taken[0], 3), "share": taken[0] / whole}


def timed(function: Callable[..., Any], taken: list[float]) -> Callable[..., Any]:
    """Return a function that adds its CPU time to `taken`; calls within such a call count once."""

    def call(*args: Any, **kwargs: Any) -> Any:
        before, inside = time.process_time(), taken[0]
        try:
            return function(*args, **kwargs)
        finally:
            taken[0] = inside + time.process_time() - before

    return call


def describe(out: Path, file: str, name: str, cost: float) -> dict[str, Any]:
    """Return the row of one kind of prompts; `cost` is the CPU time of keeping in seconds."""
    import polars as pl

    replies, prompts = (pl.read_parquet(out / f"{file}.{kind}.parquet") for kind in ("replies", "prompts"))
    sizes = {path.name.split(".")[1]: path.stat().st_size for path in out.glob(f"{file}.*s.parquet")}
    count = replies["id"].n_unique()
    texts = prompts.explode("turns").unnest("turns")["content"]
    each = cost / len(replies) * 1e6
    return {
        "prompts": name,
        "n": count,
        "characters": float(texts.str.len_chars().mean() or 0),  # type: ignore[arg-type]
        "bytes per question": (sizes["replies"] + sizes["prompts"]) / count,
        "of prompts": sizes["prompts"] / count,
        "µs per reply": each,
        "2 % of, ms": each * 50 / 1000,
    }


def make_settings(folder: Path, name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Return the kernel's settings; fixed examples are the first solved questions."""
    from quorum.data.read import write_questions
    from quorum.data.repair import read_clean_questions

    pool = [question for question in read_clean_questions(args.pool) if question.answer]
    write_questions(pool if name == "drawn" else pool[: args.shots], folder / "examples.parquet")
    examples = {"file": str(folder / "examples.parquet"), "count": args.shots}
    votes = {"most": VOTES, "sure": 1.0, "alone": 1.0}
    return {
        "run": "kept",
        "questions": [str(args.questions)],
        "out": str(folder / "out"),
        "backend": {"name": "transformers", "model": "none", "method": "generate", "temperature": 0.7},
        "prompt": {"style": "cot", "examples": examples},
        **({"refine": {"votes": votes}} if name == "votes" else {}),
    }


def run(table: dict[str, Any], words: int) -> float:
    """Answer all questions once; return the CPU time in seconds."""
    from quorum.config import from_table
    from quorum.judge.settings import RunSettings

    writer = Writer(tuple(make_reply(number, words) for number in range(5000)))
    with patch("quorum.model.managed.open_backend", lambda table, solved: writer):
        session = make_session(from_table(RunSettings, table, "benchmark"))
        begun = time.process_time()
        session.open()
        answer_all(session)
        return time.process_time() - begun


def make_session(settings: "RunSettings") -> "Session":
    """Return a session that prints nothing."""
    from quorum.judge.session import Session

    return Session(settings, clock=time.monotonic, report=lambda line: None, show_progress=hide_progress)


def answer_all(session: "Session") -> None:
    """Take an open session to its end."""
    session.answer()
    fitted = session.rehearse()
    session.refine(fitted)
    session.close(fitted)


@contextmanager
def hide_progress(caption: str) -> Iterator[Progress]:
    """Show nothing."""
    yield lambda done, total: None


def make_reply(number: int, words: int) -> str:
    """Return words that a model might write, and an answer."""
    chance = random.Random(number)
    syllables = [chance.choice("bdfgklmnprst") + chance.choice("aeiou") for _ in range(60)]
    text = " ".join("".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(words))
    return f"{text}. The answer is {chance.choice('ABCD')}."


if __name__ == "__main__":
    run_program(main)
