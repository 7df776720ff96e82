"""Draws questions to learn from: more of the subjects that a model is weak in, by its out-of-fold answers.

Out-of-fold answers are read from a file, or made here: each training fold is asked of a backend that was given the
other folds alone. Held-out questions are neither asked nor drawn.
  scripts/draw.py train.csv --split data/split/split.parquet --backend kernels/encoder.toml
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from quorum.ask.settings import PromptSettings, RetrievalSettings
from quorum.console import DONE, print_json, print_status, progress_bar, run_program
from quorum.errors import BadInput
from quorum.judge.settings import RunSettings

if TYPE_CHECKING:
    import polars as pl

    from quorum.ballot import Ballot
    from quorum.data.split import TrainingFolds
    from quorum.train.sampling import DrawnSample


BATCH = 256  # questions between two looks at how far it is


@dataclass(frozen=True)
class Member:
    """Of the infer kernel's settings those that say how a question is asked, and whom."""

    RENAMED: ClassVar[Mapping[str, str]] = RunSettings.RENAMED

    run: str
    backend: Mapping[str, Any]
    prompt: PromptSettings = field(default_factory=PromptSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="exit code: 0 done, 2 bad input",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("train", type=Path, help="solved questions")
    parser.add_argument(
        "--split", type=Path, metavar="PARQUET", help="default: one is made, as kernels/train.py makes it"
    )
    parser.add_argument("--answers", type=Path, metavar="PARQUET", help="out-of-fold answers to the training folds")
    parser.add_argument(
        "--backend", type=Path, metavar="TOML", help="of kernels/infer.py: makes the answers fold by fold"
    )
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="remembers replies: killed, it goes on where it stood"
    )
    parser.add_argument("--budget", type=int, default=500, help="questions (default %(default)s)")
    parser.add_argument("--weak-share", type=float, default=0.7, help="of the budget (default %(default)s)")
    parser.add_argument("--least", type=int, default=5, help="of every subject (default %(default)s)")
    parser.add_argument("--any-of-weak", action="store_true", help="not the wrong answers of weak subjects first")
    parser.add_argument("--seed", type=int, default=42, help="default %(default)s")
    parser.add_argument("--out", type=Path, default=Path("data/draw"), metavar="FOLDER", help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a Markdown table")
    args = parser.parse_args()
    if (args.answers is None) == (args.backend is None):
        raise BadInput("name out-of-fold answers with --answers, or a kernel's TOML that makes them with --backend")

    from quorum.data.read import read_records
    from quorum.data.repair import repair_table
    from quorum.data.split import read_split, select_training_folds, split_questions, write_split
    from quorum.train.sampling import SamplingStrategy, draw_sample, find_wrong_answers, write_sample_file

    strategy = SamplingStrategy(args.budget, args.weak_share, args.least, not args.any_of_weak, args.seed)
    solved = repair_table(read_records(args.train)).questions
    parts = read_split(args.split) if args.split else split_questions(solved, held_out=0.25)
    folds = select_training_folds(parts, solved)
    ballots = answers_in(args.answers) if args.answers else answers_of(args, folds)
    drawn = draw_sample(folds, find_wrong_answers(folds, ballots), strategy)
    write_sample_file(drawn.questions, args.out / "drawn.csv")
    write_split(parts, args.out / "split.parquet")
    if args.json:
        print_json({**summary(drawn), "out": str(args.out / "drawn.csv"), "subjects": drawn.quotas.to_dicts()})
    else:
        print(markdown(drawn.quotas))
        told = summary(drawn)
        print_status(
            f"{args.out / 'drawn.csv'}: {told['drawn']} questions, {told['drawn_wrong']} of them answered wrong; "
            f"out-of-fold accuracy {told['accuracy']:.3f} over {told['questions']}"
        )
    return DONE


def answers_in(path: Path) -> "dict[str, Ballot]":
    """The ballots of the one run in a file.

    Raises:
        BadInput: there are several runs in it.
    """
    from quorum.errors import list_some
    from quorum.files.answers import ballots_from_answers, read_answers

    answers = read_answers(path)
    runs = answers["run"].unique(maintain_order=True).to_list()
    if len(runs) != 1:
        raise BadInput(f"{path}: {len(runs)} runs ({list_some(runs)}), where one is expected")
    return ballots_from_answers(answers)


def answers_of(args: argparse.Namespace, folds: "TrainingFolds") -> "dict[str, Ballot]":
    """Out-of-fold ballots for all training questions, written to OUT/answers.parquet too.

    The backend and the retrieval of a fold are given the solved questions of the other folds and no others.
    """
    from quorum.ask.asker import make_asker
    from quorum.ask.reply import ballot_from_reply
    from quorum.ask.retrieve import Retriever
    from quorum.config import from_table, read_table
    from quorum.data.split import iterate_folds, strip_answers
    from quorum.files.answers import make_answers, write_answers
    from quorum.model.backend import open_backend
    from quorum.model.embed import load_embedder, load_reranker
    from quorum.model.managed import open_journaled

    table = read_table(args.backend)
    asks = {field.name for field in fields(Member)} | set(Member.RENAMED)
    member = from_table(Member, {name: value for name, value in table.items() if name in asks}, str(args.backend))
    ballots: dict[str, Ballot] = {}
    with progress_bar("out-of-fold answers") as progress:
        for fold, (rest, asked) in zip(folds.split.folds, iterate_folds(folds), strict=True):
            part = f"{folds.split.fingerprint} but fold {fold}"
            backend = (
                open_journaled(member.backend, rest.questions, args.journal, files=[args.train], part=part)
                if args.journal
                else open_backend(member.backend, rest.questions)
            )
            shown = strip_answers(asked)
            retriever = Retriever(member.retrieval, rest, load_embedder, load_reranker)
            ask = make_asker(retriever, shown, member.prompt.style, member.prompt.template)
            for first in range(0, len(shown), BATCH):
                prompts = [ask(question) for question in shown[first : first + BATCH]]
                for prompt, reply in zip(prompts, backend.answer(prompts), strict=True):
                    ballots[prompt.question_id] = ballot_from_reply(reply, prompt)
                progress(len(ballots), len(folds.questions))
    write_answers(make_answers(member.run, ballots), args.out / "answers.parquet")
    return ballots


def summary(drawn: "DrawnSample") -> dict[str, Any]:
    questions, wrong = int(drawn.quotas["questions"].sum()), int(drawn.quotas["wrong"].sum())
    return {
        "questions": questions,
        "accuracy": 1 - wrong / questions,
        "drawn": len(drawn.questions),
        "drawn_wrong": drawn.quotas["drawn_wrong"].sum(),
        "why": dict(drawn.questions["why"].value_counts(sort=True).iter_rows()),
    }


def markdown(quotas: "pl.DataFrame") -> str:
    """The table of quotas."""
    lines = [
        "| subject | questions | accuracy | weak | for weakness | for spread | drawn | of these wrong |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in quotas.iter_rows(named=True):
        subject = row["subject"].replace("|", "\\|").replace("\n", " ")
        weak = "weak" if row["weak"] else ""
        lines.append(
            f"| {subject} | {row['questions']} | {row['accuracy']:.3f} | {weak} | {row['for_weakness']} | "
            f"{row['for_spread']} | {row['drawn']} | {row['drawn_wrong']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run_program(main)
