"""What each way of voting is worth with few labels: fitted on random questions, scored on others, many times.

python benchmarks/vote_methods.py FOLDER [FOLDER ...] [--labelled 50 100 500 2000] [--repeats 20] [--simulated] [--json]

A FOLDER has answers.parquet and gold.csv (member_logs.py writes them), or questions.jsonl and model_texts.jsonl.xz (28
models on 1,000 questions of MMLU-Pro), or llm_probs_gpt.zip (ten prompts of one LLaMA-13B on 16 subjects of MMLU). Of a
folder with 20 members or more, the pool without its strongest three and four disjoint random pools are sets of their
own. --simulated adds pools whose members share errors: 43 members with numeric answers, 14 and 25 with letters.

Every repeat draws which questions are labelled. All methods are fitted on these and scored on at most 1,000 others.
Errors are those of the mean over sets of the paired difference, from its spread over repeats. Repeats share questions:
the errors say how far the draw matters, not how far another thousand questions would.
"""

import argparse
import io
import json
import lzma
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, progress_bar, run_program
from quorum.errors import BadInput

if TYPE_CHECKING:
    import numpy as np

    from quorum.judge.ensemble.labelled import LabelledBallots

SCORED = 1000
BASELINE = "top 3"
WEIGHTED = ("weighted", "weighted top 5", "greedy", "stack", "signed stack", "blend")
METHODS = ("auto", "best member", "majority", BASELINE, "top 5", *WEIGHTED, "candidate regression")


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What the members of a simulated pool are like; `unparsed` is the share that gives one letter too often."""

    members: int
    accuracy: tuple[float, float]  # lowest and highest skill
    families: int  # of models with the same habits
    numbers: bool = False  # open answers instead of A to D
    unparsed: float = 0.0


SIMULATED = {
    "numbers, 43 strong": Simulation(members=43, accuracy=(0.5, 0.96), families=12, numbers=True),
    "numbers, 43 mixed": Simulation(members=43, accuracy=(0.05, 0.8), families=5, numbers=True),
    "letters, 14": Simulation(members=14, accuracy=(0.5, 0.9), families=4),
    "letters, 25 with unparsed": Simulation(members=25, accuracy=(0.25, 0.65), families=8, unparsed=0.4),
}


def parse_arguments(text: str | None) -> tuple[argparse.Namespace, dict[str, "LabelledBallots"]]:
    """Return the arguments, and the sets that they name."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--labelled", type=int, nargs="+", default=[50, 100, 500, 2000])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    sets = {name: found for folder in args.folders for name, found in read_sets(folder)}
    if args.simulated:
        sets |= {name: simulate(seed, SIMULATED[name]) for seed, name in enumerate(SIMULATED)}
    return args, sets


def main() -> int:
    args, sets = parse_arguments(__doc__)
    results = []
    for labelled in args.labelled:
        usable = {name: one for name, one in sets.items() if len(one.gold) >= 1.5 * labelled}
        with progress_bar(f"{labelled} labelled") as progress:
            rows = []
            for number, (name, ballots) in enumerate(usable.items()):
                rows.append(measure_set(name, ballots, labelled, args.repeats))
                progress(number + 1, len(usable))
        results.append({"labelled": labelled, "sets": rows, "methods": average_sets(rows)})
    if args.json:
        print_json(results)
        return DONE
    for result in results:
        print(f"\n{result['labelled']} labelled, {len(result['sets'])} sets, {args.repeats} repeats")
        for row in result["methods"]:
            print(f"| {row['method']} | {row['accuracy']:.4f} | {row['gain']:+.4f} ± {row['error']:.4f} |")
        for one in result["sets"]:
            gains = ", ".join(f"{method} {gain:+.4f}" for method, gain in one["gains"].items())
            print(
                f"  {one['set']} (n = {one['scored']}): {gains}; auto chose {one['chosen']}, {one['seconds']:.1f} CPU s"
            )
    return DONE


def measure_set(name: str, ballots: "LabelledBallots", labelled: int, repeats: int) -> dict[str, Any]:
    """Return a set's accuracies by method, a list over repeats, and what auto chose."""
    import numpy as np
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rights: dict[str, list[float]] = {method: [] for method in METHODS}
    chosen, seconds = Counter[str](), 0.0
    for repeat in range(repeats):
        order = np.random.default_rng(repeat).permutation(len(ballots.gold))
        known, rest = ballots.only(order[:labelled]), ballots.only(order[labelled : labelled + SCORED])
        with threadpool_limits(1):
            for method in METHODS[1:]:
                rights[method].append(float((answer(method, known, rest) == rest.gold).mean()))
            begun = time.process_time()
            given, rule = answer_by_auto(known, rest)
            seconds += time.process_time() - begun
        rights["auto"].append(float((given == rest.gold).mean()))
        chosen[rule] += 1
    means = {method: float(np.mean(values)) for method, values in rights.items()}
    return {
        "set": name,
        "scored": len(rest.gold),
        "gains": {method: round(mean - means[BASELINE], 4) for method, mean in means.items()},
        "rights": rights,
        "chosen": dict(chosen),
        "seconds": seconds / repeats,
    }


def average_sets(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each method the mean over sets, and of the paired difference from the baseline, with its error."""
    import numpy as np

    found = []
    for method in METHODS if rows else ():
        gains = [np.array(row["rights"][method]) - np.array(row["rights"][BASELINE]) for row in rows]
        variance = sum(gain.var(ddof=1) / len(gain) for gain in gains)
        accuracy = np.mean([np.mean(row["rights"][method]) for row in rows])
        mean, error = float(np.mean(gains)), float(np.sqrt(variance)) / len(rows)
        found.append({"method": method, "accuracy": float(accuracy), "gain": mean, "error": error})
    return found


def answer(method: str, known: "LabelledBallots", rest: "LabelledBallots") -> "np.ndarray[Any, Any]":
    """Return the index of the label that a method, fitted on `known`, gives each question of `rest`."""
    from quorum.judge.ensemble.select_rule import predict_labels
    from quorum.judge.ensemble.weighting import VOTE_METHODS, rank_members

    if method == "candidate regression":
        return regress_candidates(known, rest)
    (found,) = (one for one in VOTE_METHODS if one.name == method)
    return predict_labels(rest, found.pool, found.fit(known), rank_members(known))


def answer_by_auto(known: "LabelledBallots", rest: "LabelledBallots") -> "tuple[np.ndarray[Any, Any], str]":
    """Return what the selected rule answers, and its method."""
    import numpy as np

    from quorum.judge.ensemble.select_rule import predict_labels, select_rule
    from quorum.judge.ensemble.weighting import rank_members

    rule = select_rule(known)
    weights = np.array([rule.weights.get(member, 0.0) for member in known.members])
    if rule.temperatures:
        rest = rest.apply_temperatures(np.array([rule.temperatures[member] for member in known.members]))
    return predict_labels(rest, rule.pool, weights, rank_members(known)), rule.method


def regress_candidates(known: "LabelledBallots", rest: "LabelledBallots") -> "np.ndarray[Any, Any]":
    """Return the likeliest candidates by a logistic regression over (question, candidate) rows.

    Features: each member's vote, the shares of all votes and of the best 3, 5 and 9 members' votes, whether these are a
    majority, and the logarithm of the number of votes.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    from quorum.judge.ensemble.weighting import rank_members

    order = rank_members(known)

    def describe(ballots: "LabelledBallots") -> "tuple[Any, Any, Any]":
        votes = ballots.evidence("votes")
        question, label = np.nonzero(votes.any(axis=1))
        own = votes[question, :, label]
        columns = [np.log(own.sum(axis=1))]
        for count in (3, 5, 9, len(order)):
            share = own[:, order[:count]].mean(axis=1)
            most = np.zeros(len(votes))
            np.maximum.at(most, question, share)
            columns += [share, share >= most[question]]
        return question, label, np.column_stack([own, *columns])

    question, label, features = describe(known)
    model = LogisticRegression(max_iter=500).fit(features, known.gold[question] == label)
    question, label, features = describe(rest)
    scores = np.full((len(rest.gold), len(rest.labels)), -np.inf)
    scores[question, label] = model.decision_function(features)
    return np.where(np.isfinite(scores.max(axis=1)), scores.argmax(axis=1), -1)


def read_sets(folder: Path) -> "Iterator[tuple[str, LabelledBallots]]":
    """Yield the sets of a folder by name."""
    import numpy as np

    ballots = read_folder(folder)
    yield folder.name, ballots
    if len(ballots.members) >= 20:
        strength = np.argsort(-ballots.right.sum(axis=0))
        yield f"{folder.name} without its best 3", keep_members(ballots, strength[3:])
        for number, part in enumerate(np.array_split(np.random.default_rng(1).permutation(len(ballots.members)), 4)):
            yield f"{folder.name}, pool {number + 1}", keep_members(ballots, part)


def keep_members(ballots: "LabelledBallots", members: "np.ndarray[Any, Any]") -> "LabelledBallots":
    """Return the ballots of some members."""
    names = tuple(ballots.members[member] for member in members)
    return replace(ballots, members=names, probability=ballots.probability[:, members])


def read_folder(folder: Path) -> "LabelledBallots":
    """Return the members' ballots on the labelled questions of a folder."""
    import polars as pl

    from quorum.files.answers import ANSWERS, read_answers
    from quorum.judge.ensemble.labelled import collect_labelled_ballots

    if (folder / "answers.parquet").exists():
        gold = pl.read_csv(folder / "gold.csv", schema_overrides={"id": pl.String, "answer": pl.String})
        return collect_labelled_ballots(read_answers(folder / "answers.parquet"), gold.select("id", "answer"))
    if (folder / "llm_probs_gpt.zip").exists():
        return read_probabilities(folder / "llm_probs_gpt.zip")
    if not (folder / "questions.jsonl").exists():
        raise BadInput(f"{folder}: neither answers.parquet, llm_probs_gpt.zip nor questions.jsonl is there")
    questions = [json.loads(line) for line in (folder / "questions.jsonl").open(encoding="utf-8")]
    legal = {question["question_id"]: len(question["options"]) for question in questions}
    rows = []
    with lzma.open(folder / "model_texts.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            label, id = line["pred"], line["question_id"]
            read = bool(label) and ord(label) - ord("A") < legal[id]
            rows.append((line["model"], str(id), label if read else None, float(read)))
    table = [(str(question["question_id"]), question["answer"]) for question in questions]
    return collect_labelled_ballots(
        pl.DataFrame(rows, schema=ANSWERS, orient="row"), pl.DataFrame(table, schema=["id", "answer"], orient="row")
    )


def read_probabilities(path: Path) -> "LabelledBallots":
    """Return ten prompts' probabilities: NAME_scores.npy [prompt, question, label] and NAME_targets.npy."""
    import numpy as np

    scores, targets = [], []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(one for one in archive.namelist() if one.endswith("_scores.npy")):
            scores.append(np.load(io.BytesIO(archive.read(name))).transpose(1, 0, 2))
            targets.append(np.load(io.BytesIO(archive.read(name.replace("_scores", "_targets")))))
    return make_set(np.concatenate(scores), np.concatenate(targets))


def make_set(weights: "np.ndarray[Any, Any]", gold: "np.ndarray[Any, Any]") -> "LabelledBallots":
    """Return ballots of weights [question, member, label]."""
    import numpy as np

    from quorum.judge.ensemble.labelled import LabelledBallots

    total = weights.sum(axis=2, keepdims=True)
    return LabelledBallots(
        members=tuple(f"m{member}" for member in range(weights.shape[1])),
        labels=tuple(f"{label:02}" for label in range(weights.shape[2])),
        subjects=("",),
        probability=weights / np.where(total > 0, total, 1.0),
        gold=gold.astype(np.intp),
        subject=np.zeros(len(gold), dtype=np.intp),
    )


def simulate(seed: int, pool: Simulation) -> "LabelledBallots":
    """Return 4,000 questions' answers of members whose errors share a question's difficulty and a family's habits.

    A member is right where the sum of the question's difficulty (.35 of the variance), its family's (.2) and its own
    noise is below its skill. Wrong answers are one attractive label (30 %), or any other; for numbers also the
    family's own, or one that nobody else gives. The share `unparsed` of the members gives label 0 too often.
    """
    import numpy as np
    from scipy.stats import norm  # type: ignore[import-untyped]

    chance, count = np.random.default_rng(seed), 4000
    labels, shape = 24 if pool.numbers else 4, (count, pool.members)
    family = chance.integers(pool.families, size=pool.members)
    noise = (
        0.35**0.5 * chance.normal(size=(count, 1)) + 0.2**0.5 * chance.normal(size=(count, pool.families))[:, family]
    )
    noise = noise + 0.45**0.5 * chance.normal(size=shape)
    guess = 0.0 if pool.numbers else 1 / labels
    skill = np.clip((chance.uniform(*pool.accuracy, pool.members) - guess) / (1 - guess), 0.01, 0.995)
    gold = chance.integers(labels, size=count)
    wrong = (gold[:, None] + 3 + family) % labels if pool.numbers else chance.integers(labels, size=shape)
    alone = (gold[:, None] + 1 + chance.integers(labels - 1, size=shape)) % labels
    wrong = np.where(chance.random(shape) < (0.7 if pool.numbers else 0.0), alone, wrong)
    attractive = (gold + 1 + chance.integers(labels - 1, size=count)) % labels
    wrong = np.where(chance.random(shape) < 0.3, attractive[:, None], wrong)
    given = np.where(noise < norm.ppf(skill), gold[:, None], wrong)
    failing = np.where(chance.random(pool.members) < pool.unparsed, chance.uniform(0.05, 0.4, pool.members), 0.0)
    given = np.where(chance.random(shape) < failing, 0, given)
    votes = (given[:, :, None] == np.arange(labels)) & (chance.random(shape) > 0.02)[:, :, None]
    return make_set(votes.astype(np.float64), gold)


if __name__ == "__main__":
    run_program(main)
