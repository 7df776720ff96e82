"""The main job: a competition's folder in, checked and scored submissions out, and the local leaderboard."""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.config import read_table
from quorum.console import DONE, FOUND, print_json, run_program

if TYPE_CHECKING:
    from quorum.competition.folder import Competition
    from quorum.data.read import Table
    from quorum.data.split import Split
    from quorum.evaluation.compare import PairedDifference
    from quorum.evaluation.ledger import Entry
    from quorum.files.submission import Sample
    from quorum.question import Question

KERNELS = Path(__file__).parents[1] / "kernels"
MEMBERS = (KERNELS / "encoder.toml", KERNELS / "neighbour.toml", KERNELS / "encoder-tuned.toml")
# where the competition has a background folder
WITH_BACKGROUND = (
    KERNELS / "encoder.toml",
    KERNELS / "neighbour.toml",
    KERNELS / "encoder-rag.toml",
    KERNELS / "encoder-rag-tuned.toml",
)
TUNED = "-tuned.toml"  # NAME-tuned.toml asks the model that train-NAME.toml beside it trains
VOTE = KERNELS / "vote.toml"


def main() -> int:
    args = arguments()
    from ablate import short_ladder
    from quorum.competition.folder import find_competition

    competition = find_competition(args.folder)
    chosen = args.members or (WITH_BACKGROUND if competition.background else MEMBERS)
    for toml in chosen:  # before the first of them takes its time
        read_table(toml)
        if toml.name.endswith(TUNED):
            read_table(training_of(toml))
    ground = prepare(competition, args.held_out, args.seed)
    members = [answer(ground, toml) for toml in chosen]
    runs = [prior(ground), *members, *([vote(ground, members)] if len(members) > 1 else [])]
    entries = kept(ground, [record(ground, run, args.submissions) for run in runs], args.submissions)
    show(ground, entries, args.submissions, args.json)
    what_paid(ground, members)
    if told := short_ladder(ground, members):
        say(told)
    return DONE if len(entries) == len(runs) else FOUND


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="exit code: 0 done, 1 a submission is wrong, 2 bad input"
    )
    parser.add_argument("folder", type=Path, help="the competition: train, test and sample submission")
    parser.add_argument("--members", type=Path, nargs="+", help="a TOML of kernels/infer.py for each")
    parser.add_argument("--held-out", type=float, default=0.25, help="share of train to score on (default %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="of the split (default %(default)s)")
    parser.add_argument("--submissions", type=Path, default=Path("submissions"), help="folder (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the new ledger entries as one JSON document")
    return parser.parse_args()


@dataclass(frozen=True)
class Ground:
    """What every run of one competition stands on: its questions, cleaned and split, and their files."""

    competition: "Competition"
    sample: "Sample"
    split: "Split"
    held_out: "list[Question]"
    test: "list[Question]"
    prior: Mapping[str, float]  # of the training folds
    data: str  # fingerprint of the train and the test file
    folder: Path  # train.parquet, heldout.parquet (no answers), test.parquet
    gold: Path  # the held-out questions with their answers: for the vote alone


@dataclass(frozen=True)
class Run:
    """One member, or the vote, over the held-out and the test questions: answers in `out`."""

    name: str
    out: Path
    config: Mapping[str, Any]
    members: tuple[str, ...]
    seconds: float


def prepare(competition: "Competition", share: float, seed: int) -> Ground:
    """Reads, examines, cleans and splits; no held-out answer is in a file that a member reads."""
    import hashlib

    from quorum.data.read import read_records, write_questions
    from quorum.data.repair import repair_table
    from quorum.data.split import select_held_out, select_training_folds, split_questions, strip_answers, write_split
    from quorum.disk import fingerprint
    from quorum.files.submission import make_sample, read_sample, write_submission
    from quorum.question import label_prior

    folder = Path("data/split") / competition.name
    train, test = (read_records(path, competition.layout) for path in (competition.train, competition.test))
    say(f"{competition.name}: {len(train.records)} questions to learn from, {len(test.records)} to answer")
    examined(train)
    examined(test, train)
    solved, asked = repair_table(train).questions, repair_table(test).questions
    parts = split_questions(solved, share, seed=seed)
    learnt, held = list(select_training_folds(parts, solved).questions), select_held_out(parts, solved)
    say(f"split: {len(learnt)} in training folds, {len(held)} held out; no near-duplicate straddles; seed {seed}")
    write_split(parts, folder / "split.parquet")
    write_questions(learnt, folder / "train.parquet")
    write_questions(strip_answers(held), folder / "heldout.parquet")
    gold = Path("runs") / competition.name / "gold" / "heldout.parquet"  # not in `folder`, which goes to Kaggle
    write_questions(held, gold)
    write_questions(asked, folder / "test.parquet")
    law = competition.sample or folder / "sample_submission.csv"
    if competition.sample is None:  # then a letter is asked for, for every test question
        write_submission(law, {}, {}, make_sample([question.id for question in asked]), label_prior(learnt))
    data = hashlib.sha256((fingerprint(competition.train) + fingerprint(competition.test)).encode()).hexdigest()
    law_read, prior = read_sample(law), label_prior(learnt)
    return Ground(replace(competition, sample=law), law_read, parts, held, asked, prior, data, folder, gold)


def examined(table: "Table", train: "Table | None" = None) -> None:
    """Tells what the doctor found and what is done about it."""
    from quorum.data.doctor import examine
    from quorum.data.repair import repair_table

    mended = repair_table(table)
    say(f"{table.path.name}: {len(mended.questions)} questions, {len(mended.dropped)} rows left out")
    for finding in examine(table, train).findings:
        places = ", ".join(place.id for place in finding.places[:3])
        say(f"  {finding.severity:8}{finding.count:5} {finding.what} ({places}{' …' if finding.count > 3 else ''})")


def prior(ground: Ground) -> Run:
    """The baseline that asks nobody: every answer is unread, and filled from the prior."""
    from quorum.files.answers import make_answers, write_answers

    out = Path("runs") / ground.competition.name / "prior"
    for part, questions in (("test", ground.test), ("heldout", ground.held_out)):
        write_answers(make_answers("prior", {question.id: {} for question in questions}), out / f"{part}.parquet")
    return Run("prior", out, {}, (), 0.0)


def answer(ground: Ground, toml: Path) -> Run:
    """One member answers the test and the held-out questions, in a process of its own; a tuned one is trained first."""
    config = read_table(toml)
    out = Path("runs") / ground.competition.name / toml.stem
    settings = {"questions": [str(ground.folder / "test.parquet"), str(ground.folder / "heldout.parquet")]}
    given = {**settings, **common(ground, out), **background(ground, config)}
    seconds = 0.0
    if toml.name.endswith(TUNED):
        model, seconds = train(ground, training_of(toml))
        given["backend.adapter" if "adapter" in config["backend"] else "backend.model"] = str(model)
    seconds += kernel("infer", toml, given)
    return Run(toml.stem, out, config | given, (), seconds)


def training_of(toml: Path) -> Path:
    """The TOML of the training whose model NAME-tuned.toml asks: train-NAME.toml beside it."""
    return toml.with_name("train-" + toml.name.removesuffix(TUNED) + ".toml")


def train(ground: Ground, toml: Path) -> tuple[Path, float]:
    """The model (or adapter) that a training kernel makes out of the training folds, and its wall seconds.

    What another training left in its folder is removed: only one over the very same rows and settings goes on there.
    """
    out = Path("runs") / ground.competition.name / toml.stem
    given: dict[str, Any] = {
        "train": str(ground.folder / "train.parquet"),
        "split": str(ground.folder / "split.parquet"),
    }
    given |= {"out": str(out), **background(ground, read_table(toml))}
    shutil.rmtree(out, ignore_errors=True)
    seconds = kernel("train", toml, given)
    return next(folder for name in ("adapter", "model") if (folder := out / name).exists()), seconds


def background(ground: Ground, config: Mapping[str, Any]) -> dict[str, str]:
    """The competition's background, for a kernel that shows passages of one."""
    if "background" not in config.get("retrieval", {}):
        return {}
    return {"retrieval.background": str(ground.competition.background or "")}


def vote(ground: Ground, runs: list[Run]) -> Run:
    """The members vote, elected on the held-out questions; each of those is voted on by an election without it."""
    out = Path("runs") / ground.competition.name / VOTE.stem
    files = {part: [str(run.out / f"{part}.parquet") for run in runs] for part in ("test", "heldout")}
    given = {
        "runs": files["test"],
        "labelled": files["heldout"],
        "gold": str(ground.gold),
        "split": str(ground.folder / "split.parquet"),
        "questions": str(ground.folder / "test.parquet"),
        **common(ground, out),
    }
    seconds = kernel("vote", VOTE, given)
    return Run(VOTE.stem, out, given, tuple(run.name for run in runs), seconds + sum(run.seconds for run in runs))


def common(ground: Ground, out: Path) -> dict[str, Any]:
    """The settings that the competition decides for every kernel."""
    files = {"train": str(ground.folder / "train.parquet"), "sample": str(ground.competition.sample)}
    return {**files, "out": str(out)}


def kernel(story: str, toml: Path, settings: Mapping[str, Any]) -> float:
    """Runs one kernel as it runs on Kaggle, a process of its own; returns its wall seconds."""
    import json

    overrides = [f"{name}={json.dumps(value)}" for name, value in settings.items()]  # JSON text and lists are TOML too
    start = time.monotonic()
    done = subprocess.run([sys.executable, str(KERNELS / f"{story}.py"), str(toml), *overrides], check=False)
    if done.returncode:
        sys.exit(done.returncode)  # it has said why
    return time.monotonic() - start


def record(ground: Ground, run: Run, submissions: Path) -> "Entry":
    """Writes the run's submission, and scores its twin over the held-out questions, filled by the same rule."""
    from datetime import UTC, datetime

    from quorum.disk import fingerprint
    from quorum.evaluation.ledger import Entry
    from quorum.evaluation.metrics import score_answers
    from quorum.files.answers import ballots_from_answers, read_answers
    from quorum.files.solution import make_solution, read_ballots, read_solution
    from quorum.files.submission import make_sample, write_submission

    sample, metric = ground.sample, ground.competition.metric
    path = submissions / f"{ground.competition.name}-{run.name}.csv"
    twin = run.out / "heldout.csv"
    form = "letter" if sample.form.startswith("index") else sample.form
    held = make_sample([question.id for question in ground.held_out], form, sample.k, sample.labels)
    unread = []
    for file, part, questions, law in ((path, "test", ground.test, sample), (twin, "heldout", ground.held_out, held)):
        ballots = ballots_from_answers(read_answers(run.out / f"{part}.parquet"))
        labels = {question.id: question.labels for question in questions}
        unread.append(len(write_submission(file, ballots, labels, law, ground.prior).unread))
    score = score_answers(read_ballots(twin), make_solution(ground.held_out), metric).overall
    public = private = None
    if ground.competition.solution:
        hidden = score_answers(read_ballots(path), read_solution(ground.competition.solution), metric)
        public, private = (part.value if part else None for part in (hidden.public, hidden.private))
    return Entry(
        name=run.name,
        submission=path.name,
        sha256=fingerprint(path),
        config=run.config,
        commit=commit(),
        data=ground.data,
        split=ground.split.fingerprint,
        metric=metric,
        held_out=replace(score, unread=unread[1]),
        members=run.members,
        unread_test=unread[0],
        seconds=round(run.seconds, 1),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        public=public,
        private=private,
        competition=ground.competition.name,
    )


def commit() -> str:
    """The commit that stands here, "+" behind it where the work tree differs; empty outside git."""
    done = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def kept(ground: Ground, entries: "list[Entry]", submissions: Path) -> "list[Entry]":
    """The entries whose files the competition takes, now in the ledger; of the others it is told what is wrong.

    What is not in the ledger is not sent to Kaggle.
    """
    from quorum.evaluation.ledger import append_entry
    from quorum.files.check import check_submission

    labels = {question.id: question.labels for question in ground.test}
    legal, wrong = [], 0
    for entry in entries:
        problems = check_submission(submissions / entry.submission, ground.sample, labels)
        for problem in problems:
            say(f"{entry.submission}: {problem.message}")
        wrong += len(problems)
        if not problems:
            append_entry(submissions / "ledger.jsonl", entry)
            legal.append(entry)
    say(f"checked against the sample submission: {len(entries)} files, {wrong} problems")
    return legal


def show(ground: Ground, entries: "list[Entry]", submissions: Path, as_json: bool) -> None:
    """The leaderboard, and which file to send."""
    from leaderboard import show_boards
    from quorum.evaluation.ledger import make_leaderboard, read_ledger
    from quorum.evaluation.metrics import lower_is_better

    boards = make_leaderboard(read_ledger(submissions / "ledger.jsonl", say))
    mine = [board for board in boards if board.data == ground.data and board.split == ground.split.fingerprint]
    if as_json:
        print_json([asdict(entry) for entry in entries])
    else:
        show_boards(mine)
    if not entries:
        return
    sign = -1 if lower_is_better(ground.competition.metric) else 1
    best = max(entries, key=lambda entry: sign * entry.held_out.value)
    error = f" ± {best.held_out.error:.3f}" if best.held_out.error is not None else ""
    say(
        f"best: {submissions / best.submission}, held-out {best.metric} {best.held_out.value:.3f}{error} "
        f"(n = {best.held_out.n}), {best.unread_test} answers filled from the prior"
    )


def what_paid(ground: Ground, runs: list[Run]) -> None:
    """Tells what retrieval, and what training, did to every member that stands there with it and without."""
    by_name = {run.name: run for run in runs}
    for run in runs:
        for suffix in ("-rag", "-tuned"):
            if run.name.endswith(suffix) and (plain := by_name.get(run.name.removesuffix(suffix))):
                say(difference(ground, run, plain))


def difference(ground: Ground, run: Run, other: Run) -> str:
    """The paired difference of two runs on the held-out questions: with its error, who alone is right, and p."""
    from quorum.evaluation.compare import compare_runs
    from quorum.files.answers import ballots_from_answers, read_answers
    from quorum.files.solution import make_solution

    ballots = {one.name: ballots_from_answers(read_answers(one.out / "heldout.parquet")) for one in (run, other)}
    found = compare_runs(ballots, make_solution(ground.held_out), ground.competition.metric)
    pair = found.pairs[0]
    return f"{run.name} - {other.name}: {pair_told(pair)} (n = {found.n}, {found.metric})"


def pair_told(pair: "PairedDifference") -> str:
    """A paired difference in words; McNemar's exact p stands beside a test that heeds groups."""
    from quorum.evaluation.compare import compute_mcnemar_p

    told = f"{pair.difference:+.3f} ± {pair.error:.3f}, {pair.test} p = {pair.p:.1g}"
    if pair.only_first is None or pair.only_second is None:
        return told
    if pair.test != "exact McNemar":
        told += f", exact McNemar p = {compute_mcnemar_p(pair.only_first, pair.only_second):.1g}"
    return f"{told}, only one right {pair.only_first} : {pair.only_second}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_program(main)
