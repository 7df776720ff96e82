"""Members that ask their model only what cheaper members of the competition leave open.

Such a member's TOML names, as `limits.cascade.run`, another member of the same competition, or "vote": the vote of all
members without a cascade. From which confidence on their answers are taken is fitted on the held-out questions, out of
fold (judge/cascade.py).
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from quorum.competition.folds import uses_labels
from quorum.competition.prepare import PreparedCompetition
from quorum.competition.run import CHEAP_VOTE, VOTE, CompetitionRun, run_member, run_vote
from quorum.config import read_table
from quorum.errors import BadInput

_ASKING = 0.9  # share of the time that is left in which the model is asked


def find_cheap_run(toml: Path) -> str | None:
    """Return what the member's `limits.cascade.run` names; None without a cascade, or if `gold` is set there too."""
    limits = read_table(toml).get("limits", {})
    cascade = limits.get("cascade", {}) if isinstance(limits, dict) else {}
    if not isinstance(cascade, dict) or not isinstance(cascade.get("run"), str) or cascade.get("gold"):
        return None
    return str(cascade["run"])


def needs_gold(toml: Path) -> bool:
    """Return whether the confidence of the member's cascade is fitted on the held-out questions."""
    return find_cheap_run(toml) is not None and read_table(toml)["limits"]["cascade"].get("sure") is None


def separate_cascades(tomls: Sequence[Path], folds: int = 1) -> tuple[list[Path], list[Path]]:
    """Return the members without, and those with a cascade from other members of the competition.

    Raises:
        BadInput: a member's cascade names no other member, or, with folds, it learns from labels in another way too.
    """
    named = {toml: find_cheap_run(toml) for toml in tomls}
    plain = [toml for toml, name in named.items() if name is None]
    cascades = []
    for toml, name in named.items():
        if name is None:
            continue
        if name != VOTE and name not in {other.stem for other in plain}:
            if not Path(name).is_dir():
                raise BadInput(
                    f"{toml}: limits.cascade.run is {name!r}; allowed are 'vote', the name of a member without a"
                    f" cascade ({', '.join(other.stem for other in plain) or 'there is none'}), or the folder of a run"
                )
            plain.append(toml)
            continue
        fitted = {"limits.cascade.gold": "heldout.parquet"} if needs_gold(toml) else {}
        if folds > 1 and uses_labels(toml, fitted):
            raise BadInput(f"{toml}: a cascade whose model learns from labels cannot run in folds; leave out --folds")
        cascades.append(toml)
    if cascades and not plain:
        raise BadInput(
            f"{cascades[0]}: limits.cascade.run needs another member without a cascade; name one with --member"
        )
    return plain, cascades


def run_cascade_member(
    prepared: PreparedCompetition, toml: Path, runs: Sequence[CompetitionRun], report: Callable[[str], None]
) -> CompetitionRun:
    """Let a member answer what the cheap runs leave open.

    With a time limit, the questions that cannot be asked in time keep the cheap answers.

    Args:
        runs: the finished runs of members without a cascade, at least one; all vote if the named one is not finished.
    """
    name = find_cheap_run(toml)
    known = [run for run in runs if run.name == name] or runs
    cheap = known[0] if len(known) == 1 else run_vote(prepared, known, report, CHEAP_VOTE)
    settings: dict[str, Any] = {"limits.cascade.run": str(cheap.folder.path)}
    if needs_gold(toml):
        settings["limits.cascade.gold"] = str(prepared.gold)
    if prepared.until is not None:
        settings["limits.deadline"] = max(_ASKING * (prepared.until - time.monotonic()) / 60, 0.0)
    return run_member(prepared, toml, report, with_train=prepared.folds == 1, more=settings)
