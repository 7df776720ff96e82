"""`quorum prune-experts`: write a mixture whose super experts output zero."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from quorum.cli.options import AsJson, check_seed
from quorum.cli.tables import print_line
from quorum.console import DONE, print_json


def prune_experts_command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Mixture of experts: hub id or folder.")],
    experts: Annotated[Path, typer.Argument(metavar="PROFILE", help="File that quorum profile-experts wrote.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to write the pruned model to.")],
    what: Annotated[
        Literal["super", "random", "matched"],
        typer.Option(help="The super experts, or as many others: random, or with similar shares of tokens."),
    ] = "super",
    seed: Annotated[
        int, typer.Option(metavar="N", callback=check_seed, help="Seed of the choice of random experts.")
    ] = 3407,
    as_json: AsJson = False,
) -> int:
    """Prune the super experts of a mixture, or random ones.

    A pruned expert outputs zero; the router still sends it tokens.
    """
    from dataclasses import asdict

    from quorum.train.expert_profile import choose_experts, format_experts, read_profile
    from quorum.train.mixture import prune_experts

    pruned = choose_experts(read_profile(experts), what, seed)
    prune_experts(model, pruned, out)
    if as_json:
        print_json({"out": str(out), "what": what, "pruned": [asdict(place) for place in pruned]})
    else:
        print_line(f"{out}: {model} without {what} experts {format_experts(pruned)}")
    return DONE
