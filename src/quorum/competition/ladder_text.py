"""Describe a ladder in rows and lines, for the terminal and the report."""

from quorum.competition.climb import Rung, orient_gain
from quorum.competition.ladder import Final, Ladder
from quorum.evaluation.compare import PairedDifference

LADDER_COLUMNS = ("stage", "value", "gain", "95 %", "Holm p", "calls", "s/1,000", "kept")


def list_ladder_rows(ladder: Ladder) -> list[list[str]]:
    """Return a row of text for each stage that was tried, in the columns `LADDER_COLUMNS`."""
    return [_format_rung(rung, ladder.metric) for rung in ladder.rungs]


def compute_gain_interval(pair: PairedDifference | None, metric: str) -> tuple[float, float, float] | None:
    """Return a difference as a gain with its 95 % interval (gain, low, high), above 0 if it is better."""
    if pair is None:
        return None
    low, high = sorted((orient_gain(pair.low, metric), orient_gain(pair.high, metric)))
    return orient_gain(pair.difference, metric), low, high


def describe_rung(rung: Rung, metric: str) -> str:
    """Return one line on a rung, for the log."""
    cost = f"{rung.calls:.2f} calls and {rung.seconds:.3f} s per question"
    gain = compute_gain_interval(rung.difference, metric)
    if gain is None or rung.adjusted is None:
        return f"{rung.stage}: {metric} {rung.value:.3f}; {cost}"
    kept = "kept" if rung.kept else "not kept"
    return (
        f"{rung.stage}: {metric} {rung.value:.3f}, gain {gain[0]:+.3f} ({gain[1]:+.3f} to {gain[2]:+.3f}),"
        f" Holm p = {rung.adjusted:.2g}; {cost}; {kept}: {rung.reason}"
    )


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
        return _describe_final(ladder.final)
    if any(rung.kept for rung in ladder.rungs[1:]):
        return "the stages were chosen on the questions that score them, so the last kept value is optimistic"
    return "no stage gains; the base is kept"


def describe_forecast(ladder: Ladder) -> str:
    """Return one line on the score to expect on the hidden test; empty without a forecast."""
    test = ladder.final.test if ladder.final else None
    if test is None:
        return ""
    return f"expect {test.low:.3f} to {test.high:.3f} (95 %) on a hidden test of {test.n:,} such questions"


def list_ladder_notes(ladder: Ladder) -> list[str]:
    """Return the lines below the table."""
    return [line for line in (describe_skipped(ladder), describe_outcome(ladder), describe_forecast(ladder)) if line]


def _describe_final(final: Final) -> str:
    score, gain = final.winner, final.gain
    error = "" if score.error is None else f" ± {score.error:.3f}"
    interval = "" if score.low is None else f" (95 %: {score.low:.3f} to {score.high:.3f})"
    total = f", gain {gain.value:+.3f} ± {gain.error:.3f} (p = {gain.p:.2g})" if gain else ""
    kept = ", ".join(f"{stage} in {count}" for stage, count in final.kept.items()) or "no stage"
    return (
        f"winner, cross-fitted over {final.folds} folds: {score.value:.3f}{error}{interval}, n = {score.n};"
        f" base {final.base:.3f}{total}; optimism of the choice {final.optimism:+.3f}; kept: {kept}"
    )


def _format_rung(rung: Rung, metric: str) -> list[str]:
    cost = [f"{rung.calls:.2f}", f"{1000 * rung.seconds:.0f}"]
    gain = compute_gain_interval(rung.difference, metric)
    if gain is None:
        return [rung.stage, f"{rung.value:.3f}", "", "", "", *cost, ""]
    interval = f"{gain[1]:+.3f} to {gain[2]:+.3f}"
    kept = f"yes: {rung.reason}" if rung.kept else f"no: {rung.reason}"
    return [rung.stage, f"{rung.value:.3f}", f"{gain[0]:+.3f}", interval, f"{rung.adjusted:.2g}", *cost, kept]
