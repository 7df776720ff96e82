"""How long a vote of 20 runs over a million questions takes, and in how much memory, against pandas and a plain loop.

python benchmarks/voting.py [--questions 1000000] [--runs 20] [--json]

Each contender counts the same votes in its own process; its clock starts when the votes are in memory, and its memory
is the peak of the whole process, votes and libraries included.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, run_program

if TYPE_CHECKING:
    import polars as pl

CONTENDERS = ("quorum majority", "quorum weighted", "quorum mean", "quorum log pool", "pandas groupby", "plain loop")
MAJORITIES = ("quorum majority", "pandas groupby", "plain loop")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", choices=CONTENDERS, help="one contender, in this process")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.only:
        print_json(measured(given.only, given.questions, given.runs))
        return DONE
    rows = []
    for contender in CONTENDERS:
        command = [sys.executable, __file__, "--only", contender]
        size = ["--questions", str(given.questions), "--runs", str(given.runs)]
        rows.append(json.loads(subprocess.run([*command, *size], check=True, capture_output=True, text=True).stdout))
    majorities = {row["winners"] for row in rows if row["contender"] in MAJORITIES}
    if given.json:
        agree = len(majorities) == 1
        print_json({"questions": given.questions, "runs": given.runs, "majorities_agree": agree, "rows": rows})
        return DONE
    print(f"{given.runs} runs x {given.questions} questions; {len(majorities)} different majorities")
    for row in rows:
        seconds = f"{row['seconds']:8.1f} s {row['cpu_seconds']:8.1f} CPU s"
        print(f"{row['contender']:16} {seconds} {row['peak_gb']:6.2f} GB")
    return DONE


def measured(contender: str, questions: int, runs: int) -> dict[str, Any]:
    """Seconds, CPU seconds, peak memory in GB and a digest of the winners of one contender."""
    votes = made_votes(questions, runs)
    if contender == "pandas groupby":
        import pandas as pd  # type: ignore[import-untyped]

        table: Any = pd.DataFrame({name: votes[name].to_list() for name in ("run", "id", "label")})
        del votes
    elif contender == "plain loop":
        table = votes.select("run", "id", "label").rows()
        del votes
    else:
        table = votes
    wall, cpu = time.perf_counter(), time.process_time()
    winners = counted(contender, table, runs)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {
        "contender": contender,
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_gb": round(peak, 2),
        "winners": digest(winners),
    }


def made_votes(questions: int, runs: int) -> "pl.DataFrame":
    """Letters of `runs` members that are right on 35 % to 70 % of the questions, as an answers frame."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)
    gold = random.integers(5, size=questions)
    ids = "q" + pl.Series("id", np.arange(questions)).cast(pl.String)
    frames = []
    for number, share in enumerate(np.linspace(0.35, 0.7, runs)):
        letter = np.where(random.random(questions) < share, gold, random.integers(5, size=questions))
        label = pl.Series(letter).replace_strict(range(5), list("ABCDE"), return_dtype=pl.String)
        frames.append(
            pl.DataFrame({"id": ids, "label": label}).select(pl.lit(f"run{number:02}").alias("run"), "id", "label")
        )
    return pl.concat(frames).with_columns(weight=pl.lit(1.0))


def counted(contender: str, table: Any, runs: int) -> Any:
    """The winners, as the contender gives them: a frame with columns id and label, best first, or id -> label."""
    from quorum.judge.ensemble.rule import VotingRule, apply_rule

    equal = {f"run{number:02}": 1.0 for number in range(runs)}
    weights = {f"run{number:02}": 0.1 * (number + 1) for number in range(runs)}
    match contender:
        case "pandas groupby":
            sizes = table.groupby(["id", "label"], sort=False).agg(votes=("run", "size"), first=("run", "min"))
            ordered = sizes.reset_index().sort_values(["votes", "first"], ascending=[False, True])
            return ordered.drop_duplicates("id")
        case "plain loop":
            ballots: dict[str, list[str]] = {}
            for _, id, label in table:
                ballots.setdefault(id, []).append(label)
            # Counter keeps the order of arrival: the first run's label wins a tie
            return {id: Counter(labels).most_common(1)[0][0] for id, labels in ballots.items()}
        case "quorum majority":
            return apply_rule(table, VotingRule(method="majority", pool="votes", weights=equal))
        case "quorum weighted":
            return apply_rule(table, VotingRule(method="weighted", pool="votes", weights=weights))
        case "quorum mean":
            return apply_rule(table, VotingRule(method="weighted mean", pool="mean", weights=weights))
    return apply_rule(table, VotingRule(method="log pool", pool="log", weights=weights))


def digest(winners: Any) -> int:
    """A number that two contenders share when they agree on every question."""
    if not isinstance(winners, dict):
        top = winners.unique("id", keep="first") if hasattr(winners, "unique") else winners
        winners = dict(zip(top["id"], top["label"], strict=True))
    return sum((int(id[1:]) % 1009 + 1) * ord(label) for id, label in winners.items())


if __name__ == "__main__":
    run_program(main)
