"""Decide which stages of a ladder to keep: each is tried on top of those kept before it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quorum.ballot import Ballot
from quorum.competition.stages import Stage, find_conflict
from quorum.evaluation.compare import (
    SIGNIFICANCE_LEVEL,
    Comparison,
    PairedDifference,
    adjust_by_holm,
    compare_runs,
    compute_mcnemar_p,
)
from quorum.evaluation.metrics import lower_is_better, score_answers
from quorum.files.solution import SolvedRow

BASE = "base"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A member's ballots with some stages, and their cost per question."""

    ballots: Mapping[str, Ballot]
    calls: float  # prompts to any model, per question
    seconds: float  # per question, loading and training included
    settings: Mapping[str, Any] = field(default_factory=dict)  # overrides of the member's settings, by dotted names


@dataclass(frozen=True, slots=True)
class Combination(Attempt):
    """Several attempts combined into one; `members` are the names of those whose settings are not in `settings`."""

    members: tuple[str, ...] = ()


class StageFailed(Exception):
    """A stage could not be tried; the message is the reason."""


# Answers the questions with some stages; raises StageFailed if the last one cannot be tried.
MakeAttempt = Callable[[tuple[Stage, ...]], Attempt]
# Combines the attempts, by the names of their last stages, as the stage demands, into one by a rule fitted on the
# solution: the last kept one is named. The ballots on the solution's questions are cross-fitted.
CombineAttempts = Callable[[Stage, str, Mapping[str, Attempt], Sequence[SolvedRow]], Combination]


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
    reason: str = ""  # why it was kept, or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """The result of a climb over `n` questions: its rungs, the stages that were not tried, with the reason, and the
    attempts of the base and of the winner."""

    n: int
    rungs: tuple[Rung, ...]
    skipped: Mapping[str, str]
    kept: tuple[Stage, ...]
    attempts: Mapping[str, Attempt]  # by the name of the last stage

    @property
    def base(self) -> Attempt:
        """The member without any stage."""
        return self.attempts[BASE]

    @property
    def winner(self) -> Attempt:
        """The member with the stages that were kept."""
        return self.attempts[self.kept[-1].name if self.kept else BASE]


def climb_stages(
    stages: Sequence[Stage],
    attempt: MakeAttempt,
    solution: Sequence[SolvedRow],
    metric: str,
    *,
    combine: CombineAttempts | None = None,
    on_rung: Callable[[Rung], None] = lambda rung: None,
) -> Climb:
    """Score the base, and try each stage on top of the stages kept before it, on the same questions.

    A stage is kept if it improves the metric and its adjusted p is below 5 %.

    Args:
        attempt: answers the questions with some stages.
        solution: the questions to choose on.
        combine: combines the attempts, for a stage that does.
        on_rung: is called with each rung as it is finished.
    """
    count = sum(not stage.not_for for stage in stages)
    skipped: dict[str, str] = {}
    kept: list[Stage] = []
    levels: list[float] = []
    attempts = {BASE: attempt(())}
    rungs = [_make_base_rung(attempts[BASE], solution, metric)]
    on_rung(rungs[0])
    for stage in stages:
        last = kept[-1].name if kept else BASE
        before = attempts[last]
        try:
            if reason := stage.not_for or find_conflict(kept, stage):
                raise StageFailed(reason)
            if not stage.combines:
                result = attempt((*kept, stage))
            else:
                members = _list_members(stages, kept, attempts)
                if combine is None or len(members) < 2:
                    raise StageFailed("there is no second member")
                result = combine(stage, last, members, solution)
        except StageFailed as reason:
            skipped[stage.name] = str(reason)
            continue
        attempts[stage.name] = result
        compared = compare_runs({stage.name: result.ballots, "before it": before.ballots}, solution, metric)
        levels.append(_compute_stage_p(compared.pairs[0]))
        rungs.append(_make_rung(compared, result, adjust_last_p(levels, count)))
        if rungs[-1].kept:
            kept.append(stage)
        on_rung(rungs[-1])
    return Climb(n=len(solution), rungs=tuple(rungs), skipped=skipped, kept=tuple(kept), attempts=attempts)


def adjust_last_p(levels: Sequence[float], count: int) -> float:
    """Return Holm's adjusted p of the last of `levels`, in a family of `count` tests; unknown ones count as p = 1."""
    return adjust_by_holm([*levels, *[1.0] * (count - len(levels))])[len(levels) - 1]


def orient_gain(value: float, metric: str) -> float:
    """Return a difference of the metric's values as a gain: above 0 is better."""
    return -value if lower_is_better(metric) else value


def _list_members(
    stages: Sequence[Stage], kept: Sequence[Stage], attempts: Mapping[str, Attempt]
) -> dict[str, Attempt]:
    """Return the attempts that can be combined: no combinations, and no member both with and without folds."""
    left_out = {stage.name for stage in stages if stage.combines or (stage.folds and stage not in kept)}
    names = [BASE, *(stage.name for stage in kept)]
    left_out |= {before for before, stage in zip(names, kept, strict=False) if stage.folds}
    return {name: attempt for name, attempt in attempts.items() if name not in left_out}


def _make_base_rung(base: Attempt, solution: Sequence[SolvedRow], metric: str) -> Rung:
    ballots = {row.id: base.ballots[row.id] for row in solution}
    value = score_answers(ballots, solution, metric).overall.value
    return Rung(stage=BASE, value=value, calls=base.calls, seconds=base.seconds)


def _make_rung(compared: Comparison, result: Attempt, adjusted: float) -> Rung:
    pair = compared.pairs[0]
    gain, p = orient_gain(pair.difference, compared.metric), _compute_stage_p(pair)
    return Rung(
        stage=pair.first,
        value=next(one.value for one in compared.runs if one.run == pair.first),
        calls=result.calls,
        seconds=result.seconds,
        difference=pair,
        p=p,
        adjusted=adjusted,
        kept=gain > 0 and adjusted < SIGNIFICANCE_LEVEL,
        reason=_explain_choice(pair, gain, p, adjusted),
    )


def _explain_choice(pair: PairedDifference, gain: float, p: float, adjusted: float) -> str:
    if gain == pair.error == 0:
        return "changes nothing"
    if gain <= 0:
        return "loses" if p < SIGNIFICANCE_LEVEL else "no gain"
    return "gains" if adjusted < SIGNIFICANCE_LEVEL else "gain may be luck"


def _compute_stage_p(pair: PairedDifference) -> float:
    if pair.only_first is None or pair.only_second is None:
        return pair.p
    return max(pair.p, compute_mcnemar_p(pair.only_first, pair.only_second))
