"""Submits what stands in the ledger to a Kaggle competition, waits for the score and writes it to the ledger.

python scripts/kaggle_submit.py COMPETITION                          the best of its latest local leaderboard
python scripts/kaggle_submit.py COMPETITION FILE                     a submission file that the ledger knows by its hash
python scripts/kaggle_submit.py COMPETITION --kernel runs/kaggle/…   a code competition: the output of a pushed version
python scripts/kaggle_submit.py COMPETITION --ref NUMBER             nothing new: the score of a submission sent before

Only what was made for COMPETITION is sent: for the folder of that name, the one whose quorum.toml says name =
"COMPETITION", or the one that --data names.
"""

import argparse
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from push import hours
from quorum.console import DONE, print_json, run_program
from quorum.errors import BadInput, list_some

if TYPE_CHECKING:
    from quorum.evaluation.ledger import Entry

OTHERWISE = "Where the competition's folder is named otherwise, say --data FOLDER"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("competition", help="its name in its address: kaggle.com/competitions/NAME")
    parser.add_argument("file", type=Path, nargs="?", help="the submission; without it the best of the leaderboard")
    parser.add_argument(
        "--data", type=Path, help="the competition's folder, where it has another name than in its address"
    )
    parser.add_argument("--kernel", type=Path, help="a folder that make push left, with pushed.json in it")
    parser.add_argument("--ref", type=int, metavar="NUMBER", help="of a submission whose score is to be read, no more")
    parser.add_argument("--again", action="store_true", help="send bytes that were submitted before")
    parser.add_argument("--ledger", type=Path, default=Path("submissions/ledger.jsonl"), help="default: %(default)s")
    parser.add_argument("--message", help="the submission's description (default: its name and held-out score)")
    parser.add_argument("--wait", type=hours, default=13.0, metavar="HOURS", help="how long to wait (%(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="show the requests, send none (see docs/kaggle.md)")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()

    from quorum.competition.folder import find_competition
    from quorum.evaluation.ledger import append_entry, read_ledger
    from quorum.kaggle.client import RetryPolicy, make_dry_run_client, make_dry_run_policy, sign_in
    from quorum.kaggle.submit import read_score, submit_file, submit_kernel

    if arguments.ref is not None and (arguments.file or arguments.kernel):
        raise BadInput("--ref reads the score of a submission that was sent: it takes no FILE and no --kernel")
    entries = read_ledger(arguments.ledger, lambda text: print(text, file=sys.stderr))
    name = find_competition(arguments.data).name if arguments.data else arguments.competition
    entry = None
    if arguments.ref is None:
        file = chosen(arguments.file, arguments.kernel) or best(entries, name, arguments.ledger)
        entry = known(entries, file, name, arguments.ledger)
    if arguments.dry_run:
        patience = make_dry_run_policy()
        kaggle = make_dry_run_client("you", partial(print, file=sys.stdout, flush=True))
    else:
        patience = RetryPolicy(clock=time.monotonic, sleep=time.sleep, total=arguments.wait * 3600)
        kaggle = sign_in(patience)

    ref = arguments.ref
    if entry is not None:
        message = arguments.message or f"{entry.name} {entry.held_out.value:.4f} held out"
        last = (file, entry.sha256, message, patience, arguments.again)
        if arguments.kernel:
            ref = submit_kernel(kaggle, arguments.competition, pushed_version(arguments.kernel), *last)
        else:
            ref = submit_file(kaggle, arguments.competition, *last)
        if not arguments.dry_run:
            print(f"submission {ref} is sent; if you stop waiting, --ref {ref} reads its score", file=sys.stderr)
    done = read_score(kaggle, arguments.competition, ref, patience)
    if arguments.dry_run:
        return DONE
    entry = entry or next((each for each in reversed(entries) if done.has_bytes(each.sha256)), None)
    if entry is not None and done.public_score is not None:
        when = datetime.now(UTC).isoformat(timespec="seconds")
        append_entry(arguments.ledger, replace(entry, public=done.public_score, private=done.private_score, when=when))
    if arguments.json:
        print_json(asdict(done))
    else:
        shown = "not scored yet" if done.public_score is None else f"public score {done.public_score}"
        here = f"held out: {entry.held_out.value:.4f}" if entry is not None else "its bytes are not in the ledger"
        print(f"submission {done.ref} to {done.competition}: {shown} ({here})")
    return DONE


def chosen(file: Path | None, kernel: Path | None) -> Path | None:
    """The submission that the command line names, if it names one.

    Raises:
        BadInput: it is not the kernel's, whose version Kaggle would run.
    """
    if kernel is None or file is None:
        return kernel / "submission.csv" if kernel else file
    if file.resolve().parent != kernel.resolve():
        raise BadInput(f"{file}: not in {kernel}, whose version Kaggle would run: name an output of it, or none")
    return file


def best(entries: "list[Entry]", competition: str, ledger: Path) -> Path:
    """The submission file of the first on the competition's latest leaderboard.

    Raises:
        BadInput: the competition has none, or another run's submission has been written over it.
    """
    from quorum.disk import fingerprint
    from quorum.evaluation.ledger import make_leaderboard

    boards = make_leaderboard(entry for entry in entries if entry.competition == competition)
    if not boards:
        raise BadInput(f"{ledger}: no submission for {competition}; it has {told(entries)}. {OTHERWISE}")
    first = boards[0].standings[0].entry
    path = ledger.parent / first.submission
    if fingerprint(path) != first.sha256:
        shown = f"{first.name} ({first.held_out.value:.4f})"
        raise BadInput(
            f"{path}: other bytes now than those of the best, {shown}: make it again, or name the FILE to send"
        )
    return path


def known(entries: "list[Entry]", file: Path, competition: str, ledger: Path) -> "Entry":
    """The competition's latest entry with the very bytes of `file`.

    Raises:
        BadInput: there is none.
    """
    from quorum.disk import fingerprint

    sha256 = fingerprint(file)
    same = [entry for entry in entries if entry.sha256 == sha256]
    if not same:
        raise BadInput(
            f"{file}: {ledger} has no submission with its SHA-256 {sha256[:12]}…: check and score it here first"
        )
    mine = [entry for entry in same if entry.competition == competition]
    if not mine:
        raise BadInput(f"{file}: not made for {competition}; with its SHA-256 {ledger} has {told(same)}. {OTHERWISE}")
    return mine[-1]


def told(entries: "list[Entry]") -> str:
    """Which competitions the entries are for, in words."""
    names = sorted({entry.competition for entry in entries if entry.competition})
    unsaid = sum(not entry.competition for entry in entries)
    parts = [f"those for {list_some(names)}"] if names else []
    if unsaid:
        parts.append(f"{unsaid} that do not say for which (scripts/record.py FOLDER RUN_FOLDER writes them anew)")
    return " and ".join(parts) or "none at all: make submit checks and scores one"


def pushed_version(folder: Path) -> Any:
    """The version that make push left word of.

    Raises:
        BadInput: the word is no whole one, or says that the version failed.
    """
    from quorum.kaggle.metadata import read_json_object
    from quorum.kaggle.push import PushedVersion

    path = folder / "pushed.json"
    word = read_json_object(path)
    id, version = word.get("id"), word.get("version")
    if not (isinstance(id, str) and id.count("/") == 1 and isinstance(version, int)):
        raise BadInput(f"{path}: id is {id!r} and version {version!r}, where make push writes owner/slug and a number")
    if word.get("failure"):
        raise BadInput(f"{path}: this version failed ({word['failure']})")
    return PushedVersion(id, version)


if __name__ == "__main__":
    run_program(main)
