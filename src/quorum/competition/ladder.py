"""The ladder: stage after stage on top of a member, each kept only if it gains."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quorum.ballot import Ballot
from quorum.competition.stages import Stage
from quorum.evaluation.compare import SIGNIFICANCE_LEVEL, PairedDifference, compare_runs, compute_mcnemar_p
from quorum.evaluation.metrics import lower_is_better, score_answers
from quorum.files.solution import SolvedRow

BASE = "base"
LADDER_COLUMNS = ("stage", "value", "difference", "with : without", "Holm p", "calls", "s/1,000", "kept")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the member answered with some stages on it, and what that took a question: prompts asked of any model, and
    seconds, loading included."""

    ballots: Mapping[str, Ballot]
    calls: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One stage: the metric with it, and the difference to what stood before it (None for the base).

    `p` is the larger of the paired test's and exact McNemar's, where both apply: groups may widen it, never narrow it.
    `adjusted` is Holm's over all stages of the ladder, those not climbed yet counting as 1, so later ones could only
    lower it.
    """

    stage: str
    value: float
    calls: float  # a question
    seconds: float  # a question
    difference: PairedDifference | None = None
    p: float | None = None
    adjusted: float | None = None
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Final:
    """Base and winner on `n` questions that had no part in choosing the stages."""

    n: int
    base: float
    winner: float
    difference: PairedDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """A climbed ladder over `n` questions: its rungs, and the stages that could not be tried, with the reason.

    `settings` are the winner's, by dotted names, besides those of the member. Without `final` the winner was chosen by
    the very questions that score it: its value is optimistic.
    """

    metric: str
    n: int
    rungs: tuple[Rung, ...]
    skipped: Mapping[str, str]
    settings: Mapping[str, Any]
    final: Final | None = None


def climb_ladder(
    stages: Sequence[Stage],
    attempt: Callable[[tuple[Stage, ...]], Attempt],
    solution: Sequence[SolvedRow],
    metric: str,
    final: Sequence[SolvedRow] = (),
) -> Ladder:
    """The base and every stage that can be tried, each on top of those kept before it, by the same questions.

    A stage is kept if the metric is better with it and its adjusted p is below 5 %. `attempt` answers with some stages
    on the member; `final` are questions to score base and winner on that are not among those of `solution`.
    """
    tried = [stage for stage in stages if not stage.not_for]
    kept: tuple[Stage, ...] = ()
    base = standing = attempt(kept)
    rungs = [Rung(stage=BASE, value=_score_attempt(base, solution, metric), calls=base.calls, seconds=base.seconds)]
    levels: list[float] = []
    for stage in tried:
        found = attempt((*kept, stage))
        pair = compare_runs({stage.name: found.ballots, "before it": standing.ballots}, solution, metric).pairs[0]
        levels.append(_compute_stage_p(pair))
        adjusted = adjust_last_p(levels, len(tried))
        keep = _compute_gain(pair, metric) > 0 and adjusted < SIGNIFICANCE_LEVEL
        value = _score_attempt(found, solution, metric)
        rungs.append(
            Rung(
                stage=stage.name,
                value=value,
                calls=found.calls,
                seconds=found.seconds,
                difference=pair,
                p=levels[-1],
                adjusted=adjusted,
                kept=keep,
            )
        )
        if keep:
            kept, standing = (*kept, stage), found
    return Ladder(
        metric=metric,
        n=len(solution),
        rungs=tuple(rungs),
        skipped={stage.name: stage.not_for for stage in stages if stage.not_for},
        settings={setting: value for stage in kept for setting, value in stage.settings.items()},
        final=_score_final(base, standing, final, metric) if final else None,
    )


def split_clusters_in_half(
    solution: Sequence[SolvedRow], clusters: Mapping[str, int], seed: int = 42
) -> tuple[list[SolvedRow], list[SolvedRow]]:
    """The questions to choose on and those to score on: half of the clusters each, drawn by chance, none in both."""
    known = sorted({clusters[row.id] for row in solution})
    first = set(random.Random(seed).sample(known, len(known) // 2))
    return [row for row in solution if clusters[row.id] in first], [
        row for row in solution if clusters[row.id] not in first
    ]


def adjust_last_p(levels: Sequence[float], count: int) -> float:
    """Holm's adjusted p of the last of `levels`, in a family of `count` of which the others are not known yet."""
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    family = [*levels, *[1.0] * (count - len(levels))]
    return float(multipletests(family, method="holm")[1][len(levels) - 1])


def list_ladder_rows(ladder: Ladder) -> list[list[str]]:
    """Return a row of text for each stage that was tried, in the columns `LADDER_COLUMNS`."""
    return [_format_rung(rung) for rung in ladder.rungs]


def _format_rung(rung: Rung) -> list[str]:
    pair, cost = rung.difference, [f"{rung.calls:.2f}", f"{1000 * rung.seconds:.0f}"]
    if pair is None:
        return [rung.stage, f"{rung.value:.3f}", "", "", "", *cost, ""]
    only = "" if pair.only_first is None else f"{pair.only_first} : {pair.only_second}"
    difference = f"{pair.difference:+.3f} ± {pair.error:.3f}"
    kept = "yes" if rung.kept else "no"
    return [rung.stage, f"{rung.value:.3f}", difference, only, f"{rung.adjusted:.2g}", *cost, kept]


def describe_skipped(ladder: Ladder) -> str:
    """Return one line on the stages that were not tried, grouped by the reason; empty if all were tried."""
    stages: dict[str, list[str]] = {}
    for stage, reason in ladder.skipped.items():
        stages.setdefault(reason, []).append(stage)
    groups = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in stages.items())
    return f"not tried: {groups}" if groups else ""


def describe_outcome(ladder: Ladder) -> str:
    """Return one line on how far the last kept value can be trusted."""
    if ladder.final is not None:
        final = ladder.final
        change = f"{final.difference.difference:+.3f} ± {final.difference.error:.3f}, p = {final.difference.p:.2g}"
        return f"on {final.n} other questions: base {final.base:.3f}, winner {final.winner:.3f} ({change})"
    if any(rung.kept for rung in ladder.rungs[1:]):
        return "the stages were chosen on the questions that score them, so the last kept value is optimistic"
    return "no stage gains; the base is kept"


def _score_final(base: Attempt, winner: Attempt, solution: Sequence[SolvedRow], metric: str) -> Final:
    pair = compare_runs({"winner": winner.ballots, BASE: base.ballots}, solution, metric).pairs[0]
    return Final(len(solution), _score_attempt(base, solution, metric), _score_attempt(winner, solution, metric), pair)


def _score_attempt(attempt: Attempt, solution: Sequence[SolvedRow], metric: str) -> float:
    ballots = {row.id: attempt.ballots[row.id] for row in solution}
    return score_answers(ballots, solution, metric).overall.value


def _compute_gain(pair: PairedDifference, metric: str) -> float:
    return -pair.difference if lower_is_better(metric) else pair.difference


def _compute_stage_p(pair: PairedDifference) -> float:
    if pair.only_first is None or pair.only_second is None:
        return pair.p
    return max(pair.p, compute_mcnemar_p(pair.only_first, pair.only_second))
