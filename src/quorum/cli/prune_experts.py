"""`quorum prune-experts`: write a mixture whose super experts are silent."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from quorum.cli.options import AsJson, check_seed
from quorum.cli.tables import print_line
from quorum.console import DONE, print_json


def prune_experts_command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A mixture: hub id or folder.")],
    experts: Annotated[Path, typer.Argument(metavar="PROFILE", help="A profile of quorum profile-experts.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the pruned model goes.")],
    what: Annotated[
        Literal["super", "random"], typer.Option(help="Super experts, or as many random ones in each layer.")
    ] = "super",
    seed: Annotated[int, typer.Option(metavar="N", callback=check_seed, help="Seed of the random ones.")] = 3407,
    as_json: AsJson = False,
) -> int:
    """Silence the super experts of a mixture, or random ones.

    Their output is zero; the router still sends them tokens.
    """
    from dataclasses import asdict

    from quorum.train.experts.choice import choose_experts, format_experts, read_profile
    from quorum.train.experts.weights import prune_experts

    places = choose_experts(read_profile(experts), what, seed)
    prune_experts(model, places, out)
    if as_json:
        print_json({"out": str(out), "what": what, "pruned": [asdict(place) for place in places]})
    else:
        print_line(f"{out}: {model} without {what} experts {format_experts(places)}")
    return DONE
