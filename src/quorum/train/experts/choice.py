"""Which experts of a mixture write the largest activations, and which of them an experiment is about."""

import json
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from quorum.disk import replace_file
from quorum.errors import BadInput

Chosen = Literal["super", "random"]
DRAW_SEED = 3407  # where none is given: what is pruned at random is what is adapted at random


@dataclass(frozen=True, slots=True)
class Criterion:
    """What makes a super expert: Su et al. 2025, arXiv:2507.23279, with their numbers.

    Raises:
        BadInput: a number out of its range.
    """

    percentile: float = 99.5  # its maximum is above this percentile of all,
    share: float = 0.1  # and above this share of the largest,
    depth: float = 0.75  # among experts of this share of the layers, from the first on

    def __post_init__(self) -> None:
        if not (0 <= self.percentile <= 100 and 0 <= self.share <= 1 and 0 < self.depth <= 1):
            raise BadInput(
                f"criterion: percentile {self.percentile}, share {self.share}, depth {self.depth}; allowed are "
                "0 to 100, 0 to 1, and more than 0 up to 1"
            )


@dataclass(frozen=True, slots=True)
class Expert:
    """A place in the model; `expert` None is the shared expert of its layer, which every token passes."""

    layer: int
    expert: int | None

    @property
    def name(self) -> str:
        """Layer and expert, as reports call them: 1/38, 1/shared."""
        return f"{self.layer}/{'shared' if self.expert is None else self.expert}"


@dataclass(frozen=True, slots=True)
class ExpertPeak:
    """The largest absolute values that went into and came out of an expert's down_proj, over all its tokens.

    `channel` is where the largest output stood (the first of equal ones). Of an expert that no token was routed to
    (`tokens` 0) nothing is known: its maxima are None.
    """

    place: Expert
    tokens: int
    output_max: float | None
    input_max: float | None
    channel: int | None


@dataclass(frozen=True, slots=True)
class ExpertProfile:
    """All experts of a model on calibration prompts, ordered by layer and expert, a layer's shared one last."""

    model: str
    layers: int  # of the model, those without experts included
    prompts: int
    tokens: int
    criterion: Criterion
    peaks: tuple[ExpertPeak, ...]


def pool_profiles(profile: ExpertProfile) -> list[ExpertPeak]:
    """The peaks that the criterion looks at, largest first; a tie goes to the earlier layer, then expert."""
    first = round(profile.criterion.depth * profile.layers)
    known = [peak for peak in profile.peaks if peak.output_max is not None and peak.place.layer < first]
    return sorted(known, key=_largest_first)


def find_super_experts(profile: ExpertProfile) -> list[ExpertPeak]:
    """The peaks above both thresholds, largest first; none where no expert stands out from the largest.

    The percentile is interpolated linearly between two peaks, so among fewer than 200 the largest is above it whenever
    it is alone: there it is the share of the largest, and the reader, who must tell whether it is an outlier.
    """
    among = pool_profiles(profile)
    values = [peak.output_max for peak in among if peak.output_max is not None]
    if not values:
        return []
    least = max(float(np.percentile(values, profile.criterion.percentile)), profile.criterion.share * values[0])
    return [peak for peak, value in zip(among, values, strict=True) if value > least]


def choose_experts(profile: ExpertProfile, what: Chosen, seed: int = DRAW_SEED) -> list[Expert]:
    """The super experts; or, as their control, as many drawn in each of their layers from the experts beside them.

    Drawn are routed experts that saw a token and are not super ones.

    Raises:
        BadInput: there is no super expert, or a layer has too few others.
    """
    stars = [peak.place for peak in find_super_experts(profile)]
    if not stars:
        raise BadInput(f"the profile of {profile.model} has no super expert: none stands out from the others")
    if what == "super":
        return stars
    chance, drawn = random.Random(seed), []
    for layer, count in sorted(Counter(place.layer for place in stars).items()):
        others = [
            peak.place
            for peak in profile.peaks
            if peak.place.layer == layer and peak.tokens and peak.place.expert is not None and peak.place not in stars
        ]
        if len(others) < count:
            raise BadInput(f"layer {layer} has {len(others)} other experts that saw a token, where {count} are drawn")
        drawn += chance.sample(others, count)
    return drawn


def write_profile(profile: ExpertProfile, path: Path) -> None:
    """The profile as JSON, with the super experts by rank for whoever reads it elsewhere."""
    ranked = [_flat(peak) | {"rank": rank} for rank, peak in enumerate(find_super_experts(profile), start=1)]
    table = asdict(profile) | {"super_experts": ranked, "peaks": [_flat(peak) for peak in profile.peaks]}
    with replace_file(path) as part:
        part.write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_profile(path: Path) -> ExpertProfile:
    """The profile in a file of `write_profile`; its super experts are found anew by its criterion.

    Raises:
        BadInput: it is no such file.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        criterion = Criterion(**{name: float(value) for name, value in table["criterion"].items()})
        peaks = tuple(map(_peak, table["peaks"]))
        layers, prompts, tokens = (int(table[name]) for name in ("layers", "prompts", "tokens"))
        return ExpertProfile(str(table["model"]), layers, prompts, tokens, criterion, peaks)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path}: no profile of quorum profile-experts ({type(error).__name__}: {error}); "
            "`quorum profile-experts MODEL QUESTIONS` writes one"
        ) from None


def make_profile_table(profile: ExpertProfile, most: int = 20) -> str:
    """The experts with the largest peaks in Markdown, super ones marked, and what else a reader has to know."""
    among, stars = pool_profiles(profile), {peak.place for peak in find_super_experts(profile)}
    middle = float(np.median([peak.output_max for peak in among])) if among else 0.0
    lines = ["| rank | layer/expert | output max | times the median | input max | channel | tokens | super |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for rank, peak in enumerate(among[: max(most, len(stars))], start=1):
        times = f"{peak.output_max / middle:.1f}" if peak.output_max is not None and middle else ""
        share = f"{100 * peak.tokens / profile.tokens:.1f} %"
        mark = "super" if peak.place in stars else ""
        lines.append(
            f"| {rank} | {peak.place.name} | {peak.output_max:.4g} | {times} | {peak.input_max:.4g} | {peak.channel} "
            f"| {share} | {mark} |"
        )
    unseen = [peak.place.name for peak in profile.peaks if not peak.tokens]
    lines += [
        "",
        f"{profile.model}: {len(stars)} super of {len(among)} experts in layers below "
        f"{round(profile.criterion.depth * profile.layers)} of {profile.layers}; {profile.prompts} prompts, "
        f"{profile.tokens} tokens",
    ]
    if unseen:
        lines.append(f"{len(unseen)} experts saw no token, so nothing is known of them: {', '.join(unseen[:20])}")
    if 0 < len(among) < 200:
        lines.append(
            f"{len(among)} experts are few: above the {profile.criterion.percentile:g}th percentile is the largest "
            "alone, whatever it is; look at the times the median"
        )
    return "\n".join(lines)


def format_experts(places: Sequence[Expert]) -> str:
    """The places in one line, in order."""
    return ", ".join(place.name for place in sorted(places, key=_by_place))


def _by_place(place: Expert) -> tuple[int, float]:
    return place.layer, math.inf if place.expert is None else place.expert


def _largest_first(peak: ExpertPeak) -> tuple[float, int, float]:
    assert peak.output_max is not None
    return -peak.output_max, *_by_place(peak.place)


def _flat(peak: ExpertPeak) -> dict[str, Any]:
    values = asdict(peak)
    place: dict[str, Any] = values.pop("place")
    return place | values


def _peak(table: Mapping[str, Any]) -> ExpertPeak:
    expert, channel, tokens = table["expert"], table["channel"], int(table["tokens"])
    place = Expert(int(table["layer"]), None if expert is None else int(expert))
    if not tokens:
        return ExpertPeak(place, 0, None, None, None)
    return ExpertPeak(place, tokens, float(table["output_max"]), float(table["input_max"]), int(channel))
