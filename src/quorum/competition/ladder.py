"""Decide which stages of a ladder to keep: each is tried on top of those kept before it."""

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
    """A member's ballots with some stages, and their cost per question."""

    ballots: Mapping[str, Ballot]
    calls: float  # prompts to any model, per question
    seconds: float  # per question, loading included


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One stage: the metric with it, and the difference from the kept stages before it (None for the base).

    `p` is the larger of the paired test's and exact McNemar's p where both apply, so that groups can raise it and never
    lower it. `adjusted` is Holm's p over all stages of the ladder; a stage that was not tried yet counts as p = 1, so
    later stages can only lower it.
    """

    stage: str
    value: float
    calls: float  # per question
    seconds: float  # per question
    difference: PairedDifference | None = None
    p: float | None = None
    adjusted: float | None = None
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Final:
    """The scores of base and winner on `n` questions that were not used to choose the stages."""

    n: int
    base: float
    winner: float
    difference: PairedDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The result of a ladder over `n` questions: its rungs, and the stages that were not tried, with the reason.

    `settings` are the winner's overrides of the member's settings, by dotted names. Without `final` the winner was
    chosen on the questions that score it, so its value is optimistic.
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
    """Score the base, and try each stage on top of the stages kept before it, on the same questions.

    A stage is kept if it improves the metric and its adjusted p is below 5 %.

    Args:
        attempt: answers the questions with some stages.
        solution: the questions to choose on.
        final: other questions, to score base and winner on.
    """
    tried = [stage for stage in stages if not stage.not_for]
    kept: tuple[Stage, ...] = ()
    base = current = attempt(kept)
    rungs = [Rung(stage=BASE, value=_score_attempt(base, solution, metric), calls=base.calls, seconds=base.seconds)]
    levels: list[float] = []
    for stage in tried:
        result = attempt((*kept, stage))
        pair = compare_runs({stage.name: result.ballots, "before it": current.ballots}, solution, metric).pairs[0]
        levels.append(_compute_stage_p(pair))
        adjusted = adjust_last_p(levels, len(tried))
        keep = _compute_gain(pair, metric) > 0 and adjusted < SIGNIFICANCE_LEVEL
        value = _score_attempt(result, solution, metric)
        rungs.append(
            Rung(
                stage=stage.name,
                value=value,
                calls=result.calls,
                seconds=result.seconds,
                difference=pair,
                p=levels[-1],
                adjusted=adjusted,
                kept=keep,
            )
        )
        if keep:
            kept, current = (*kept, stage), result
    return Ladder(
        metric=metric,
        n=len(solution),
        rungs=tuple(rungs),
        skipped={stage.name: stage.not_for for stage in stages if stage.not_for},
        settings={setting: value for stage in kept for setting, value in stage.settings.items()},
        final=_score_final(base, current, final, metric) if final else None,
    )


def split_clusters_in_half(
    solution: Sequence[SolvedRow], clusters: Mapping[str, int], seed: int = 42
) -> tuple[list[SolvedRow], list[SolvedRow]]:
    """Split the questions at random into two halves, to choose on and to score on; clusters are not split."""
    numbers = sorted({clusters[row.id] for row in solution})
    first = set(random.Random(seed).sample(numbers, len(numbers) // 2))
    return [row for row in solution if clusters[row.id] in first], [
        row for row in solution if clusters[row.id] not in first
    ]


def adjust_last_p(levels: Sequence[float], count: int) -> float:
    """Return Holm's adjusted p of the last of `levels`, in a family of `count` tests; unknown ones count as p = 1."""
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
    """Return one line on how reliable the last kept value is."""
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
