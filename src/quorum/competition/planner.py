"""Choose the order of members within a time budget: first what is expected to gain most per second."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from quorum.competition.prepare import HELD_OUT_SHARE, PreparedCompetition
from quorum.competition.run import PRIOR, CompetitionRun, is_tuned
from quorum.competition.step import read_step_record
from quorum.config import read_table
from quorum.errors import BadInput
from quorum.evaluation.ledger import Entry

# Gain over the prior, in accuracy, and seconds per answer, where no earlier run shows them: what the members of the
# sample competition gained and took on two cores (README.md), and rough figures for language models.
_TYPICAL: Mapping[str, tuple[float, float]] = {
    "encoder": (0.06, 0.02),
    "encoder tuned": (0.25, 0.15),
    "neighbour": (0.01, 0.005),
    "transformers": (0.20, 0.5),
    "transformers tuned": (0.30, 3.0),
    "vllm": (0.30, 0.05),
    "vllm tuned": (0.35, 1.0),
}
_START = 15.0  # seconds that a process takes to start and to load its model
_UNKNOWN = (0.1, 0.5)  # of other backends
_SECOND_BEST = 0.1  # what a member adds to a vote, as a share of its gain, if another one is better
_VOTE, _VOTE_PER_ANSWER = 30.0, 0.001  # seconds that the vote and the records take
_LONGER = 1.25  # a member is started only if this many times its expected time is left
_FOLD_COUNTS = (5, 3)  # the numbers of folds to choose from, the best one first


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a member is expected to gain over the prior, in the metric, and to take, in seconds."""

    gain: float
    seconds: float


@dataclass(frozen=True)
class Budget:
    """The time at which members must end, by a clock in seconds."""

    end: float
    clock: Callable[[], float] = time.monotonic

    def left(self) -> float:
        """Return the seconds that are left."""
        return self.end - self.clock()


def make_budget(hours: float, members: int, prepared: PreparedCompetition, start: float) -> Budget:
    """Return the budget of a number of hours from `start` on, without the time that the vote and the records take.

    Raises:
        BadInput: the number is not above 0.
    """
    if not 0 < hours < math.inf:
        raise BadInput(f"--hours {hours}; allowed are numbers above 0")
    seconds = 3600 * hours
    return Budget(start + seconds - min(_VOTE + _VOTE_PER_ANSWER * members * _count_answers(prepared), seconds / 4))


def choose_folds(
    prepared: PreparedCompetition, members: Sequence[Path], earlier: Sequence[Entry], budget: Budget
) -> int:
    """Return the largest number of folds with which all members are expected to finish in time; 1 if there is none.

    Args:
        prepared: the competition with one held-out fold.
    """
    for folds in _FOLD_COUNTS:
        seconds = sum(expect_member(prepared, toml, earlier, folds).seconds for toml in members)
        if _LONGER * seconds <= budget.left():
            return folds
    return 1


def expect_member(
    prepared: PreparedCompetition, toml: Path, earlier: Sequence[Entry], folds: int | None = None
) -> Expectation:
    """Return what a member is expected to gain and to take; one that is finished takes no time.

    Args:
        earlier: the ledger; entries of a member with the same name and backend show its gain over the prior of their
            competition. Without one, typical figures of its backend count.
        folds: a number of folds that the competition is not prepared with.
    """
    config = read_table(toml)
    backend = str(config.get("backend", {}).get("name", ""))
    gain, per_answer = _TYPICAL.get(f"{backend} tuned" if is_tuned(toml) else backend, _UNKNOWN)
    own = [one for one in earlier if one.name == toml.stem and _backend_of(one.config) == backend and not one.members]
    gains = [one.held_out.value - prior for one in own if (prior := _find_prior(one, earlier)) is not None]
    record = read_step_record(prepared.workspace.run(prepared.name, toml.stem).path)
    finished = record and record.outputs and folds in (None, prepared.folds)
    held_out = len(prepared.held_out) if folds in (None, prepared.folds) else len(prepared.split.fold_of)
    work = _Work(len(prepared.test), held_out, folds or prepared.folds, is_tuned(toml))
    seconds = 0.0 if finished else work.expect_seconds(per_answer, own)
    return Expectation(fmean(gains) if gains else gain, seconds)


@dataclass(frozen=True)
class _Work:
    """The numbers of test and held-out questions that a member answers, in how many folds, and whether it is tuned."""

    test: int
    held_out: int
    folds: int
    tuned: bool

    def expect_seconds(self, per_answer: float, own: Sequence[Entry]) -> float:
        """Return the time by the member's own earlier runs with as many folds, else with one, else by typical ones.

        With K folds a tuned member is trained K + 1 times.
        """
        if times := _list_times(own, self.folds):
            return median(times) * self.held_out
        if self.folds == 1:
            return (2 if self.tuned else 1) * _START + per_answer * (self.test + self.held_out)
        one = replace(self, folds=1, held_out=round(HELD_OUT_SHARE * self.held_out))
        seconds = one.expect_seconds(per_answer, own)
        if self.tuned:
            return (self.folds + 1) * seconds
        return self.folds * _START + seconds * (self.test + self.held_out) / max(one.test + one.held_out, 1)


def _list_times(entries: Sequence[Entry], folds: int) -> list[float]:
    """Return the seconds per held-out answer, with its share of the test answers."""
    return [one.seconds / one.held_out.n for one in entries if one.held_out.n and one.folds == folds]


def _count_answers(prepared: PreparedCompetition) -> int:
    return len(prepared.test) + len(prepared.held_out)


def _backend_of(config: Mapping[str, Any]) -> str:
    return str(config.get("backend", {}).get("name", ""))


def _find_prior(entry: Entry, earlier: Iterable[Entry]) -> float | None:
    """Return the prior's held-out score on the same questions."""
    same = [one for one in earlier if one.name == PRIOR and (one.split, one.metric) == (entry.split, entry.metric)]
    return same[-1].held_out.value if same else None


def run_within_budget(
    members: Mapping[Path, Expectation],
    run: Callable[[Path], CompetitionRun | None],
    measure: Callable[[CompetitionRun], float],
    budget: Budget,
    report: Callable[[str], None],
) -> list[CompetitionRun]:
    """Run members until the budget is used up; the next one is always that with the most expected gain per second.

    A member gains what it is expected to be above the best one so far, or a tenth of its gain if another is better.
    One whose expected time is not left is not started, which is reported.

    Args:
        run: runs a member; returns None if it was stopped at the end of the budget.
        measure: returns a finished member's gain over the prior.

    Returns:
        The finished members, in the order in which they ran.
    """
    waiting, done, best = dict(members), list[CompetitionRun](), 0.0
    while waiting:
        left = budget.left()
        fitting = {toml: one for toml, one in waiting.items() if _LONGER * one.seconds <= left}
        if not fitting:
            for toml, one in waiting.items():
                report(f"{toml.stem}: not started: about {_in_minutes(one.seconds)}, and {_in_minutes(left)} are left")
            break
        toml = max(fitting, key=lambda each: _rate(fitting[each], best))
        del waiting[toml]
        finished = run(toml)
        if finished is None:
            report(f"{toml.stem}: stopped after {_in_minutes(left)}; what it finished is kept for the next run")
            continue
        done.append(finished)
        best = max(best, measure(finished))
    return done


def _rate(one: Expectation, best: float) -> float:
    return max(one.gain - best, _SECOND_BEST * one.gain) / max(one.seconds, 1e-3)


def _in_minutes(seconds: float) -> str:
    return f"{max(seconds, 0) / 60:.1f} minutes"
