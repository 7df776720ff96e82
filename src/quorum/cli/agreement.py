"""`quorum agreement`: compare raters' labels with human ones."""

from pathlib import Path
from typing import Annotated

import typer

from quorum.cli.options import AsJson, check_seed
from quorum.cli.tables import print_line, print_table
from quorum.console import DONE, print_json
from quorum.errors import BadInput


def agreement_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Table with a column of labels for each rater.")],
    human: Annotated[str, typer.Option(metavar="COLUMN", help="Column of the human labels.")],
    rater: Annotated[list[str], typer.Option(metavar="COLUMN", help="Column of another rater; may be repeated.")],
    by: Annotated[str | None, typer.Option(metavar="COLUMN", help="Also compare the rows of each value alone.")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Rows of one value belong together, such as one prompt.")
    ] = None,
    merge: Annotated[
        list[str] | None, typer.Option(metavar="LABEL=LABEL", help="Count a label as another; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", callback=check_seed, help="Seed of the bootstrap.")] = 42,
    as_json: AsJson = False,
) -> int:
    """Compare raters' labels with human ones: Cohen's kappa.

    \b
      quorum agreement labels.csv --human final_label --rater strmatch_label
    """
    from dataclasses import asdict

    from quorum.evaluation.agreement import LabelColumns, measure_agreement

    pairs = [text.partition("=") for text in merge or []]
    if wrong := [one for one, equals, _ in pairs if not equals]:
        raise BadInput(f"--merge {wrong[0]!r} is not LABEL=LABEL")
    merged = {one: other for one, _, other in pairs}
    columns = LabelColumns(human=human, raters=tuple(rater), by=by, group=group, merge=merged)
    found = measure_agreement(file, columns, seed)
    if as_json:
        print_json([asdict(each) for each in found])
        return DONE
    rows = []
    for each in found:
        kappa = "?" if each.kappa is None else f"{each.kappa:.3f}"
        if each.error is not None:
            kappa += f" ± {each.error:.3f}"
        span = "?" if each.low is None else f"{each.low:.3f}–{each.high:.3f}"
        rows.append([each.rater, each.part or "all", str(each.n), f"{each.agreed:.3f}", kappa, span])
    print_table(["rater", by or "rows", "n", "agreed", "kappa ± error", "95 %"], rows)
    print_line(f"compared with {human}; errors: bootstrap over {group or 'rows'}")
    return DONE
