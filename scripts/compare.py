"""Is A better than B? Runs compared question by question, with errors, tests and what n questions can tell."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.console import DONE, print_json, run_program

if TYPE_CHECKING:
    from quorum.evaluation.compare import Comparison

EPILOG = """\
A run is an answers file (.parquet) or a CSV: of id and label, of id and a label column a run, or of id and a
probability column a choice. Two runs are compared as first minus second; of more, the best with each other.
exit code: 0 compared, 2 unreadable input"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="two or more runs, in one file or several")
    parser.add_argument("--gold", type=Path, required=True, help="CSV of id and answer")
    parser.add_argument("--groups", type=Path, help="CSV of id and group: questions that belong together")
    parser.add_argument("--metric", default="accuracy", help="accuracy, map@K, macro-f1 or log-loss (default accuracy)")
    parser.add_argument("--seed", type=int, default=42, help="of macro-F1's bootstrap (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    given = parser.parse_args()

    from quorum.evaluation.compare import compare_runs
    from quorum.files.answers import ballots_from_answers
    from quorum.files.runs import read_labels, read_runs
    from quorum.files.solution import SolvedRow

    groups = read_labels(given.groups, "group") if given.groups else {}
    solution = [SolvedRow(id, answer, group=groups.get(id)) for id, answer in read_labels(given.gold, "answer").items()]
    runs = {
        own["run"][0]: ballots_from_answers(own)
        for own in read_runs(given.runs).partition_by("run", maintain_order=True)
    }
    found = compare_runs(runs, solution, given.metric, given.seed)
    if given.json:
        print_json(asdict(found))
    else:
        _show(found)
    return DONE


def _show(found: "Comparison") -> None:
    print(f"{found.metric} over {found.n} questions")
    for run in found.runs:
        print(f"  {run.value:.4f}  {run.run}{'  (tied with the best)' if run.tied and run != found.runs[0] else ''}")
    for pair in found.pairs:
        only = "" if pair.only_first is None else f", only one right {pair.only_first} : {pair.only_second}"
        print(
            f"{pair.first} - {pair.second}: {pair.difference:+.4f} ± {pair.error:.4f}"
            f" [{pair.low:+.4f}, {pair.high:+.4f}]{only}; p = {pair.p:.2g}, Holm {pair.adjusted:.2g} ({pair.test});"
            f" smallest difference to be seen {pair.smallest:.4f}"
        )


if __name__ == "__main__":
    run_program(main)
