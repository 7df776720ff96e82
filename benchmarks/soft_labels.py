"""What an encoder gains from soft labels: the same training with the answers alone, and with an out-of-fold vote.

python benchmarks/soft_labels.py FILE --out FOLDER [--train 500] [--weights 0.5,0.9]
The teacher is the mean of the untrained encoder and of an encoder trained on the other folds. The students learn from
the same rows, and answer the held-out questions.
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.console import DONE, print_json, run_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from quorum.ballot import Ballot
    from quorum.data.split import TrainingFolds
    from quorum.question import Question
    from quorum.train.settings import EncoderTuning


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for the trained models")
    parser.add_argument("--train", type=int, default=500, help="training questions (default %(default)s)")
    parser.add_argument("--held-out", type=int, default=1800, help="held-out questions, at most (default %(default)s)")
    parser.add_argument("--folds", type=int, default=2, help="folds of the teacher (default %(default)s)")
    parser.add_argument("--weights", default="0.5", help="weights of the teacher (default %(default)s)")
    parser.add_argument("--epochs", type=float, default=3.0)
    args = parser.parse_args()

    import random

    from quorum.ballot import average_ballots, compute_share_right
    from quorum.data.repair import read_clean_questions
    from quorum.data.split import TrainingFolds, iterate_folds, select_held_out, select_training_folds, split_questions
    from quorum.model.similarity import PACKAGED
    from quorum.train.settings import EncoderTuning

    solved = [question for question in read_clean_questions(args.file) if question.answer and question.choices]
    split = split_questions(solved, 0.5, folds=args.folds)
    folds = select_training_folds(split, solved)
    count = min(args.train, len(folds.questions))
    folds = TrainingFolds(split, tuple(random.Random(42).sample(folds.questions, count)))
    asked = (select_held_out(split, solved))[: args.held_out]
    tuning = EncoderTuning(epochs=args.epochs, learning_rate=3e-4, frozen_layers=4, max_tokens=128)
    own: dict[str, Ballot] = {}
    for number, (rest, part) in enumerate(iterate_folds(folds)):
        own |= answers(train(tuning, rest, args.out / f"fold-{number}"), part)
    plain = answers(PACKAGED, folds.questions)
    teacher = {id: average_ballots([own[id], plain[id]]) for id in own}
    gold = {question.id: str(question.answer) for question in solved}
    found: dict[str, dict[str, Ballot]] = {"untrained": answers(PACKAGED, asked)}
    start = time.process_time()
    found["answers alone"] = answers(train(tuning, folds, args.out / "hard"), asked)
    seconds = time.process_time() - start
    for weight in map(float, args.weights.split(",")):
        folder = train(tuning, folds, args.out / f"soft-{weight}", teacher, weight)
        found[f"soft, weight {weight:g}"] = answers(folder, asked)
    print_json(
        {
            "train": len(folds.questions),
            "teacher accuracy": compute_share_right(teacher, gold),
            "CPU seconds of a student": round(seconds),
            **report(found, asked),
        }
    )
    return DONE


def train(
    tuning: "EncoderTuning",
    folds: "TrainingFolds",
    out: Path,
    teacher: "Mapping[str, Ballot] | None" = None,
    weight: float = 0.0,
) -> str:
    """Train an encoder on the questions and return its folder."""
    from quorum.train.build_rows import Teaching, build_rows
    from quorum.train.encoder import tune_encoder
    from quorum.train.settings import RowSettings

    rows = build_rows(folds, RowSettings(style="bare"), None, Teaching(teacher or {}, weight)).rows
    return str(tune_encoder(tuning, rows, out, lambda done, total: None).folder)


def answers(model: str, asked: "Sequence[Question]") -> "dict[str, Ballot]":
    """Return the encoder's ballots by question id."""
    from quorum.ask.prompt import render_prompt
    from quorum.ask.reply import ballot_from_reply
    from quorum.model.encoder import Encoder, EncoderSettings

    prompts = [render_prompt(question, "bare") for question in asked]
    replies = Encoder(EncoderSettings(model=model)).answer(prompts)
    return {
        prompt.question_id: ballot_from_reply(reply, prompt) for prompt, reply in zip(prompts, replies, strict=True)
    }


def report(found: "Mapping[str, Mapping[str, Ballot]]", asked: "Sequence[Question]") -> dict[str, object]:
    """Return the accuracy and log-loss of every student, and its paired difference to the one without a teacher."""
    from quorum.ballot import compute_negative_log_likelihood
    from quorum.evaluation.compare import compare_runs, compute_mcnemar_p
    from quorum.evaluation.metrics import score_answers
    from quorum.files.solution import make_solution

    solution, students = make_solution(asked), {}
    for name, ballots in found.items():
        score = score_answers(ballots, solution).overall
        losses = [compute_negative_log_likelihood(ballots[each.id], str(each.answer)) for each in asked]
        students[name] = {
            "n": score.n,
            "accuracy": score.value,
            "error": score.error,
            "loss": sum(losses) / len(losses),
        }
        if name.startswith("soft"):
            pair = compare_runs({name: ballots, "hard": found["answers alone"]}, solution).pairs[0]
            students[name] |= {"difference": pair.difference, "difference error": pair.error}
            students[name]["McNemar p"] = compute_mcnemar_p(pair.only_first or 0, pair.only_second or 0)
    return {"held out": students}


if __name__ == "__main__":
    run_program(main)
