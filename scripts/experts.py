"""Super experts of a mixture: profiled, pruned, and trained alone, each beside the controls that tell what it is worth.

scripts/split.py solved.csv --out data/split/mine
scripts/experts.py profile MODEL data/split/mine/train.parquet --split data/split/mine/split.parquet --out experts.json
scripts/experts.py prune MODEL experts.json --out pruned [--what random]
scripts/experts.py compare MODEL data/split/mine --experts experts.json --out runs/experts --learn trainer.steps=200
"""

import argparse
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, print_status, progress_bar, run_program
from quorum.errors import BadInput
from submit import KERNELS, kernel

if TYPE_CHECKING:
    from quorum.data.split import TrainingFolds
    from quorum.evaluation.compare import PairedDifference
    from quorum.evaluation.metrics import Score
    from quorum.train.expert_profile import ExpertProfile


@dataclass(frozen=True)
class Compared:
    """Each arm's score on the same questions, and the differences of `pairs_of`, `adjusted` by Holm over them."""

    scores: "Mapping[str, Score]"
    pairs: "list[PairedDifference]"


def main() -> int:
    given = arguments()
    match given.verb:
        case "profile":
            profile(given)
        case "prune":
            prune(given)
        case _:
            compare(given)
    return DONE


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="exit code: 0 done, 2 bad input; each verb has --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    one = verbs.add_parser("profile", help="which experts write the largest activations")
    one.add_argument("model", help="a mixture: hub id or folder")
    one.add_argument("questions", type=Path, help="solved questions, of which the training folds are read")
    one.add_argument("--out", type=Path, required=True, metavar="JSON", help="the profile")
    one.add_argument("--split", type=Path, help="of scripts/split.py; without it one is made as kernels/train.py does")
    one.add_argument("--held-out", type=float, default=0.25, help="share, where it is made (default %(default)s)")
    one.add_argument("--limit", type=int, default=256, help="read so many questions (default %(default)s)")
    one.add_argument("--seed", type=int, default=42, help="of the split and of which questions (default %(default)s)")
    one.add_argument("--percentile", type=float, default=99.5, help="of all maxima (default %(default)s)")
    one.add_argument("--share", type=float, default=0.1, help="of the largest (default %(default)s)")
    one.add_argument("--depth", type=float, default=0.75, help="share of the layers (default %(default)s)")
    one.add_argument("--dtype", default="auto", help="auto, bfloat16, float16 or float32")
    one.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu or cuda")
    one.add_argument("--batch-tokens", type=int, default=2048, help="tokens at once (default %(default)s)")
    two = verbs.add_parser("prune", help="the model with chosen experts' output set to zero")
    two.add_argument("model", help="a mixture: hub id or folder")
    two.add_argument("experts", type=Path, help="a profile")
    two.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of the pruned model")
    two.add_argument(
        "--what", choices=["super", "random"], default="super", help="random: the control, as many a layer"
    )
    two.add_argument("--seed", type=int, default=3407, help="of the draw (default %(default)s)")
    three = verbs.add_parser("compare", help="base, pruned and trained models on the same held-out questions")
    three.add_argument("model", help="a mixture: hub id or folder")
    three.add_argument("split", type=Path, help="folder of scripts/split.py")
    three.add_argument("--experts", type=Path, required=True, help="a profile")
    three.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="models and answers")
    three.add_argument("--learn", action="append", default=[], metavar="key=value", help="of kernels/train.py")
    three.add_argument("--ask", action="append", default=[], metavar="key=value", help="of kernels/infer.py")
    three.add_argument("--draws", type=int, default=1, help="of random experts, each an arm (default %(default)s)")
    three.add_argument("--seed", type=int, default=3407, help="of the first draw (default %(default)s)")
    for verb in (one, two, three):
        verb.add_argument("--json", action="store_true", help="one JSON document")
    return parser.parse_args()


def profile(given: argparse.Namespace) -> None:
    """Measures, writes and tells the profile."""
    import random

    from quorum.ask.prompt import render_prompt
    from quorum.engine.checkpoint import Checkpoint, load_checkpoint
    from quorum.engine.tokens import PromptTokenizer
    from quorum.train.expert_profile import Criterion, find_super_experts, make_profile_table, write_profile
    from quorum.train.mixture import profile_experts

    if given.limit < 1 or given.batch_tokens < 1:
        raise BadInput(f"--limit {given.limit}, --batch-tokens {given.batch_tokens}; each is 1 or more")
    criterion = Criterion(given.percentile, given.share, given.depth)
    questions = training_folds(given).questions
    drawn = random.Random(given.seed).sample(questions, min(given.limit, len(questions)))
    prompts = [render_prompt(question, "letter" if question.choices else "cot") for question in drawn]
    tokenizer, model = load_checkpoint(Checkpoint(given.model), given.dtype, given.device)
    with progress_bar("reading") as progress:
        found = profile_experts(
            model, PromptTokenizer(tokenizer), prompts, criterion, batch_tokens=given.batch_tokens, progress=progress
        )
    write_profile(found, given.out)
    if given.json:
        print_json(
            {"out": str(given.out), **asdict(found), "super_experts": list(map(asdict, find_super_experts(found)))}
        )
    else:
        print(make_profile_table(found))


def training_folds(given: argparse.Namespace) -> "TrainingFolds":
    """What may be looked at: no held-out question."""
    from quorum.data.read import read_records
    from quorum.data.repair import repair_table
    from quorum.data.split import read_split, select_training_folds, split_questions

    solved = repair_table(read_records(given.questions)).questions
    return select_training_folds(
        read_split(given.split) if given.split else split_questions(solved, given.held_out, seed=given.seed), solved
    )


def prune(given: argparse.Namespace) -> None:
    """Writes the pruned model and tells which experts are silent in it."""
    from quorum.train.expert_profile import choose_experts, format_experts, read_profile
    from quorum.train.mixture import prune_experts as pruned

    places = choose_experts(read_profile(given.experts), given.what, given.seed)
    pruned(given.model, places, given.out)
    if given.json:
        print_json({"out": str(given.out), "what": given.what, "pruned": [asdict(place) for place in places]})
    else:
        print(f"{given.out}: {given.model} without {given.what} experts {format_experts(places)}")


def compare(given: argparse.Namespace) -> None:
    """All arms on the same held-out questions, asked alike; what can't be read is wrong, never left out."""
    from quorum.data.read import read_questions

    if given.draws < 1:
        raise BadInput(f"--draws {given.draws}; at least one control is drawn")
    keep_profile(given.experts, given.out / "experts.json")
    parts = {name: str(given.split / f"{name}.parquet") for name in ("train", "heldout", "split")}
    asked: dict[str, Any] = {
        "questions": [parts["heldout"]],
        "train": parts["train"],
        "sample": "",
        "limits.journal": "",
    }
    learnt: dict[str, Any] = {"train": parts["train"], "split.file": parts["split"], "trainer.model": given.model}
    if not any(question.choices for question in read_questions(Path(parts["heldout"]))):
        asked |= {"prompt.style": "cot", "backend.method": "generate"}
        learnt |= {"rows.style": "cot", "rows.target": "rationale"}
    arms = {"base": {"backend.model": given.model}, **pruned_arms(given), **trained_arms(given, learnt)}
    files = {}
    for arm, model in arms.items():
        files[arm] = folder_of(given, arm) / "heldout.parquet"
        run = {"run": arm, "out": str(files[arm].parent), **model}
        kernel("infer", KERNELS / "causal.toml", {**asked, **run, **settings_of(given.ask)})
    told = compared(files, given.split / "heldout_solution.csv", given.draws)
    if given.json:
        print_json(asdict(told))
    else:
        show(told)


def keep_profile(profile: Path, kept: Path) -> None:
    """Keeps the profile with what is made by it: trainings that were killed go on by the same one.

    Raises:
        BadInput: it is no profile, or what lies there was made by another.
    """
    from quorum.train.expert_profile import read_profile, write_profile

    found = read_profile(profile)
    if kept.exists() and read_profile(kept) != found:
        raise BadInput(f"{kept.parent} was made by another profile than {profile}; name another folder, or delete it")
    write_profile(found, kept)


def pruned_arms(given: argparse.Namespace) -> dict[str, dict[str, str]]:
    """The settings that ask each pruned model."""
    import shutil

    from quorum.train.expert_profile import Chosen, choose_experts, read_profile
    from quorum.train.mixture import prune_experts as pruned

    found, arms = read_profile(given.experts), {}
    choices: list[tuple[str, Chosen, int]] = [("prune super", "super", given.seed)]
    seeds = draw_seeds(found, given.seed, given.draws)
    choices += [(arm, "random", seed) for arm, seed in zip(randoms("prune", given.draws), seeds, strict=True)]
    for arm, what, seed in choices:
        folder = folder_of(given, arm) / "model"
        shutil.rmtree(folder, ignore_errors=True)  # what an earlier call left
        pruned(given.model, choose_experts(found, what, seed), folder)
        arms[arm] = {"backend.model": str(folder)}
    return arms


def trained_arms(given: argparse.Namespace, learnt: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The settings that ask each adapter, after its training on the same rows with the same settings."""
    from quorum.train.expert_profile import read_profile

    arms = {}
    choices = [("LoRA super", "super", given.seed)]
    seeds = draw_seeds(read_profile(given.experts), given.seed, given.draws)
    choices += [(arm, "random", seed) for arm, seed in zip(randoms("LoRA", given.draws), seeds, strict=True)]
    for arm, adapt, draw in [*choices, ("LoRA attention", "attention", given.seed)]:
        out = folder_of(given, arm)
        run = {"run": arm, "out": str(out), "trainer.experts.adapt": adapt, "trainer.experts.draw": draw}
        run["trainer.experts.profile"] = str(given.experts)
        kernel("train", KERNELS / "train-sft.toml", {**learnt, **run, **settings_of(given.learn)})
        arms[arm] = {"backend.model": given.model, "backend.adapter": str(out / "adapter")}
    return arms


def draw_seeds(profile: "ExpertProfile", first: int, draws: int) -> list[int]:
    """The first so many seeds, from `first` on, of which no two draw the same experts.

    Raises:
        BadInput: there are not so many different draws in a thousand.
    """
    from quorum.train.expert_profile import choose_experts

    known: dict[frozenset[str], int] = {}
    for seed in range(first, first + 1000):
        known.setdefault(frozenset(place.name for place in choose_experts(profile, "random", seed)), seed)
        if len(known) == draws:
            return list(known.values())
    raise BadInput(f"--draws {draws}: the layers of the super experts have only {len(known)} different draws")


def folder_of(given: argparse.Namespace, arm: str) -> Path:
    folder: Path = given.out / arm.replace(" ", "-").lower()
    return folder


def randoms(way: str, draws: int) -> list[str]:
    """The arms of the random control, one a draw."""
    return [f"{way} random" + (f" {number}" if number > 1 else "") for number in range(1, draws + 1)]


def pairs_of(draws: int) -> list[tuple[str, str]]:
    """The differences that are told: each arm against the base, and super experts against every control."""
    prunes, trains = randoms("prune", draws), [*randoms("LoRA", draws), "LoRA attention"]
    return [
        *((arm, "base") for arm in ("prune super", *prunes, "LoRA super", *trains)),
        *(("prune super", control) for control in prunes),
        *(("LoRA super", control) for control in trains),
    ]


def settings_of(texts: list[str]) -> dict[str, Any]:
    """key=value as the kernels take them."""
    from ablate import json_or_text

    pairs = [text.partition("=") for text in texts]
    if wrong := [setting for setting, equals, _ in pairs if not equals]:
        raise BadInput(f"{wrong[0]!r} is not key=value")
    return {setting: json_or_text(value) for setting, _, value in pairs}


def compared(files: Mapping[str, Path], solution: Path, draws: int) -> Compared:
    """The arms scored and paired, over every question of the solution."""
    from dataclasses import replace

    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    from quorum.evaluation.compare import compare_runs
    from quorum.evaluation.metrics import score_answers
    from quorum.files.answers import ballots_from_answers, read_answers
    from quorum.files.solution import read_solution

    gold = read_solution(solution)
    ballots = {arm: ballots_from_answers(read_answers(file)) for arm, file in files.items()}
    pairs = [
        compare_runs({first: ballots[first], second: ballots[second]}, gold).pairs[0]
        for first, second in pairs_of(draws)
    ]
    adjusted = multipletests([pair.p for pair in pairs], method="holm")[1]
    scores = {arm: score_answers(own, gold).overall for arm, own in ballots.items()}
    return Compared(scores, [replace(pair, adjusted=float(p)) for pair, p in zip(pairs, adjusted, strict=True)])


def show(told: Compared) -> None:
    """Both tables in Markdown."""
    print(f"| arm | accuracy (n = {told.scores['base'].n}) | unread |\n|---|---|---|")
    for arm, score in told.scores.items():
        error = "" if score.error is None else f" ± {score.error:.3f}"
        print(f"| {arm} | {score.value:.3f}{error} | {score.unread} |")
    print("\n| difference | | only first : only second | exact McNemar p | Holm | could be seen |")
    print("|---|---|---|---|---|---|")
    for pair in told.pairs:
        seen = f"{pair.smallest:.3f}" if pair.error else "unknown"  # they never differ
        print(
            f"| {pair.first} - {pair.second} | {pair.difference:+.3f} ± {pair.error:.3f} |"
            f" {pair.only_first} : {pair.only_second} | {pair.p:.2g} | {pair.adjusted:.2g} | {seen} |"
        )
    print_status(
        "unread replies count as wrong; super experts are worth something where they beat every random draw and "
        "attention; no test here knows how far draws differ: that is seen with --draws"
    )


if __name__ == "__main__":
    run_program(main)
