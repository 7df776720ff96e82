"""`quorum ladder`: add one stage after another to a member, and keep those that gain."""

from pathlib import Path
from typing import Annotated

import typer

from quorum.cli.board import print_ladder
from quorum.cli.options import AsJson, Examples, Folder, HeldOut, Member, Passages, SplitSeed
from quorum.cli.tables import report_line
from quorum.competition.workspace import Workspace
from quorum.console import DONE, print_json


def ladder_command(
    folder: Folder,
    member: Member = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(metavar='"NAME: KEY=VALUE …"', help="A stage of your own, tried last; may be repeated."),
    ] = None,
    only: Annotated[bool, typer.Option("--only", help="Try the stages of --stage and no others.")] = False,
    passages: Passages = 1,
    examples: Examples = 3,
    verifier: Annotated[
        Path | None,
        typer.Option(
            metavar="TOML",
            help="Its [backend] verifies, as its [refine.verdict] says.",
            show_default="the member's own",
        ),
    ] = None,
    rehearse: Annotated[int, typer.Option(metavar="N", help="Solved questions to fit on.")] = 200,
    halves: Annotated[
        bool, typer.Option("--halves", help="Choose on half of the held-out clusters, score the winner on the rest.")
    ] = False,
    winner: Annotated[
        Path | None, typer.Option(metavar="TOML", help="Write the member with the kept stages to this file.")
    ] = None,
    held_out: HeldOut = 0.25,
    seed: SplitSeed = 42,
    as_json: AsJson = False,
) -> int:
    """Add stages to a member and keep those that gain.

    Each stage is put on top of those kept before it. The stages are: calibrated, shuffled, retrieval, chain-of-thought,
    the same where it pays, votes, verify. A stage is kept if it gains on the held-out questions and Holm's p over all
    stages is below 5 %.
    """
    from dataclasses import asdict

    from quorum.competition.ablation import parse_arm
    from quorum.competition.climb import add_stages, choose_stages, run_ladder, write_winner
    from quorum.competition.folder import find_competition
    from quorum.competition.prepare import prepare_competition
    from quorum.competition.run import find_kernel_toml

    member = member or find_kernel_toml("encoder")
    own = add_stages(member, [parse_arm(text, member, "--stage") for text in stage or []])
    prepared = prepare_competition(find_competition(folder), Workspace(), held_out, seed, report_line)
    built_in = (
        []
        if only
        else choose_stages(prepared, member, verifier=verifier, passages=passages, examples=examples, rehearse=rehearse)
    )
    found = run_ladder(prepared, member, [*built_in, *own], report_line, seed if halves else None)
    if winner:
        write_winner(member, found, winner)
    print_json(asdict(found)) if as_json else print_ladder(found)
    return DONE
