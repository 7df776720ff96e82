"""Climb a competition's ladder: run each stage on top of the stages kept before it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from quorum.competition.ablation import Arm, check_comparable, run_arm
from quorum.competition.ladder import (
    BASE,
    LADDER_COLUMNS,
    Attempt,
    Ladder,
    climb_ladder,
    describe_outcome,
    describe_skipped,
    list_ladder_rows,
    split_clusters_in_half,
)
from quorum.competition.prepare import PreparedCompetition
from quorum.competition.run import CompetitionRun, find_kernel_toml
from quorum.competition.stages import Stage, list_stages
from quorum.config import apply_overrides, read_table, write_table
from quorum.disk import replace_file
from quorum.errors import BadInput
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.manifest import RunManifest, read_manifest
from quorum.files.solution import make_solution

FINE_TUNED = "fine-tuned"
# The default members built on the encoder, by the stages that each contains.
_ENCODERS = {
    (): "encoder",
    ("retrieval",): "encoder-rag",
    (FINE_TUNED,): "encoder-tuned",
    ("retrieval", FINE_TUNED): "encoder-rag-tuned",
}


def add_stages(member: Path, arms: Sequence[Arm]) -> list[Stage]:
    """Turn each arm, a name with overrides of the member's settings, into a stage of the member's ladder.

    Raises:
        BadInput: an arm overrides another member.
    """
    if others := [arm.name for arm in arms if arm.toml != member]:
        raise BadInput(f"--stage {others[0]!r} names another member; a stage is a set of overrides of {member}")
    return [Stage(arm.name, arm.settings) for arm in arms]


def choose_stages(
    prepared: PreparedCompetition,
    member: Path,
    verifier: Path | None = None,
    passages: int = 1,
    examples: int = 3,
    rehearse: int = 200,
) -> list[Stage]:
    """Return the built-in stages for a member.

    Args:
        verifier: a TOML whose [backend] verifies, in the words of its [refine.verdict]; without it the member's own
            model verifies.
        passages: number of background passages to retrieve.
        examples: number of solved questions to retrieve.
        rehearse: number of solved questions to fit on.
    """
    judge = read_table(verifier) if verifier else {}
    competition = prepared.competition
    return list_stages(
        read_table(member),
        competition.background,
        passages=passages,
        examples=examples,
        rehearse=rehearse,
        verifier=judge.get("backend"),
        metric=prepared.metric,
        verdict=judge.get("refine", {}).get("verdict"),
    )


def run_ladder(
    prepared: PreparedCompetition,
    member: Path,
    stages: Sequence[Stage],
    report: Callable[[str], None],
    halves_seed: int | None = None,
    known: Mapping[tuple[str, ...], CompetitionRun] | None = None,
) -> Ladder:
    """Try every stage that applies to the member, each on top of the stages kept before it.

    Args:
        halves_seed: choose on half of the held-out clusters, sampled with this seed, and score the winner on the rest.
        known: existing runs, by the names of their stages.
    """
    manifests: dict[str, RunManifest] = {}

    def attempt(tried: tuple[Stage, ...]) -> Attempt:
        names = tuple(stage.name for stage in tried)
        last = names[-1] if names else BASE
        arm = Arm(last, member, {setting: value for stage in tried for setting, value in stage.settings.items()})
        run = (known or {}).get(names) or run_arm(prepared, arm, "ladder", last, report)[0]
        manifest = read_manifest(run.folder.manifest)
        check_comparable(arm, manifest, manifests.setdefault(BASE, manifest), False, report)
        ballots = ballots_from_answers(read_answers(run.folder.held_out))
        return Attempt(ballots, manifest.calls_per_question, run.seconds / sum(manifest.counts.values()))

    solution = make_solution(prepared.held_out)
    chosen_on, scored_on = solution, solution[:0]
    if halves_seed is not None:
        chosen_on, scored_on = split_clusters_in_half(solution, prepared.clusters, halves_seed)
    ladder = climb_ladder(stages, attempt, chosen_on, prepared.metric, scored_on)
    name = member.stem if known is None else f"{member.stem}-submit"
    _write_ladder(ladder, name, prepared.workspace.ladder(prepared.name, name))
    return ladder


def climb_known_runs(
    prepared: PreparedCompetition, runs: Sequence[CompetitionRun], report: Callable[[str], None]
) -> Ladder | None:
    """Climb the encoder's ladder on the runs of `quorum submit`; return None if the plain encoder is not among them.

    Stages without a run are skipped here; `quorum ladder` runs them.
    """
    by_name = {run.name: run for run in runs}
    known = {stages: by_name[name] for stages, name in _ENCODERS.items() if name in by_name}
    if () not in known:
        return None
    toml = find_kernel_toml(_ENCODERS[()])
    tuned = next((run for stages, run in known.items() if FINE_TUNED in stages), None)
    trained = Stage(FINE_TUNED, {"backend.model": tuned.config["backend.model"]} if tuned else {})
    stages = []
    for stage in [*list_stages(read_table(toml), prepared.competition.background), trained]:
        measured = any(stage.name in names for names in known)
        stages.append(stage if measured or stage.not_for else replace(stage, not_for="no member has it"))
    return run_ladder(prepared, toml, stages, report, known=known)


def _write_ladder(ladder: Ladder, name: str, path: Path) -> None:
    """Write the result of a ladder, as the report shows it."""
    table = {
        "name": name,
        "metric": ladder.metric,
        "n": ladder.n,
        "stages": [(rung.stage, rung.value, rung.kept) for rung in ladder.rungs],
        "columns": LADDER_COLUMNS,
        "rows": list_ladder_rows(ladder),
        "notes": [line for line in (describe_skipped(ladder), describe_outcome(ladder)) if line],
    }
    with replace_file(path) as part:
        part.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_winner(member: Path, ladder: Ladder, path: Path) -> None:
    """Write the member's TOML with the settings of the kept stages."""
    overrides = [f"{setting}={json.dumps(value, ensure_ascii=False)}" for setting, value in ladder.settings.items()]
    write_table(apply_overrides(read_table(member), overrides, str(member)), path)
