"""Merges an adapter into its base, for engines that take no adapter, and checks that it answers alike."""

import argparse
import gc
from dataclasses import asdict
from pathlib import Path

from quorum.console import DONE, FOUND, print_json, progress_bar, run_program
from quorum.errors import BadInput, list_some

EPILOG = """\
The same questions are asked twice, by their letters: of the base with the adapter beside it, and of the merged model.
exit code: 0 all letters are the same, 1 some differ, 2 unreadable input"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("adapter", type=Path, help="folder that PEFT wrote: OUT/adapter of kernels/train.py")
    parser.add_argument("questions", type=Path, help="questions to ask both: .csv, .tsv, .json, .jsonl or .parquet")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of the merged model")
    parser.add_argument("--base", help="the model under the adapter, where it lies elsewhere now")
    parser.add_argument("--limit", type=int, default=200, help="ask so many questions (default %(default)s)")
    parser.add_argument(
        "--dtype",
        choices=["float16", "bfloat16", "float32"],
        default="float16",
        help="of the merged weights (default %(default)s: what a T4 computes in, and finer than bfloat16)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of words")
    given = parser.parse_args()

    from quorum.ask.prompt import render_prompt
    from quorum.data.read import read_records
    from quorum.data.repair import repair_table
    from quorum.model.transformers import Transformers, TransformersSettings
    from quorum.train.merge import compare_letters, find_base, merge_adapter

    if given.limit < 1:
        raise BadInput(f"--limit {given.limit}; at least one question is to be asked")
    asked = [question for question in repair_table(read_records(given.questions)).questions if question.choices][
        : given.limit
    ]
    if not asked:
        raise BadInput(f"{given.questions}: none of its questions has choices, so there are no letters to compare")
    prompts = [render_prompt(question, "letter") for question in asked]
    base = given.base or find_base(given.adapter)
    merge_adapter(base, given.adapter, given.out, given.dtype)
    replies = []
    for caption, model, adapter in (("adapter", base, str(given.adapter)), ("merged", str(given.out), None)):
        with progress_bar(caption) as progress:
            backend = Transformers(TransformersSettings(model=model, adapter=adapter), progress=progress)
            replies.append(backend.answer(prompts))
        del backend
        gc.collect()  # there may be room for one alone
    parity = compare_letters(prompts, *replies)
    if given.json:
        print_json({"base": base, "out": str(given.out), **asdict(parity)})
    else:
        print(f"{given.out}: {base} with {given.adapter}, {given.dtype}")
        print(f"{parity.asked - len(parity.differ)} of {parity.asked} letters are the same; ", end="")
        print(f"the furthest log-probability is {parity.furthest:.4f} off")
        if parity.differ:
            print(f"other letters: {list_some(list(parity.differ), 20)}")
    return FOUND if parity.differ else DONE


if __name__ == "__main__":
    run_program(main)
