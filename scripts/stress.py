"""Repeat the rows of a competition's test and sample files under new ids, as a code competition's rerun does.

python scripts/stress.py data/raw/NAME build/fake/input/NAME --times 10
"""

import argparse
import csv
import shutil
from pathlib import Path

from quorum.console import DONE, print_json, run_program
from quorum.errors import BadInput


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="Competition folder with train, test and sample submission (CSV).")
    parser.add_argument("out", type=Path, help="Folder to write the copies to.")
    parser.add_argument("--times", type=parse_times, default=10, help="Copies of each row (default %(default)s).")
    parser.add_argument("--json", action="store_true", help="Print one JSON document instead of a line.")
    arguments = parser.parse_args()

    from quorum.competition.folder import find_competition
    from quorum.files.cells import find_id_column

    competition = find_competition(arguments.folder)
    if competition.sample is None or {competition.test.suffix, competition.sample.suffix} != {".csv"}:
        raise BadInput(f"{arguments.folder}: a test file and a sample submission are needed, both CSV")
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.out.samefile(arguments.folder):
        raise BadInput(f"{arguments.out}: this is the competition's own folder; name another one")
    shutil.copyfile(competition.train, arguments.out / competition.train.name)
    id_column = find_id_column(read_csv(competition.sample)[0])
    for path in (competition.test, competition.sample):
        repeat_rows(path, arguments.out / path.name, id_column, arguments.times)
    if arguments.json:
        files = [competition.train.name, competition.test.name, competition.sample.name]
        print_json({"folder": str(arguments.out), "files": files, "times": arguments.times})
    else:
        print(f"{arguments.out}: {competition.test.name}, {competition.sample.name}, each row {arguments.times} times")
    return DONE


def read_csv(path: Path) -> list[list[str]]:
    """Return the rows of a CSV file, the header first, without empty lines.

    Raises:
        BadInput: the file is empty.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows:
        raise BadInput(f"{path}: the file is empty; expected is a header")
    return rows


def repeat_rows(path: Path, out: Path, id_column: str, copies: int) -> None:
    """Write each row several times, each time with a new id."""
    header, *rows = read_csv(path)
    if id_column not in header:
        raise BadInput(f"{path}: no column {id_column!r} among {', '.join(header)}")
    index = header.index(id_column)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for copy in range(copies):
            writer.writerows([*row[:index], f"unseen{copy}-{row[index]}", *row[index + 1 :]] for row in rows)


def parse_times(text: str) -> int:
    """Return the number of copies, a whole number of 1 or more."""
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


if __name__ == "__main__":
    run_program(main)
