"""Logs of small real members on real files, for vote_methods.py.

python benchmarks/member_logs.py FOLDER OUT [--n 3000] [--only NAME ...] [--model DIR --asked 400]

FOLDER holds arc/, mmlu_csv/, boolq/ ... as for encoder_real_files.py. Each file gets OUT/NAME/answers.parquet and
OUT/NAME/gold.csv. Members are untrained rankings (the packaged encoder, shared words, lengths) and classifiers that
were trained on the other folds of the same questions, so every answer is out of fold. --model adds a causal model, by
the likelihood of the options, by letters and by letters in reverse order, on the first --asked questions of each file.
"""

import argparse
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoder_real_files import FILES, read_all

from quorum.console import DONE, run_program

if TYPE_CHECKING:
    import numpy as np

    from quorum.ask.prompt import Style
    from quorum.ballot import Ballot
    from quorum.question import Question

FOLDS = 5
SHARPNESS = 10.0  # cosines times this are the logits of a ballot
WORDS = (("words", "word", (1, 1)), ("word pairs", "word", (1, 2)), ("n-grams", "char_wb", (3, 5)))


@dataclass(frozen=True)
class Options:
    """All options of a file, one row each: scores of the untrained members, and features for the trained ones."""

    owner: "np.ndarray[Any, Any]"  # index of the question
    right: "np.ndarray[Any, Any]"
    scores: "dict[str, np.ndarray[Any, Any]]"
    products: "np.ndarray[Any, Any]"
    texts: "list[str]"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--n", type=int, default=3000, help="questions of a file, drawn at random")
    parser.add_argument("--only", nargs="*", choices=list(FILES), default=list(FILES), metavar="NAME")
    parser.add_argument("--model", type=Path, help="folder of a causal model")
    parser.add_argument("--asked", type=int, default=400, help="questions that the causal model is asked")
    args = parser.parse_args()
    for name in args.only:
        questions = [
            question for question in read_all(args.folder, FILES[name]) if question.choices and question.answer
        ]
        drawn = random.Random(42).sample(questions, min(args.n, len(questions)))
        ballots = rank_options(drawn)
        if args.model:
            drawn = drawn[: args.asked]
            ballots |= ask_model(drawn, args.model)
        write_logs(args.out / name.split(" (")[0].lower(), drawn, ballots)
        print(f"{name}: {len(drawn)} questions, {len(ballots)} members", flush=True)
    return DONE


def rank_options(questions: "list[Question]") -> "dict[str, dict[str, Ballot]]":
    """Member -> id -> ballot, of all members that rank options."""
    import numpy as np

    options = read_options(questions)
    scores = options.scores | train_members(options)
    ends = np.flatnonzero(np.diff(options.owner)) + 1
    found: dict[str, dict[str, Ballot]] = {}
    for member, values in scores.items():
        parts = [np.exp(SHARPNESS * (part - part.max())) for part in np.split(values, ends)]
        found[member] = {
            q.id: dict(zip(q.labels, (part / part.sum()).tolist(), strict=True))
            for q, part in zip(questions, parts, strict=True)
        }
    return found


def read_options(questions: "list[Question]") -> Options:
    """Embed and compare the options with their questions."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]

    from quorum.model.embed import load_embedder

    texts = [f"{q.context or ''} {q.text}".strip() for q in questions]
    options = [choice for q in questions for choice in q.choices]
    owner = np.repeat(np.arange(len(questions)), [len(q.choices) for q in questions])
    joined = [f"{texts[place]} {option}" for place, option in zip(owner, options, strict=True)]
    embed = load_embedder()
    asked, alone, whole = (np.asarray(embed(part), dtype=np.float64) for part in (texts, options, joined))
    scores = {
        "encoder": (asked[owner] * alone).sum(axis=1),
        "encoder, whole": (asked[owner] * whole).sum(axis=1),
        "longest": np.log1p([float(len(option)) for option in options]),
    }
    for name, analyzer, grams in WORDS:
        matrix = TfidfVectorizer(analyzer=analyzer, ngram_range=grams, sublinear_tf=True, min_df=2).fit_transform(
            [*texts, *options]
        )
        scores[name] = np.asarray(matrix[: len(texts)][owner].multiply(matrix[len(texts) :]).sum(axis=1)).ravel()
    right = [label == q.answer for q in questions for label in q.labels]
    products = np.hstack([asked[owner] * alone, np.abs(asked[owner] - alone)])
    return Options(owner, np.array(right), scores, products, joined)


def train_members(options: Options) -> "dict[str, np.ndarray[Any, Any]]":
    """Return the scores of members that learnt from the other folds."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    simple = np.column_stack(list(options.scores.values()))
    words = HashingVectorizer(n_features=2**16, ngram_range=(1, 2)).transform(options.texts)
    members: dict[str, tuple[Any, Any]] = {
        "head": (options.products, lambda: LogisticRegression(C=1.0, max_iter=100)),
        "weak head": (options.products, lambda: LogisticRegression(C=0.05, max_iter=100)),
        "scores": (simple, lambda: LogisticRegression(max_iter=300)),
        "trees": (simple, lambda: HistGradientBoostingClassifier(max_iter=40)),
        "bag of words": (words, lambda: LogisticRegression(C=1.0, max_iter=300)),
    }
    found = {}
    for name, (features, make) in members.items():
        logits = np.zeros(len(options.owner))
        for fold in range(FOLDS):
            held = options.owner % FOLDS == fold
            model = make().fit(features[~held], options.right[~held])
            logits[held] = np.log(np.maximum(model.predict_proba(features[held])[:, 1], 1e-6))
        found[name] = logits / SHARPNESS
    return found


def ask_model(questions: "list[Question]", folder: Path) -> "dict[str, dict[str, Ballot]]":
    """Member -> id -> ballot, of one causal model asked in several ways."""
    from quorum.ask.prompt import render_prompt
    from quorum.ask.reply import ballot_from_reply
    from quorum.model.backend import open_backend

    def ask(method: "Style", asked: "list[Question]") -> "dict[str, Ballot]":
        backend = open_backend({"name": "transformers", "model": str(folder), "method": method})
        prompts = [render_prompt(question, method) for question in asked]
        replies = backend.answer(prompts)
        return {p.question_id: ballot_from_reply(r, p) for p, r in zip(prompts, replies, strict=True)}

    turned = [replace(question, choices=question.choices[::-1]) for question in questions]
    back = {question.id: dict(zip(question.labels, reversed(question.labels), strict=True)) for question in questions}
    reverse = ask("letter", [replace(question, answer=None) for question in turned])
    return {
        "causal, options": ask("option", questions),
        "causal, letters": ask("letter", questions),
        "causal, reversed": {
            id: {back[id][label]: weight for label, weight in ballot.items()} for id, ballot in reverse.items()
        },
    }


def write_logs(folder: Path, questions: "list[Question]", ballots: "dict[str, dict[str, Ballot]]") -> None:
    """Write answers.parquet and gold.csv."""
    import polars as pl

    from quorum.files.answers import make_answers, write_answers

    folder.mkdir(parents=True, exist_ok=True)
    kept = {question.id for question in questions}
    frames = [make_answers(run, {id: b for id, b in own.items() if id in kept}) for run, own in ballots.items()]
    write_answers(pl.concat(frames), folder / "answers.parquet")
    gold = [(question.id, question.answer, question.subject or "") for question in questions]
    pl.DataFrame(gold, schema=["id", "answer", "subject"], orient="row").write_csv(folder / "gold.csv")


if __name__ == "__main__":
    run_program(main)
