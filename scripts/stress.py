"""Repeats a competition's test and sample files with ids that nobody has seen, as a code competition's rerun does.

python scripts/stress.py data/raw/NAME build/fake/input/NAME --times 10
"""

import argparse
import csv
import shutil
from pathlib import Path

from quorum.door import DONE, enter, show_json
from quorum.errors import BadInput


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the competition: train, test and sample submission, as CSV")
    parser.add_argument("out", type=Path, help="the folder to write")
    parser.add_argument("--times", type=int, default=10, help="how often each row stands there (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a line")
    arguments = parser.parse_args()

    from quorum.data.competition import find_competition

    competition = find_competition(arguments.folder)
    if competition.sample is None or {competition.test.suffix, competition.sample.suffix} != {".csv"}:
        raise BadInput(f"{arguments.folder}: a test file and a sample submission are needed, both CSV")
    arguments.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(competition.train, arguments.out / competition.train.name)
    id_column = read_rows(competition.sample)[0][0]
    for path in (competition.test, competition.sample):
        repeat_rows(path, arguments.out / path.name, id_column, arguments.times)
    if arguments.json:
        files = [competition.train.name, competition.test.name, competition.sample.name]
        show_json({"folder": str(arguments.out), "files": files, "times": arguments.times})
    else:
        print(f"{arguments.out}: {competition.test.name}, {competition.sample.name}, each row {arguments.times} times")
    return DONE


def read_rows(path: Path) -> list[list[str]]:
    """The rows of a CSV, its header first."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def repeat_rows(path: Path, out: Path, id_column: str, times: int) -> None:
    """Writes each row `times` times, its id in a form of its own each time."""
    header, *rows = read_rows(path)
    if id_column not in header:
        raise BadInput(f"{path}: no column {id_column!r}; there are {', '.join(header)}")
    place = header.index(id_column)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for turn in range(times):
            writer.writerows([*row[:place], f"unseen{turn}-{row[place]}", *row[place + 1 :]] for row in rows)


if __name__ == "__main__":
    enter(main)
