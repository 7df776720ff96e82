"""`quorum compare-experts`: compare a mixture with pruned and with trained super experts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorum.cli.board import print_differences
from quorum.cli.options import AsJson, check_seed
from quorum.cli.tables import print_table, report_line
from quorum.console import DONE, print_json
from quorum.errors import BadInput

if TYPE_CHECKING:
    from quorum.competition.expert_arms import ComparedExperts


def compare_experts_command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A mixture: hub id or folder.")],
    split: Annotated[Path, typer.Argument(metavar="SPLIT", help="A folder of quorum split.")],
    experts: Annotated[Path, typer.Option(metavar="PROFILE", help="A profile of quorum profile-experts.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where models and answers go.")],
    learn: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A setting of kernels/train.py; may be repeated.")
    ] = None,
    ask: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A setting of kernels/infer.py; may be repeated.")
    ] = None,
    draws: Annotated[int, typer.Option(metavar="N", help="Draws of random experts, each an arm.")] = 1,
    seed: Annotated[int, typer.Option(metavar="N", callback=check_seed, help="Seed of the first draw.")] = 3407,
    as_json: AsJson = False,
) -> int:
    """Compare a mixture with pruned and trained super experts.

    All answer the same held-out questions. Super experts are pruned, and trained alone; random experts and attention
    are the controls. Unread replies count as wrong. Super experts are worth something if they beat every random draw
    and attention; how far draws differ shows with --draws.
    """
    from dataclasses import asdict

    from quorum.competition.expert_arms import ExpertComparison, compare_experts, parse_settings
    from quorum.data.split_folder import SplitFolder

    if draws < 1:
        raise BadInput(f"--draws {draws}; at least one control is needed")
    comparison = ExpertComparison(
        model=model,
        profile=experts,
        split=SplitFolder(split),
        out=out,
        draws=draws,
        seed=seed,
        train_settings=parse_settings(learn or []),
        infer_settings=parse_settings(ask or []),
    )
    found = compare_experts(comparison, report_line)
    print_json(asdict(found)) if as_json else print_compared_experts(found)
    return DONE


def print_compared_experts(found: "ComparedExperts") -> None:
    """Print the scores and the differences as two tables."""
    rows = []
    for arm, score in found.scores.items():
        error = "" if score.error is None else f" ± {score.error:.3f}"
        rows.append([arm, f"{score.value:.3f}{error}", str(score.unread)])
    print_table(["arm", f"accuracy (n = {found.scores['base'].n})", "unread"], rows)
    print()
    print_differences(found.pairs)
