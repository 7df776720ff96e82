"""Read a large question file and examine it: seconds and memory; and read hostile rows as Python's csv does.

python benchmarks/reading.py [--rows 1000000] [--hostile 100000] [--json]

The file is made of random words. It is read, and examined as `quorum doctor` does, in a process of its own, whose peak
memory is reported. Hostile rows (bare quotes, rows cut short, blank lines, mixed line ends, in many small files) are
compared with `csv.reader(..., strict=True)`: a difference that is not refused counts as silent.
"""

import argparse
import csv
import io
import json
import random
import resource
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from quorum.console import DONE, FOUND, print_json, run_program


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--hostile", type=int, default=100_000, help="hostile rows; 0: none")
    parser.add_argument("--only", type=Path, help="measure this file in this process")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.only:
        print_json(measure_file(given.only))
        return DONE
    report: dict[str, Any] = {}
    if given.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "questions.csv"
            write_random_questions(path, given.rows)
            command = [sys.executable, __file__, "--only", str(path)]
            report["speed"] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if given.hostile:
        report["hostile"] = compare_hostile_rows(given.hostile)
    if given.json:
        print_json(report)
    else:
        for name, facts in report.items():
            print(f"{name}: " + ", ".join(f"{fact} {value:,}" for fact, value in facts.items()))
    hostile = report.get("hostile", {})
    return FOUND if hostile.get("silent differences") or hostile.get("tracebacks") else DONE


def write_random_questions(path: Path, rows: int) -> None:
    """Write a file of questions of 14 words with four choices; a fifth of them need quotes."""
    source = random.Random(1)
    words = ["".join(source.choices(string.ascii_lowercase, k=source.randint(2, 9))) for _ in range(20_000)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "question", "A", "B", "C", "D", "answer"])
        for number in range(rows):
            text = " ".join(source.choices(words, k=14)) + (', "x"?' if number % 5 == 0 else "?")
            choices = (" ".join(source.choices(words, k=3)) for _ in range(4))
            writer.writerow([number, text, *choices, source.choice("ABCD")])


def measure_file(path: Path) -> dict[str, float]:
    """Return the seconds of reading and of examining a file, and the peak memory of this process in GB."""
    from quorum.data.doctor import examine
    from quorum.data.read import read_records

    start = time.process_time()
    table = read_records(path)
    read = time.process_time()
    read_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    examine(table)
    return {
        "rows": len(table.records),
        "read CPU s": round(read - start, 1),
        "doctor CPU s": round(time.process_time() - read, 1),
        "read peak GB": round(read_peak, 2),
        "peak GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def compare_hostile_rows(rows: int) -> dict[str, int]:
    """Read files of hostile rows and count how they are read, compared with Python's csv module."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.support.sloppy import make_sloppy_file

    from quorum.data.read import read_records
    from quorum.data.table.csv_reader import read_csv_lines
    from quorum.errors import BadInput

    source = random.Random(2026)
    counts = dict.fromkeys(("rows", "files", "read alike", "refused alike", "silent differences", "tracebacks"), 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "q.csv"
        while counts["rows"] < rows:
            size = source.randrange(1, 12)
            text = make_sloppy_file(source, size)
            counts["rows"] += size
            counts["files"] += 1
            try:
                found = read_csv_lines(text, "q.csv").rows
            except BadInput:
                found = None
            alike = found == read_by_reference(text)
            counts["silent differences" if not alike else "refused alike" if found is None else "read alike"] += 1
            path.write_bytes(text.encode())
            try:
                read_records(path)
            except BadInput:
                pass
            except Exception:  # noqa: BLE001 - it counts what users would see as a traceback
                counts["tracebacks"] += 1
    return counts


def read_by_reference(text: str) -> list[list[str]] | None:
    """Return the rows that Python's csv module reads in strict mode, without blank lines; None if it refuses."""
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        return None


if __name__ == "__main__":
    run_program(main)
