"""Scores checkpoints and settings on the held-out questions, each by the kernel it will run in, and picks one.

The most accurate is picked, a tie goes to the earliest; with --second only of those that reach the --floor there. Its
submission joins the ledger with the number of looks it took: a score that chose the run is too good to be true, and
what to expect of it on new questions is told beside it.
  scripts/sweep.py data/sample kernels/flan-t5.toml --trained runs/train-flan-t5
  scripts/sweep.py data/sample kernels/encoder.toml --grid backend.scale=10,20,40
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, FOUND, print_json, run_program
from submit import Run, common, kept, kernel, pair_told, prepare, record, say

if TYPE_CHECKING:
    from quorum.ballot import Ballot
    from quorum.competition.sweep import Candidate, Trial
    from quorum.evaluation.compare import PairedDifference
    from submit import Ground


@dataclass(frozen=True)
class Sweep:
    """All trials, the place of the picked one, what to expect of it, and its difference to the first (unless it is)."""

    trials: "Sequence[Trial]"
    place: int
    expected: float
    difference: "PairedDifference | None"


def main() -> int:
    args = arguments()

    from quorum.competition.folder import find_competition
    from quorum.competition.sweep import list_candidates

    candidates = list_candidates(args.trained, grid_of(args.grid))
    ground = prepare(find_competition(args.folder), args.held_out, args.seed)
    check_held_out(ground, args.trained)
    out = Path("runs") / ground.competition.name / f"{args.member.stem}-sweep"
    sweep = swept(ground, candidates, args, out)
    entry = record(ground, answered_test(ground, sweep, args.member, out), args.submissions)
    legal = kept(ground, [replace(entry, evaluations=len(candidates))], args.submissions)
    if args.json:
        print_json(asdict(sweep))
    else:
        show(sweep, args)
    return DONE if legal else FOUND


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="exit code: 0 done, 1 the submission is wrong, 2 bad input",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="the competition: train, test and sample submission")
    parser.add_argument("member", type=Path, help="a TOML of kernels/infer.py that asks such a model")
    parser.add_argument("--trained", type=Path, help="folder of kernels/train.py, whose checkpoints are scored")
    parser.add_argument("--grid", action="append", default=[], metavar="key=value,value", help="may be repeated")
    parser.add_argument("--second", type=Path, help="another file of solved questions, whose accuracy has a floor")
    parser.add_argument("--floor", type=float, help="the least accuracy there (with --second)")
    parser.add_argument("--held-out", type=float, default=0.25, help="share of train to score on (default %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="of the split (default %(default)s)")
    parser.add_argument("--submissions", type=Path, default=Path("submissions"), help="folder (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    args = parser.parse_args()
    if (args.second is None) != (args.floor is None):
        parser.error("--second and --floor go together")
    return args


def grid_of(texts: Sequence[str]) -> dict[str, list[Any]]:
    """key=value,value as a setting and its values, each as TOML writes it or plain text.

    Raises:
        BadInput: there is no "=".
    """
    from quorum.config import apply_overrides
    from quorum.errors import BadInput

    grid = {}
    for text in texts:
        setting, equals, values = text.partition("=")
        if not equals:
            raise BadInput(f"--grid {text!r} is not key=value,value")
        grid[setting] = [apply_overrides({}, [f"value={value}"], "--grid")["value"] for value in values.split(",")]
    return grid


def check_held_out(ground: "Ground", trained: Path | None) -> None:
    """Raises BadInput where the training did not hold out the questions that are scored here."""
    from quorum.data.split import read_split
    from quorum.errors import BadInput

    if trained is not None and read_split(trained / "split.parquet").fingerprint != ground.split.fingerprint:
        raise BadInput(
            f"{trained}/split.parquet is another split than the one here, so the model may have learnt what it would be"
            " scored on; give the train file, --held-out and --seed of its training"
        )


def swept(ground: "Ground", candidates: "Sequence[Candidate]", args: argparse.Namespace, out: Path) -> Sweep:
    """Every candidate asked and scored, the best picked and tested against the first."""
    import numpy as np

    from quorum.competition.sweep import nested_accuracy, pick_trial, reaches_floor, write_checkpoint_scores
    from quorum.evaluation.compare import compare_runs
    from quorum.evaluation.metrics import score_question
    from quorum.files.solution import make_solution

    trials, ballots = [], []
    for number, candidate in enumerate(candidates):
        trial, own = tried(ground, candidate, args, out / str(number))
        say(f"{candidate.name}: accuracy {trial.accuracy:.3f}, {trial.seconds:.0f} s")
        trials.append(trial)
        ballots.append(own)
        write_checkpoint_scores((args.trained or out) / "checkpoint_scores.csv", trials)
    place, solution = pick_trial(trials, args.floor), make_solution(ground.held_out)
    allowed = [own for own, trial in zip(ballots, trials, strict=True) if reaches_floor(trial, args.floor)]
    right = np.array([[score_question(own[row.id], row.answer, "accuracy") > 0 for row in solution] for own in allowed])
    cluster = dict(ground.split.frame.select("id", "cluster").iter_rows())
    expected = nested_accuracy(right, [cluster[row.id] for row in solution])
    if place == 0:
        return Sweep(trials, place, expected, None)
    runs = {candidates[place].name: ballots[place], candidates[0].name: ballots[0]}
    return Sweep(trials, place, expected, compare_runs(runs, solution).pairs[0])


def tried(
    ground: "Ground", candidate: "Candidate", args: argparse.Namespace, out: Path
) -> "tuple[Trial, dict[str, Ballot]]":
    """A candidate's answers to the held-out questions, scored; and its accuracy on the second file."""
    from quorum.competition.sweep import Trial
    from quorum.data.read import read_records, write_questions
    from quorum.data.repair import repair_table
    from quorum.data.split import strip_answers
    from quorum.evaluation.metrics import score_answers
    from quorum.files.answers import ballots_from_answers, read_answers
    from quorum.files.solution import make_solution

    files = [ground.folder / "heldout.parquet"]
    others = repair_table(read_records(args.second)).questions if args.second else []
    if others:
        files.append(out / "questions" / "second.parquet")
        write_questions(strip_answers(others), files[1])
    given = settings_of(ground, candidate, args.member, files, out) | {"sample": "", "limits.journal": ""}
    seconds = kernel("infer", args.member, given)
    ballots = ballots_from_answers(read_answers(out / "heldout.parquet"))
    score = score_answers(ballots, make_solution(ground.held_out)).overall
    second = None
    if others:
        second = score_answers(
            ballots_from_answers(read_answers(out / "second.parquet")), make_solution(others)
        ).overall.value
    return Trial(candidate, score.n, score.value, score.error, score.unread, seconds, second), ballots


def answered_test(ground: "Ground", sweep: Sweep, member: Path, out: Path) -> Run:
    """The picked candidate over the test questions; it has answered the held-out ones already."""
    import tomllib

    trial, folder = sweep.trials[sweep.place], out / str(sweep.place)
    given = settings_of(ground, trial.candidate, member, [ground.folder / "test.parquet"], folder)
    seconds = kernel("infer", member, given)
    config = tomllib.loads(member.read_text(encoding="utf-8"))
    return Run(out.name, folder, config | given, (), trial.seconds + seconds)


def settings_of(
    ground: "Ground", candidate: "Candidate", member: Path, files: Sequence[Path], out: Path
) -> dict[str, Any]:
    """What wins over the member's TOML."""
    import tomllib

    given = {"questions": [str(file) for file in files], **common(ground, out)}
    if "background" in tomllib.loads(member.read_text(encoding="utf-8")).get("retrieval", {}):
        given["retrieval.background"] = str(ground.competition.background or "")
    return {**given, **candidate.settings}


def show(sweep: Sweep, args: argparse.Namespace) -> None:
    """The trials as a Markdown table, and what picking did to the score."""
    trials, best = sweep.trials, sweep.trials[sweep.place]
    second = " second |" if args.second else ""
    print(f"| | accuracy (n = {best.n}) | unread | seconds |{second}\n|---|---|---|---|{'---|' if second else ''}")
    for trial in trials:
        name = trial.candidate.name + (" **picked**" if trial is best else "")
        error = "" if trial.error is None else f" ± {trial.error:.3f}"
        told = f" {trial.second:.3f} |" if trial.second is not None else ""
        print(f"| {name} | {trial.accuracy:.3f}{error} | {trial.unread} | {trial.seconds:.0f} |{told}")
    print(
        f"\npicked: {best.candidate.name}; {best.accuracy:.3f} is the best of {len(trials)} looks at the same"
        f" questions, so too good: expect {sweep.expected:.3f} (picked on one half, scored on the other)"
    )
    if sweep.difference is not None:
        pair, others = sweep.difference, len(trials) - 1
        print(f"{pair.first} - {pair.second}: {pair_told(pair)}")
        if others > 1:
            print(
                f"one of {others} could have beaten the first by luck: p x {others} = {min(1.0, others * pair.p):.1g}"
            )
    settings = " ".join(f"{setting}={value}" for setting, value in best.candidate.settings.items())
    print(f"python kernels/infer.py {args.member} {settings}")


if __name__ == "__main__":
    run_program(main)
