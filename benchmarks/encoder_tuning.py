"""What training does to the encoder: the settings of a train kernel, before and after on questions it has not seen.

python benchmarks/encoder_tuning.py kernels/train-encoder.toml [key=value ...] --out runs/tuning
The held-out questions of the split are asked; with --folds 2, two training folds, each by a model that learnt from the
others: so settings are chosen without a look at the held-out answers.
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, progress_bar, run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from quorum.ask.settings import RetrievalSettings
    from quorum.ballot import Ballot
    from quorum.data.split import TrainingFolds
    from quorum.question import Prompt, Question

    Render = Callable[[Sequence[Question]], list[Prompt]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("toml", type=Path, help="the settings of kernels/train.py, its trainer an encoder")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--out", type=Path, required=True, help="folder for the trained models")
    parser.add_argument("--folds", type=int, default=0, help="training folds to ask, in place of what is held out")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    from itertools import islice

    from quorum.config import apply_overrides, from_table, read_table
    from quorum.data.repair import read_clean_questions
    from quorum.data.split import iterate_folds, select_held_out, select_training_folds, split_questions
    from quorum.train.settings import EncoderTuning, TrainSettings

    table = apply_overrides(read_table(args.toml), args.overrides, str(args.toml))
    settings = from_table(TrainSettings, table, str(args.toml))
    solved = read_clean_questions(settings.train, settings.layout)
    parts = split_questions(solved, settings.split.held_out, seed=settings.split.seed)
    learnt = select_training_folds(parts, solved)
    render = renderer(learnt, settings.retrieval)
    trainer = {name: value for name, value in settings.trainer.items() if name != "name"}
    tuning = from_table(EncoderTuning, trainer, str(args.toml))
    halves = islice(iterate_folds(learnt), args.folds) if args.folds else [(learnt, select_held_out(parts, solved))]
    before: dict[str, Ballot] = {}
    after: dict[str, Ballot] = {}
    costs: list[dict[str, float]] = []
    for number, (taught, asked) in enumerate(halves):
        start = time.process_time()
        folder, steps, tokens = tuned(tuning, taught, render, args.out / str(number))
        costs.append({"rows": len(taught.questions), "steps": steps, "tokens": tokens})
        costs[-1]["cpu_seconds"] = round(time.process_time() - start, 1)
        before |= answers(tuning.model, asked, render)
        after |= answers(str(folder), asked, render)
    found = {"settings": table, "training": costs, **figures(before, after, [q for q in solved if q.id in after])}
    print_json(found) if args.json else print(as_text(found))
    return DONE


def renderer(learnt: "TrainingFolds", retrieval: "RetrievalSettings") -> "Render":
    """What shows questions as the encoder is shown them, with what is retrieved."""
    from quorum.ask.prompt import render_prompt
    from quorum.ask.retrieve import Retriever
    from quorum.model.embed import load_embedder, load_reranker

    retriever = Retriever(retrieval, learnt, load_embedder, load_reranker)

    def rendered(questions: "Sequence[Question]") -> "list[Prompt]":
        return [
            render_prompt(question, "bare", passages=[passage.prompt_text for passage in beside.passages])
            for question, beside in zip(questions, retriever.retrieve(questions), strict=True)
        ]

    return rendered


def tuned(tuning: Any, learnt: "TrainingFolds", render: "Render", out: Path) -> tuple[Path, int, int]:
    """The folder of the trained model, the steps it took and the tokens it read."""
    from quorum.train.encoder import tune_encoder
    from quorum.train.row import TrainingRow

    answered = [(question, question.answer) for question in learnt.questions if question.answer]
    prompts = render([question for question, _ in answered])
    rows = [TrainingRow(prompt, answer, answer) for prompt, (_, answer) in zip(prompts, answered, strict=True)]
    with progress_bar("training") as progress:
        trained = tune_encoder(tuning, rows, out, progress)
    return trained.folder, trained.steps, trained.tokens


def answers(model: str, asked: "Sequence[Question]", render: "Render") -> "dict[str, Ballot]":
    from quorum.ask.reply import ballot_from_reply
    from quorum.model.encoder import Encoder, EncoderSettings

    prompts = render(asked)
    replies = Encoder(EncoderSettings(model=model)).answer(prompts)
    return {
        prompt.question_id: ballot_from_reply(reply, prompt) for reply, prompt in zip(replies, prompts, strict=True)
    }


def figures(
    before: "Mapping[str, Ballot]", after: "Mapping[str, Ballot]", asked: "Sequence[Question]"
) -> dict[str, Any]:
    """Accuracy before and after, all in all and by subject, and the paired difference."""
    from dataclasses import asdict

    from quorum.evaluation.compare import compare_runs, compute_mcnemar_p
    from quorum.evaluation.metrics import score_answers
    from quorum.files.solution import make_solution

    solution = make_solution(asked)
    scores = {name: score_answers(ballots, solution) for name, ballots in (("before", before), ("after", after))}
    pair = compare_runs({"after": after, "before": before}, solution).pairs[0]
    return {
        "accuracy": {name: asdict(score.overall) for name, score in scores.items()},
        "subjects": {
            name: {each.subject: asdict(each.score) for each in score.subjects} for name, score in scores.items()
        },
        "paired": asdict(pair),
        "exact_mcnemar_p": compute_mcnemar_p(pair.only_first or 0, pair.only_second or 0),
    }


def as_text(found: "Mapping[str, Any]") -> str:
    told = [f"training: {found['training']}"]
    for subject, score in found["subjects"]["after"].items():
        earlier = found["subjects"]["before"][subject]
        told.append(f"{subject:14} n = {score['n']:4}  {earlier['value']:.3f} -> {score['value']:.3f}")
    for name, score in found["accuracy"].items():
        told.append(f"{name:14} n = {score['n']:4}  {score['value']:.3f} ± {score['error']:.3f}")
    pair = found["paired"]
    told.append(f"after - before: {pair['difference']:+.3f} ± {pair['error']:.3f}, {pair['test']} p = {pair['p']:.1g}")
    told.append(f"exact McNemar p = {found['exact_mcnemar_p']:.1g}, {pair['only_first']} : {pair['only_second']}")
    return "\n".join(told)


if __name__ == "__main__":
    run_program(main)
