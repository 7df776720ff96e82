"""Profile a mixture's experts on several kinds of text, compare the kinds, and measure what pruning costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from quorum.console import Progress
from quorum.errors import BadInput
from quorum.train.expert_profile import (
    Chosen,
    Criterion,
    Expert,
    ExpertPeak,
    ExpertProfile,
    choose_experts,
    find_super_experts,
    rank_candidates,
)
from quorum.train.mixture import measure_perplexity, profile_sequences, silence_experts

TOP = 10  # experts whose overlap is also shown, because few experts can be super ones
_PRUNED_ARMS: Mapping[str, Chosen] = {
    "without super": "super",
    "without matched": "matched",
    "without random": "random",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOverlap:
    """The Jaccard overlap of two kinds of text: of their super experts, and of their ten largest experts.

    `jaccard` is None if neither kind has a super expert.
    """

    first: str
    second: str
    jaccard: float | None
    jaccard_of_top: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Perplexity:
    """The perplexity of the model, or of the model without some experts, on one kind of text."""

    kind: str
    arm: str
    value: float
    error: float


@dataclass(frozen=True, kw_only=True)
class ExpertMap:
    """The profile of each kind of text and of all together, the overlaps of kinds, and perplexities."""

    whole: ExpertProfile
    kinds: Mapping[str, ExpertProfile]
    overlaps: Sequence[KindOverlap]
    perplexities: Sequence[Perplexity] = ()
    pruned: Mapping[str, Sequence[Expert]]  # by arm


def map_experts(
    model: Any,
    sequences: Mapping[str, Sequence[tuple[int, ...]]],
    criterion: Criterion,
    *,
    pad: int,
    batch_tokens: int = 2048,
    perplexity: bool = True,
    seed: int = 3407,
    progress: Callable[[str], Progress] = lambda kind: lambda done, total: None,
) -> ExpertMap:
    """Profile the model on each kind of text, and measure perplexities with and without experts.

    Args:
        sequences: token sequences by kind of text.
        perplexity: also measure the perplexity of the model, without its super experts, and without as many others.
        seed: of the random experts.

    Raises:
        BadInput: the model has no fused experts, or a maximum is not finite.
    """
    kinds = {
        kind: profile_sequences(
            model, own, criterion, pad=pad, batch_tokens=batch_tokens, progress=progress(f"experts on {kind}")
        )
        for kind, own in sequences.items()
    }
    whole = merge_profiles(list(kinds.values()))
    pruned: dict[str, Sequence[Expert]] = {}
    if perplexity and find_super_experts(whole):
        for arm, what in _PRUNED_ARMS.items():
            pruned[arm] = choose_experts(whole, what, seed)
    found = []
    for arm, experts in {"base": (), **pruned}.items() if perplexity else ():
        with silence_experts(model, experts):
            for kind, own in sequences.items():
                value, error = measure_perplexity(model, own, pad=pad, batch_tokens=batch_tokens)
                found.append(Perplexity(kind=kind, arm=arm, value=value, error=error))
    return ExpertMap(whole=whole, kinds=kinds, overlaps=compare_kinds(kinds), perplexities=found, pruned=pruned)


def merge_profiles(profiles: Sequence[ExpertProfile]) -> ExpertProfile:
    """Return the profile of all texts together: the largest values, and the sums of tokens.

    Raises:
        BadInput: the profiles are of different models.
    """
    first = profiles[0]
    if any([peak.place for peak in each.peaks] != [peak.place for peak in first.peaks] for each in profiles):
        raise BadInput("profiles of different models cannot be merged")
    peaks = [_merge_peaks(same) for same in zip(*(each.peaks for each in profiles), strict=True)]
    prompts, tokens = sum(each.prompts for each in profiles), sum(each.tokens for each in profiles)
    return replace(first, prompts=prompts, tokens=tokens, peaks=tuple(peaks))


def compare_kinds(kinds: Mapping[str, ExpertProfile]) -> list[KindOverlap]:
    """Return the overlap of each pair of kinds."""
    super_experts = {kind: {peak.place for peak in find_super_experts(profile)} for kind, profile in kinds.items()}
    top = {kind: {peak.place for peak in rank_candidates(profile)[:TOP]} for kind, profile in kinds.items()}
    return [
        KindOverlap(
            first=first,
            second=second,
            jaccard=_compute_jaccard(super_experts[first], super_experts[second]),
            jaccard_of_top=_compute_jaccard(top[first], top[second]) or 0.0,
        )
        for first, second in combinations(kinds, 2)
    ]


def _merge_peaks(peaks: Sequence[ExpertPeak]) -> ExpertPeak:
    """Return one expert's peak over all texts; the channel is that of the largest output, the first of equal ones."""
    seen = [peak for peak in peaks if peak.output_max is not None]
    if not seen:
        return peaks[0]
    largest = max(seen, key=lambda peak: peak.output_max or 0.0)
    inputs = max(peak.input_max or 0.0 for peak in seen)
    return replace(largest, input_max=inputs, tokens=sum(peak.tokens for peak in peaks))


def _compute_jaccard(first: set[Expert], second: set[Expert]) -> float | None:
    union = first | second
    return len(first & second) / len(union) if union else None
