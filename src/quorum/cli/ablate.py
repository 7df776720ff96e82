"""`quorum ablate`: measure the gain of each addition to a member."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from quorum.cli.options import AsJson, Examples, Folder, HeldOut, Member, Passages, SplitSeed
from quorum.cli.tables import print_table, report_line
from quorum.competition.workspace import Workspace
from quorum.console import DONE, print_json

if TYPE_CHECKING:
    from quorum.competition.ablation import ArmResult


def ablate_command(
    folder: Folder,
    member: Member = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(metavar='"NAME: [TOML] KEY=VALUE …"', help="Add an arm; may be repeated."),
    ] = None,
    only: Annotated[bool, typer.Option("--only", help="Run only the arms of --arm.")] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also compare arms whose questions, prompts or precision differ.")
    ] = False,
    passages: Passages = 1,
    examples: Examples = 3,
    reranker: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Add arms that rerank with this cross-encoder.")
    ] = None,
    held_out: HeldOut = 0.25,
    seed: SplitSeed = 42,
    as_json: AsJson = False,
) -> int:
    """Measure the gain of each addition to a member.

    An arm is the member with some settings changed, or another member. Every arm answers the held-out questions and is
    compared with the unchanged member, question by question, in score and in cost. Without --only there is also one arm
    for each kind of search over the background and over the solved questions. Finished
    arms of an interrupted ablation are reused.

    \b
      quorum ablate data/sample --arm "in letters: prompt.style=letter" \\
          --arm "copied: kernels/neighbour.toml"
    """
    from dataclasses import asdict

    from quorum.competition.ablation import make_retrieval_arms, parse_arm, run_ablation
    from quorum.competition.arms import UNCHANGED, Arm
    from quorum.competition.folder import find_competition
    from quorum.competition.lock import lock_competition
    from quorum.competition.prepare import prepare_competition
    from quorum.competition.run import find_kernel_toml

    member = member or find_kernel_toml("encoder")
    own = [parse_arm(text, member) for text in arm or []]
    competition = find_competition(folder)
    built_in = [] if only else make_retrieval_arms(member, competition.background, passages, examples, reranker)
    with lock_competition(Workspace(), competition.name, report_line):
        prepared = prepare_competition(competition, Workspace(), held_out, seed, report_line)
        results = run_ablation(prepared, [Arm(UNCHANGED, member, {}), *built_in, *own], anyway, report_line)
    size, metric = len(prepared.held_out), prepared.metric
    if as_json:
        print_json({"n": size, "metric": metric, "arms": [asdict(result) for result in results]})
    else:
        print_arms(results, f"{metric} over {size} held-out questions")
    return DONE


def print_arms(results: "Sequence[ArmResult]", title: str) -> None:
    """Print one row for each arm."""
    rows = []
    for result in results:
        pair, paired = result.difference, ["", "", ""]
        if pair is not None:
            only = "" if pair.only_first is None else f"{pair.only_first} : {pair.only_second}"
            paired = [f"{pair.difference:+.3f} ± {pair.error:.3f}", only, f"{result.adjusted:.2g}"]
        cost = [f"{result.cost.calls:.2f}", f"{result.cost.cpu_seconds:.0f}"]
        rows.append([result.arm, f"{result.value:.3f}", *paired, *cost])
    print_table(["arm", "value", "difference", "with : without", "Holm p", "calls", "CPU s"], rows, title=title)
