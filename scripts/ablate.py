"""What each addition to a member is worth: the held-out questions with and without it, paired, and what it costs.

An arm is the member with some dials set otherwise, or another member, answered by the kernel in a process of its own.
Retrieval's arms are there by default; whatever else can be switched joins the table by name:
  scripts/ablate.py data/sample --arm "in letters: prompt=letter" --arm "copied: kernels/neighbour.toml"
"""

import argparse
import json
import resource
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.door import DONE, enter, show_json
from submit import KERNELS, Run, kernel, prepare

if TYPE_CHECKING:
    from quorum.score.compare import PairedDifference
    from submit import Ground

PLAIN = "as it stands"


@dataclass(frozen=True)
class Arm:
    """A member and the dials that are set otherwise."""

    name: str
    toml: Path
    dials: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """An arm's accuracy (or the competition's metric), against the member as it stands, and its CPU seconds."""

    arm: str
    value: float
    difference: "PairedDifference | None"
    adjusted: float | None  # Holm over the arms
    cpu_seconds: float
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="exit code: 0 done, 2 bad input",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="the competition: train, test and sample submission")
    parser.add_argument("--member", type=Path, default=KERNELS / "encoder.toml", help="a TOML of kernels/infer.py")
    parser.add_argument("--arm", action="append", default=[], help='"name: [TOML] dial=value …"; may be repeated')
    parser.add_argument("--only", action="store_true", help="the arms that --arm names, none of retrieval's own")
    parser.add_argument("--passages", type=int, default=1, help="of background (default %(default)s)")
    parser.add_argument("--examples", type=int, default=3, help="solved questions (default %(default)s)")
    parser.add_argument("--reranker", help="a cross-encoder: arms with its order too")
    parser.add_argument("--held-out", type=float, default=0.25, help="share of train to score on (default %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="of the split (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    args = parser.parse_args()

    from quorum.data.competition import find_competition

    ground = prepare(find_competition(args.folder), args.held_out, args.seed)
    arms = [Arm(PLAIN, args.member, {}), *([] if args.only else retrieval_arms(ground, args))]
    arms += [arm_of(text, args.member) for text in args.arm]
    rows = table(ground, arms)
    if args.json:
        show_json(
            {"n": len(ground.held_out), "metric": ground.competition.metric, "arms": [asdict(row) for row in rows]}
        )
    else:
        show(ground, rows)
    return DONE


def retrieval_arms(ground: "Ground", args: argparse.Namespace) -> list[Arm]:
    """Every search over the background, where there is one, and over the solved questions; reranked if asked for."""
    shown: dict[str, dict[str, Any]] = {"examples": {"retrieval.examples": args.examples}}
    if ground.competition.background:
        background = {"retrieval.background": str(ground.competition.background)}
        shown = {"background": {**background, "retrieval.passages": args.passages}} | shown
    ways = {kind: {"retrieval.search": kind} for kind in ("lexical", "dense", "hybrid")}
    if args.reranker:
        ways["reranked"] = {"retrieval.search": "hybrid", "retrieval.reranker": args.reranker}
    return [Arm(f"{what}, {way}", args.member, dials | shown[what]) for what in shown for way, dials in ways.items()]


def arm_of(text: str, member: Path) -> Arm:
    """The arm in "name: [TOML] dial=value …".

    Raises:
        BadInput: it has no name, or a word is neither a TOML file nor dial=value.
    """
    from quorum.errors import BadInput

    name, colon, rest = text.partition(":")
    dials: dict[str, Any] = {}
    for word in rest.split():
        dial, equals, value = word.partition("=")
        if word.endswith(".toml") and not equals:
            member = Path(word)
        elif not equals:
            raise BadInput(f"--arm {text!r}: {word!r} is neither a TOML file nor dial=value")
        else:
            dials[dial] = json_or_text(value)
    if not colon or not name.strip():
        raise BadInput(f'--arm {text!r}: expected is "name: dial=value …"')
    return Arm(name.strip(), member, dials)


def json_or_text(value: str) -> Any:
    """A number, list or true and false as JSON writes them, else the text itself."""
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def table(ground: "Ground", arms: list[Arm]) -> list[Row]:
    """All arms answered, each against the first."""
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    from quorum.files.answers import ballots_of, read_answers
    from quorum.score.compare import compare_runs
    from quorum.score.metrics import score_answers, solution_of

    solution, metric = solution_of(ground.held_out), ground.competition.metric
    runs = [answered(ground, arm, number) for number, arm in enumerate(arms)]
    ballots = [ballots_of(read_answers(run.out / "heldout.parquet")) for run, _ in runs]
    pairs = [
        compare_runs({arm.name: own, PLAIN: ballots[0]}, solution, metric).pairs[0]
        for arm, own in zip(arms[1:], ballots[1:], strict=True)
    ]
    adjusted = [float(p) for p in multipletests([pair.p for pair in pairs], method="holm")[1]] if pairs else []
    values = [score_answers(own, solution, metric).overall.value for own in ballots]
    return [
        Row(arm.name, value, pair, level, round(cpu, 1), round(run.seconds, 1))
        for arm, value, pair, level, (run, cpu) in zip(
            arms, values, [None, *pairs], [None, *adjusted], runs, strict=True
        )
    ]


def answered(ground: "Ground", arm: Arm, number: int) -> tuple[Run, float]:
    """One arm's run over the held-out questions, and its CPU seconds, loading included."""
    out = Path("runs") / ground.competition.name / "ablate" / str(number)
    questions = [str(ground.folder / "heldout.parquet")]
    train = str(ground.folder / "train.parquet")
    given = {"questions": questions, "train": train, "sample": "", "out": str(out), "journal": "", **arm.dials}
    before = cpu_of_children()
    seconds = kernel("infer", arm.toml, given)
    return Run(arm.name, out, given, (), seconds), cpu_of_children() - before


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(ground: "Ground", rows: list[Row]) -> None:
    """The table as Markdown."""
    print(f"{ground.competition.metric} over {len(ground.held_out)} held-out questions\n")
    print("| arm | value | difference | only this : only plain | p | Holm | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        pair, told = row.difference, " | | | "
        if pair is not None:
            only = "" if pair.only_first is None else f"{pair.only_first} : {pair.only_second}"
            told = f"{pair.difference:+.3f} ± {pair.error:.3f} | {only} | {pair.p:.2g} | {row.adjusted:.2g}"
        print(f"| {row.arm} | {row.value:.3f} | {told} | {row.cpu_seconds:.0f} |")


if __name__ == "__main__":
    enter(main)
