"""Kill `quorum submit` at random times until it is finished, and compare with a run that nobody killed.

    python benchmarks/resume.py --kills 100
    python benchmarks/resume.py --kills 20 --train
    python benchmarks/resume.py --kills 12 --train --competition data/sample

Members: a model behind a server on this machine whose every reply is different and counted, asked in two styles; with
--train the fine-tuned sentence encoder too; and their vote. Half of the kills hit `quorum submit` alone, half its
kernel too. After each kill no stored reply and no finished step may be lost, and nothing stored may be asked again;
each round has to end with the submissions and ledger of the run that nobody killed. Prints JSON; exit code 1: a promise
is broken.
"""

import argparse
import json
import random
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from counted_server import CountedModel
from forked_verbs import ForkedVerb, VerbServer

from quorum.console import DONE, FOUND, print_json, print_status, run_program

SERVER_TOML = """run = "{run}"
questions = ["test.csv"]
out = "out"
prompt.style = "{style}"
limits.batch = {batch}
[backend]
name = "endpoint"
model = "counted"
base_url = "{url}"
method = "generate"
concurrency = 1
"""
ENCODER_TOML = """run = "small-tuned"
questions = ["test.csv"]
out = "out"
prompt.style = "bare"
limits.batch = {batch}
[backend]
name = "encoder"
model = "replaced"
"""
TRAINING_TOML = """run = "train-small"
train = "train.csv"
out = "out"
rows.style = "bare"
[trainer]
name = "encoder"
epochs = {epochs}
frozen_layers = 5
max_tokens = 64
save_every = {save_every}
keep = 1
"""
CIRCUMSTANCES = ("when", "seconds", "commit")  # of a ledger entry


@dataclass(kw_only=True)
class Round:
    """What one workspace went through until `quorum submit` was finished."""

    kills: int = 0
    lost: list[str] = field(default_factory=list)  # broken promises
    repeated: int = 0  # calls of the server for a prompt that it had answered before
    calls: int = 0
    inside: Counter[str] = field(default_factory=Counter)  # what was going on when a kill came


class KilledSubmit:
    """`quorum submit` in a workspace of its own."""

    def __init__(
        self, workspace: Path, competition: Path, members: list[Path], model: CountedModel, server: VerbServer
    ) -> None:
        self.workspace, self.model, self.server = workspace, model, server
        workspace.mkdir(parents=True)
        self.words = ["submit", str(competition)]
        for member in members:
            self.words += ["--member", str(member)]

    def start(self) -> ForkedVerb:
        """Start it in a process group of its own."""
        return self.server.start(self.words, self.workspace)

    def finish(self) -> str:
        """Run it to its end; return what it printed."""
        printed: str = self.server.run(self.words, self.workspace)
        return printed

    def kill_after(self, seconds: float, kernel_too: bool) -> bool:
        """Start it and kill it; return False if it was finished before."""
        process = self.start()
        code = process.wait(seconds)
        if code is None and process.kill(kernel_too):
            return True
        if code := process.poll():
            raise SystemExit(f"quorum submit ended with code {code}: {process.printed[-2000:]}")
        return False

    def read_replies(self) -> dict[bytes, str]:
        """Return the stored replies of all journals by their keys."""
        found: dict[bytes, str] = {}
        for journal in self.workspace.glob("runs/*/*/journal.sqlite"):
            with suppress(sqlite3.OperationalError), sqlite3.connect(journal, timeout=60) as store:
                found |= dict(store.execute("SELECT key, reply FROM replies").fetchall())
        return found

    def read_finished(self) -> dict[str, str]:
        """Return the finished steps and the time at which each was finished."""
        records = {path.parent.name: json.loads(path.read_text()) for path in self.workspace.glob("runs/*/*/step.json")}
        return {name: record["finished"] for name, record in records.items() if record["outputs"]}

    def read_ledger(self) -> list[dict[str, Any]]:
        """Return the entries of the ledger without their circumstances."""
        path = self.workspace / "submissions" / "ledger.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        entries = [json.loads(line) for line in lines]
        return [{name: value for name, value in entry.items() if name not in CIRCUMSTANCES} for entry in entries]

    def read_submissions(self) -> dict[str, bytes]:
        """Return the submission files by name."""
        return {path.name: path.read_bytes() for path in self.workspace.glob("submissions/*.csv")}

    def describe_state(self) -> str:
        """Return the step that has begun and is not finished."""
        for path in self.workspace.glob("runs/*/*/step.json"):
            if not json.loads(path.read_text())["outputs"]:
                return path.parent.name
        return "before a step or between two"


def run_round(killed: KilledSubmit, whole: KilledSubmit, longest: float, draw: random.Random, most: int) -> Round:
    """Kill `quorum submit` at random times, at most `most` times, until it is finished; check all promises."""
    found = Round()
    before = killed.model.calls.copy()
    replies, finished = killed.read_replies(), killed.read_finished()
    while found.kills < most and killed.kill_after(draw.uniform(0, longest), draw.random() < 0.5):
        found.kills += 1
        state = killed.describe_state()
        found.inside[state] += 1
        now, done = killed.read_replies(), killed.read_finished()
        found.lost += [f"kill {found.kills}: a stored reply is lost or was asked again"] * (
            not replies.items() <= now.items()
        )
        found.lost += [f"kill {found.kills}: a finished step is lost or was repeated"] * (
            not finished.items() <= done.items()
        )
        expected = whole.read_submissions()
        found.lost += [
            f"kill {found.kills}: {name} differs"
            for name, content in killed.read_submissions().items()
            if content != expected[name]
        ]
        replies, finished = now, done
        print_status(f"kill {found.kills}: {len(now)} replies, {len(done)} finished steps, in {state}")
    killed.finish()
    found.calls = (killed.model.calls - before).total()
    found.repeated = found.calls - len(killed.model.calls - before)
    found.lost += check_end(killed, whole)
    return found


def check_end(killed: KilledSubmit, whole: KilledSubmit) -> list[str]:
    """Return how a finished workspace differs from one that nobody killed, and what a further run repeats."""
    problems = []
    if killed.read_submissions() != whole.read_submissions():
        problems.append("the submissions differ from those of the uninterrupted run")
    found, expected = killed.read_ledger(), whole.read_ledger()
    if found != expected:
        missing = [entry for entry in expected if entry not in found]
        more = [entry for entry in found if entry not in expected]
        names = [entry["name"] for entry in found]
        problems.append(f"the ledger differs from that of the uninterrupted run: {names}, lacks {missing}, has {more}")
    if parts := [str(path) for path in killed.workspace.rglob("*.part")]:
        problems.append(f"temporary files remain: {parts}")
    calls, ledger, finished = killed.model.calls.total(), killed.read_ledger(), killed.read_finished()
    killed.finish()
    if (calls, ledger, finished) != (killed.model.calls.total(), killed.read_ledger(), killed.read_finished()):
        problems.append("a further run repeated something")
    return problems


def write_competition(folder: Path, rows: int) -> None:
    """Write a small competition: every third row is a test question."""
    draw = random.Random(1)
    things = {"fruit": ["apple", "pear", "plum", "fig"], "tool": ["hammer", "saw", "drill", "file"]}
    places = [
        f"{size} {colour} {room}"
        for size in ("big", "old", "new")
        for colour in ("red", "blue", "grey", "white")
        for room in ("attic", "barn", "cellar", "garage", "kitchen", "office", "shed", "shop", "studio", "tower")
    ]
    train, test = ["id,question,A,B,answer"], ["id,question,A,B"]
    for number, place in enumerate(draw.sample(places, rows)):
        kind, other = draw.sample(sorted(things), 2)
        pair = [draw.choice(things[kind]), draw.choice(things[other])]
        letter = draw.choice("AB")
        row = f"q{number},In the {place}: which is a {kind}?,{','.join(pair if letter == 'A' else pair[::-1])}"
        (test if number % 3 == 0 else train).append(row if number % 3 == 0 else f"{row},{letter}")
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text("\n".join(train) + "\n")
    (folder / "test.csv").write_text("\n".join(test) + "\n")
    ids = [row.split(",")[0] for row in test[1:]]
    (folder / "sample_submission.csv").write_text("id,answer\n" + "".join(f"{id},A\n" for id in ids))


def write_members(folder: Path, model: CountedModel, train: bool, batch: int, full: bool) -> list[Path]:
    """Write the TOML files of the members; return those to pass to `quorum submit`."""
    folder.mkdir()
    files = {
        f"{style}.toml": SERVER_TOML.format(run=style, style=style, url=model.url, batch=batch)
        for style in ("letter", "cot")
    }
    if train:
        files["small-tuned.toml"] = ENCODER_TOML.format(batch=8 * batch)
        epochs, save_every = (1.0, 10) if full else (2.0, 4)
        files["train-small.toml"] = TRAINING_TOML.format(epochs=epochs, save_every=save_every)
    for name, text in files.items():
        (folder / name).write_text(text)
    return [folder / name for name in files if not name.startswith("train-")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--competition", type=Path, help="a competition's folder; default: a small one made here")
    parser.add_argument("--rows", type=int, default=100, help="questions of the small competition")
    parser.add_argument("--longest", type=float, help="latest kill, in seconds; default: those of a whole run")
    parser.add_argument("--batch", type=int, default=4, help="prompts of the server between two commits")
    parser.add_argument("--train", action="store_true", help="with the fine-tuned encoder")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    draw, model, server = random.Random(args.seed), CountedModel(0.02), VerbServer(args.train)
    root = Path(tempfile.mkdtemp(prefix="quorum-resume-"))
    try:
        competition = args.competition.resolve() if args.competition else root / "toys"
        if args.competition is None:
            write_competition(competition, args.rows)
        members = write_members(root / "members", model, args.train, args.batch, args.competition is not None)
        whole = KilledSubmit(root / "whole", competition, members, model, server)
        start = time.monotonic()
        whole.finish()
        uninterrupted, expected = time.monotonic() - start, len(model.calls)
        rounds: list[Round] = []
        while sum(each.kills for each in rounds) < args.kills:
            killed = KilledSubmit(root / f"round{len(rounds)}", competition, members, model, server)
            rest = args.kills - sum(each.kills for each in rounds)
            rounds.append(run_round(killed, whole, args.longest or uninterrupted, draw, rest))
            shutil.rmtree(killed.workspace)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    problems = [problem for each in rounds for problem in each.lost]
    problems += [
        f"{each.calls - each.repeated} prompts, expected {expected}"
        for each in rounds
        if each.calls - each.repeated != expected
    ]
    calls, repeated = sum(each.calls for each in rounds), sum(each.repeated for each in rounds)
    print_json(
        {
            "kills": sum(each.kills for each in rounds),
            "rounds": len(rounds),
            "seconds uninterrupted": round(uninterrupted, 1),
            "prompts": expected,
            "calls": calls,
            "repeated calls": repeated,
            "share repeated": round(repeated / calls, 4),
            "killed in": sum((each.inside for each in rounds), Counter[str]()),
            "problems": problems,
        }
    )
    return FOUND if problems else DONE


if __name__ == "__main__":
    run_program(main)
