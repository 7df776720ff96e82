"""Scores runs that were made elsewhere, and writes their submissions and their lines of the ledger as make submit does.

python scripts/record.py COMPETITION_FOLDER RUN_FOLDER…     each with test.parquet and heldout.parquet, as read back
"""

import argparse
from pathlib import Path

from quorum.console import DONE, FOUND, run_program
from quorum.errors import BadInput


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="exit code: 0 done, 1 a submission is wrong, 2 bad input",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="the competition: train, test and sample submission")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of answers, such as runs/kaggle/quorum-causal/v1")
    parser.add_argument("--held-out", type=float, default=0.25, help="as make submit had it (default %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="as make submit had it (default %(default)s)")
    parser.add_argument("--submissions", type=Path, default=Path("submissions"), help="folder (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the new ledger entries as one JSON document")
    arguments = parser.parse_args()

    from quorum.competition.folder import find_competition
    from submit import Run, kept, prepare, record, show

    ground = prepare(find_competition(arguments.folder), arguments.held_out, arguments.seed)
    runs = [Run(run_name(folder), folder, {"read back from": str(folder)}, (), 0.0) for folder in arguments.runs]
    entries = kept(ground, [record(ground, run, arguments.submissions) for run in runs], arguments.submissions)
    show(ground, entries, arguments.submissions, arguments.json)
    return DONE if len(entries) == len(runs) else FOUND


def run_name(folder: Path) -> str:
    """What the run calls itself in its answers.

    Raises:
        BadInput: one of its two answers files is missing, or they are of several runs.
    """
    from quorum.files.answers import read_answers

    names: set[str] = set()
    for part in ("test", "heldout"):
        path = folder / f"{part}.parquet"
        if not path.is_file():
            raise BadInput(f"{folder}: {path.name} is missing: the kernel answers the held-out questions too")
        names |= set(read_answers(path)["run"].unique())
    if len(names) != 1:
        raise BadInput(f"{folder}: answers of {', '.join(sorted(names)) or 'no run'}, where one run is expected")
    return names.pop()


if __name__ == "__main__":
    run_program(main)
