"""`quorum merge`: merge an adapter into its base model, and check that it answers alike."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from quorum.cli.options import AsJson
from quorum.cli.tables import print_line
from quorum.console import DONE, FOUND, print_json
from quorum.errors import BadInput, list_some
from quorum.progress import progress_bar


def merge_command(
    adapter: Annotated[
        Path, typer.Argument(metavar="ADAPTER", help="Folder that PEFT wrote: OUT/adapter of kernels/train.py.")
    ],
    questions: Annotated[Path, typer.Argument(metavar="QUESTIONS", help="Questions to ask both models.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the merged model goes.")],
    base: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The model under the adapter, if it is somewhere else now.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="Questions to ask at most.")] = 200,
    dtype: Annotated[
        Literal["float16", "bfloat16", "float32"],
        typer.Option(help="Type of the merged weights; float16 is what a T4 computes in, and finer than bfloat16."),
    ] = "float16",
    as_json: AsJson = False,
) -> int:
    """Merge an adapter into its base model, and check the result.

    For engines that take no adapter. The same questions are asked twice, by their letters: of the base with the
    adapter, and of the merged model.

    Exit code 1: some letters differ.
    """
    import gc
    from dataclasses import asdict

    from quorum.ask.prompt import render_prompt
    from quorum.data.repair import read_clean_questions
    from quorum.model.transformers import Transformers, TransformersSettings
    from quorum.train.merge import compare_letters, find_base, merge_adapter

    if limit < 1:
        raise BadInput(f"--limit {limit}; at least one question has to be asked")
    closed = [question for question in read_clean_questions(questions) if question.choices]
    if not closed:
        raise BadInput(f"{questions}: none of its questions has choices, so there are no letters to compare")
    prompts = [render_prompt(question, "letter") for question in closed[:limit]]
    model = base or find_base(adapter)
    merge_adapter(model, adapter, out, dtype)
    replies = []
    for caption, name, beside in (("adapter", model, str(adapter)), ("merged", str(out), None)):
        with progress_bar(caption) as progress:
            backend = Transformers(TransformersSettings(model=name, adapter=beside), progress=progress)
            replies.append(backend.answer(prompts))
        del backend
        gc.collect()  # there may be memory for one of them only
    parity = compare_letters(prompts, *replies)
    if as_json:
        print_json({"base": model, "out": str(out), **asdict(parity)})
        return FOUND if parity.differ else DONE
    print_line(f"{out}: {model} with {adapter}, {dtype}")
    same = parity.asked - len(parity.differ)
    print_line(
        f"{same} of {parity.asked} letters are the same; log-probabilities differ by up to {parity.furthest:.4f}"
    )
    if parity.differ:
        print_line(f"other letters: {list_some(list(parity.differ), 20)}")
    return FOUND if parity.differ else DONE
