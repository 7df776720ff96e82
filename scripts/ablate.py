"""What each addition to a member is worth: the held-out questions with and without it, paired, and what it costs.

An arm is the member with some settings set otherwise, or another member, answered by the kernel in a process of its
own. Retrieval's arms are there by default; whatever else can be switched joins the table by name:
  scripts/ablate.py data/sample --arm "in letters: prompt.style=letter" --arm "copied: kernels/neighbour.toml"
With --ladder the named stages are climbed instead, each kept only if it gains: calibrated, shuffled, retrieval,
chain-of-thought, the same where it pays, votes, verify, and then any --arm:
  scripts/ablate.py data/sample --ladder --winner winner.toml
"""

import argparse
import json
import resource
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, print_status, run_program
from submit import KERNELS, Run, kernel, prepare

if TYPE_CHECKING:
    from quorum.competition.ladder import Ladder
    from quorum.competition.stages import Stage
    from quorum.evaluation.compare import PairedDifference
    from quorum.files.manifest import RunManifest
    from submit import Ground

PLAIN = "as it stands"


@dataclass(frozen=True)
class Arm:
    """A member and the settings that are set otherwise."""

    name: str
    toml: Path
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Cost:
    """What answering the held-out questions took: prompts asked of any model a question; seconds, loading included."""

    calls: float
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Row:
    """An arm's accuracy (or the competition's metric), against the member as it stands, and its cost."""

    arm: str
    value: float
    difference: "PairedDifference | None"
    adjusted: float | None  # Holm over the arms
    cost: Cost


def main() -> int:
    args = arguments()
    from quorum.competition.folder import find_competition

    ground = prepare(find_competition(args.folder), args.held_out, args.seed)
    if args.ladder:
        return climb(ground, args)
    arms = [Arm(PLAIN, args.member, {}), *([] if args.only else retrieval_arms(ground, args))]
    arms += [arm_of(text, args.member) for text in args.arm]
    rows = table(ground, arms, args.anyway)
    if args.json:
        print_json(
            {"n": len(ground.held_out), "metric": ground.competition.metric, "arms": [asdict(row) for row in rows]}
        )
    else:
        show(ground, rows)
    return DONE


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="exit code: 0 done, 2 bad input",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="the competition: train, test and sample submission")
    parser.add_argument("--member", type=Path, default=KERNELS / "encoder.toml", help="a TOML of kernels/infer.py")
    parser.add_argument("--arm", action="append", default=[], help='"name: [TOML] key=value …"; may be repeated')
    parser.add_argument("--only", action="store_true", help="what --arm names, none of the built-in arms or stages")
    parser.add_argument("--anyway", action="store_true", help="arms of other questions, prompts or precision too")
    parser.add_argument("--passages", type=int, default=1, help="of background (default %(default)s)")
    parser.add_argument("--examples", type=int, default=3, help="solved questions (default %(default)s)")
    parser.add_argument("--reranker", help="a cross-encoder: arms with its order too")
    parser.add_argument("--ladder", action="store_true", help="climb the stages instead, each on those kept before it")
    parser.add_argument(
        "--verifier",
        type=Path,
        help="a TOML whose [backend] (else the member's) verifies, asked as its [refine.verdict] says",
    )
    parser.add_argument("--rehearse", type=int, default=200, help="solved questions to fit on (default %(default)s)")
    parser.add_argument("--halves", action="store_true", help="choose on half of the held-out clusters, score the rest")
    parser.add_argument("--winner", type=Path, metavar="OUT.toml", help="write the member with the stages kept")
    parser.add_argument("--held-out", type=float, default=0.25, help="share of train to score on (default %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="of the split (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    return parser.parse_args()


def retrieval_arms(ground: "Ground", args: argparse.Namespace) -> list[Arm]:
    """Every search over the background, where there is one, and over the solved questions; reranked if asked for."""
    shown: dict[str, dict[str, Any]] = {"examples": {"retrieval.examples": args.examples}}
    if ground.competition.background:
        background = {"retrieval.background": str(ground.competition.background)}
        shown = {"background": {**background, "retrieval.passages": args.passages}} | shown
    ways = {kind: {"retrieval.search": kind} for kind in ("lexical", "dense", "hybrid")}
    if args.reranker:
        ways["reranked"] = {"retrieval.search": "hybrid", "retrieval.reranker": args.reranker}
    return [
        Arm(f"{what}, {way}", args.member, settings | shown[what]) for what in shown for way, settings in ways.items()
    ]


def arm_of(text: str, member: Path) -> Arm:
    """The arm in "name: [TOML] key=value …".

    Raises:
        BadInput: it has no name, or a word is neither a TOML file nor key=value.
    """
    from quorum.errors import BadInput

    name, colon, rest = text.partition(":")
    settings: dict[str, Any] = {}
    for word in rest.split():
        setting, equals, value = word.partition("=")
        if word.endswith(".toml") and not equals:
            member = Path(word)
        elif not equals:
            raise BadInput(f"--arm {text!r}: {word!r} is neither a TOML file nor key=value")
        else:
            settings[setting] = json_or_text(value)
    if not colon or not name.strip():
        raise BadInput(f'--arm {text!r}: expected is "name: key=value …"')
    return Arm(name.strip(), member, settings)


def json_or_text(value: str) -> Any:
    """A number, list or true and false as JSON writes them, else the text itself."""
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def table(ground: "Ground", arms: list[Arm], anyway: bool) -> list[Row]:
    """All arms answered, each against the first."""
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    from quorum.evaluation.compare import compare_runs
    from quorum.evaluation.metrics import score_answers
    from quorum.files.answers import ballots_from_answers, read_answers
    from quorum.files.manifest import read_manifest
    from quorum.files.solution import make_solution

    solution, metric = make_solution(ground.held_out), ground.competition.metric
    runs = [answered(ground, arm, f"ablate/{number}") for number, arm in enumerate(arms)]
    accounts = [read_manifest(run.out / "run.json") for run, _ in runs]
    for arm, account in zip(arms[1:], accounts[1:], strict=True):
        check_comparable(arm, account, accounts[0], anyway)
    ballots = [ballots_from_answers(read_answers(run.out / "heldout.parquet")) for run, _ in runs]
    pairs = [
        compare_runs({arm.name: own, PLAIN: ballots[0]}, solution, metric).pairs[0]
        for arm, own in zip(arms[1:], ballots[1:], strict=True)
    ]
    adjusted = [float(p) for p in multipletests([pair.p for pair in pairs], method="holm")[1]] if pairs else []
    values = [score_answers(own, solution, metric).overall.value for own in ballots]
    return [
        Row(arm.name, value, pair, level, cost)
        for arm, value, pair, level, (_, cost) in zip(
            arms, values, [None, *pairs], [None, *adjusted], runs, strict=True
        )
    ]


def check_comparable(arm: Arm, account: "RunManifest", plain: "RunManifest", anyway: bool) -> None:
    """Tells in what, besides its addition, an arm is another thing; refuses where the command line did not say so."""
    from quorum.errors import BadInput
    from quorum.files.manifest import list_differences

    said = {
        "prompt": ("prompt", "refine.verdict", "refine.reason"),
        "precision": ("backend",),
        "questions": ("questions",),
    }
    for what, words in list_differences(account, plain).items():
        line = f"{arm.name!r} against {PLAIN!r}: {words}"
        if not anyway and not any(
            f"{setting}.".startswith(f"{name}.") for name in said[what] for setting in arm.settings
        ):
            raise BadInput(f"{line}; no paired test is about that. --anyway compares them all the same")
        print_status(line)


def answered(ground: "Ground", arm: Arm, folder: str) -> tuple[Run, Cost]:
    """One arm's run over the held-out questions, and what it took."""
    from quorum.files.manifest import read_manifest

    out = Path("runs") / ground.competition.name / folder
    questions = [str(ground.folder / "heldout.parquet")]
    train = str(ground.folder / "train.parquet")
    given = {
        "questions": questions,
        "train": train,
        "sample": "",
        "out": str(out),
        "limits.journal": "",
        **arm.settings,
    }
    before = cpu_of_children()
    seconds = kernel("infer", arm.toml, given)
    cost = Cost(
        read_manifest(out / "run.json").calls_a_question, round(seconds, 1), round(cpu_of_children() - before, 1)
    )
    return Run(arm.name, out, given, (), seconds), cost


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(ground: "Ground", rows: list[Row]) -> None:
    """The table as Markdown."""
    print(f"{ground.competition.metric} over {len(ground.held_out)} held-out questions\n")
    print("| arm | value | difference | only this : only plain | p | Holm | calls a question | CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        pair, told = row.difference, " | | | "
        if pair is not None:
            told = f"{difference_told(pair)} | {pair.p:.2g} | {row.adjusted:.2g}"
        print(f"| {row.arm} | {row.value:.3f} | {told} | {row.cost.calls:.2f} | {row.cost.cpu_seconds:.0f} |")


def difference_told(pair: "PairedDifference") -> str:
    only = "" if pair.only_first is None else f"{pair.only_first} : {pair.only_second}"
    return f"{pair.difference:+.3f} ± {pair.error:.3f} | {only}"


def stages(ground: "Ground", args: argparse.Namespace) -> "list[Stage]":
    """The ladder's stages for the member, and those that --arm adds on top.

    Raises:
        BadInput: an --arm is another member, which is no stage of this one.
    """
    from quorum.competition.stages import Stage, list_stages
    from quorum.errors import BadInput

    more = [arm_of(text, args.member) for text in args.arm]
    if others := [arm.name for arm in more if arm.toml != args.member]:
        raise BadInput(f"--ladder: {others[0]!r} is another member, and a stage is set on top of this one")
    verifier = read_toml(args.verifier) if args.verifier else {}
    built_in = list_stages(
        read_toml(args.member),
        ground.competition.background,
        args.passages,
        args.examples,
        args.rehearse,
        verifier.get("backend"),
        ground.competition.metric,
        verifier.get("refine", {}).get("verdict"),
    )
    return [*([] if args.only else built_in), *(Stage(arm.name, arm.settings) for arm in more)]


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's table.

    Raises:
        BadInput: it is none.
    """
    from quorum.errors import BadInput

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not a TOML file: {error}") from None


def climb(ground: "Ground", args: argparse.Namespace) -> int:
    """The ladder, told, and its winner written."""
    from quorum.competition.ladder import format_ladder

    found = ladder(ground, args.member, stages(ground, args), args.halves, args.seed)
    if args.winner:
        write_winner(args.member, found, args.winner)
    if args.json:
        print_json(asdict(found))
    else:
        print(format_ladder(found))
    return DONE


def ladder(
    ground: "Ground",
    member: Path,
    stages: "Sequence[Stage]",
    in_halves: bool = False,
    seed: int = 42,
    known: "Mapping[tuple[str, ...], Run] | None" = None,
) -> "Ladder":
    """Every stage that can be put on the member, climbed; `known` are runs that were made already, by their stages."""
    from quorum.competition.ladder import BASE, Attempt, climb_ladder, split_clusters_in_half
    from quorum.files.answers import ballots_from_answers, read_answers
    from quorum.files.manifest import RunManifest, read_manifest
    from quorum.files.solution import make_solution

    accounts: dict[str, RunManifest] = {}

    def attempt(on: "tuple[Stage, ...]") -> Attempt:
        names = tuple(stage.name for stage in on)
        last = names[-1] if names else BASE
        arm = Arm(last, member, {setting: value for stage in on for setting, value in stage.settings.items()})
        run = (known or {}).get(names) or answered(ground, arm, f"ladder/{last}")[0]
        account = read_manifest(run.out / "run.json")
        check_comparable(arm, account, accounts.setdefault(BASE, account), False)
        ballots = ballots_from_answers(read_answers(run.out / "heldout.parquet"))
        return Attempt(ballots, account.calls_a_question, run.seconds / sum(account.counts.values()))

    solution = make_solution(ground.held_out)
    chosen_on, scored_on = solution, solution[:0]
    if in_halves:
        clusters = dict(ground.split.frame.select("id", "cluster").iter_rows())
        chosen_on, scored_on = split_clusters_in_half(solution, clusters, seed)
    return climb_ladder(stages, attempt, chosen_on, ground.competition.metric, scored_on)


# make submit's members of the encoder's family, by the stages that are on them
ENCODERS = {
    (): "encoder",
    ("retrieval",): "encoder-rag",
    ("fine-tuned",): "encoder-tuned",
    ("retrieval", "fine-tuned"): "encoder-rag-tuned",
}


def short_ladder(ground: "Ground", runs: "Sequence[Run]") -> str:
    """The ladder of the encoder in `make submit`, in Markdown, climbed on the runs that were made already.

    Stages that none of them has on it are named and not tried: that is for `--ladder`, in its own time. Empty where the
    encoder was not asked alone.
    """
    from quorum.competition.ladder import format_ladder
    from quorum.competition.stages import Stage, list_stages

    made = {run.name: run for run in runs}
    known = {stages: made[name] for stages, name in ENCODERS.items() if name in made}
    if () not in known:
        return ""
    toml = KERNELS / "encoder.toml"
    tuned = next((run for stages, run in known.items() if "fine-tuned" in stages), None)
    trained = Stage("fine-tuned", {"backend.model": tuned.config["backend.model"]} if tuned else {})
    stages = []
    for stage in [*list_stages(read_toml(toml), ground.competition.background), trained]:
        measured = any(stage.name in on for on in known)
        stages.append(stage if measured or stage.not_for else replace(stage, not_for="not a member here"))
    return format_ladder(ladder(ground, toml, stages, known=known))


def write_winner(member: Path, ladder: "Ladder", path: Path) -> None:
    """The member's TOML with the settings of the stages kept: what kernels/infer.py takes."""
    from quorum.competition.winner import format_toml
    from quorum.config import apply_overrides
    from quorum.disk import replace_file

    words = [f"{setting}={json.dumps(value)}" for setting, value in ladder.settings.items()]
    with replace_file(path) as part:
        part.write_text(format_toml(apply_overrides(read_toml(member), words, str(member))), encoding="utf-8")


if __name__ == "__main__":
    run_program(main)
