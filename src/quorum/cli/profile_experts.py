"""`quorum profile-experts`: find the experts of a mixture that write the largest activations."""

from pathlib import Path
from typing import Annotated

import typer

from quorum.cli.options import AsJson, check_seed
from quorum.console import DONE, print_json
from quorum.errors import BadInput
from quorum.progress import progress_bar


def profile_experts_command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A mixture: hub id or folder.")],
    questions: Annotated[
        Path, typer.Argument(metavar="QUESTIONS", help="Solved questions, of which the training folds are read.")
    ],
    out: Annotated[Path, typer.Option(metavar="JSON", help="Where the profile goes.")],
    split: Annotated[
        Path | None, typer.Option(metavar="PARQUET", help="A split of the questions; without it one is made.")
    ] = None,
    held_out: Annotated[float, typer.Option(metavar="SHARE", help="Share to hold out if a split is made.")] = 0.25,
    limit: Annotated[int, typer.Option(metavar="N", help="Questions to read at most.")] = 256,
    seed: Annotated[
        int, typer.Option(metavar="N", callback=check_seed, help="Seed of the split and of the questions read.")
    ] = 42,
    percentile: Annotated[float, typer.Option(metavar="P", help="Of all maxima; a super expert is above it.")] = 99.5,
    share: Annotated[float, typer.Option(metavar="SHARE", help="Of the largest maximum; it is above that too.")] = 0.1,
    depth: Annotated[float, typer.Option(metavar="SHARE", help="Share of the layers, from the first on.")] = 0.75,
    dtype: Annotated[str, typer.Option(metavar="TYPE", help="auto, bfloat16, float16 or float32.")] = "auto",
    device: Annotated[str, typer.Option(metavar="DEVICE", help="auto (a GPU if there is one), cpu or cuda.")] = "auto",
    batch_tokens: Annotated[int, typer.Option(metavar="N", help="Tokens in a batch.")] = 2048,
    as_json: AsJson = False,
) -> int:
    """Find the experts with the largest activations.

    The mixture reads questions of the training folds. Prints a Markdown table of the experts with the largest outputs.
    """
    import random
    from dataclasses import asdict

    from quorum.ask.prompt import render_prompt
    from quorum.data.repair import read_clean_questions
    from quorum.data.split import read_split, select_training_folds, split_questions
    from quorum.engine.checkpoint import Checkpoint, load_checkpoint
    from quorum.engine.tokens import PromptTokenizer
    from quorum.train.expert_profile import Criterion, find_super_experts, make_profile_table, write_profile
    from quorum.train.mixture import profile_experts

    if limit < 1 or batch_tokens < 1:
        raise BadInput(f"--limit {limit}, --batch-tokens {batch_tokens}; each is 1 or more")
    criterion = Criterion(percentile, share, depth)
    solved = read_clean_questions(questions)
    parts = read_split(split) if split else split_questions(solved, held_out, seed=seed)
    known = select_training_folds(parts, solved).questions
    drawn = random.Random(seed).sample(known, min(limit, len(known)))
    prompts = [render_prompt(question, "letter" if question.choices else "cot") for question in drawn]
    tokenizer, network = load_checkpoint(Checkpoint(model), dtype, device)
    with progress_bar("reading") as progress:
        found = profile_experts(
            network, PromptTokenizer(tokenizer), prompts, criterion, batch_tokens=batch_tokens, progress=progress
        )
    write_profile(found, out)
    stars = [asdict(peak) for peak in find_super_experts(found)]
    print_json({"out": str(out), **asdict(found), "super_experts": stars}) if as_json else print(
        make_profile_table(found)
    )
    return DONE
