"""What a cascade is worth: cheap members answer where they are sure, the best member answers the rest.

python benchmarks/cascade.py FOLDER [FOLDER ...] [--labelled 50 100 500 2000] [--repeats 20] [--simulated] [--json]

FOLDERs are those of vote_methods.py. The best member of a pool is the expensive model. Cheap members are the next seven
(good), or six from the middle (weak); they vote by the blend, cross-fitted on the labelled questions. The confidence is
fitted on these, and the cascade is scored on at most 1,000 others. Errors as in vote_methods.py.
"""

from typing import TYPE_CHECKING, Any

from vote_methods import SCORED, keep_members, parse_arguments

from quorum.console import DONE, print_json, progress_bar, run_program

if TYPE_CHECKING:
    import numpy as np

    from quorum.judge.ensemble.labelled import LabelledBallots

PARTS = 5


def main() -> int:
    args, read = parse_arguments(__doc__)
    sets = {name: found for name, found in read.items() if len(found.members) >= 14}
    rows = []
    with progress_bar("settings") as progress:
        for labelled in args.labelled:
            usable = [one for one in sets.values() if len(one.gold) >= 1.5 * labelled]
            rows += [measure(usable, labelled, args.repeats, cheap) for cheap in ("good", "weak") if usable]
            progress(len(rows), 2 * len(args.labelled))
    if args.json:
        print_json(rows)
        return DONE
    for row in rows:
        print(
            f"| {row['labelled']} | {row['cheap']} | {row['sets']} | {row['alone']:.4f} | {row['vote']:.4f} |"
            f" {row['cascade']:.4f} | {row['gain']:+.4f} ± {row['error']:.4f} | {row['worst']:+.4f} |"
            f" {row['asked']:.0%} |"
        )
    return DONE


def measure(sets: "list[LabelledBallots]", labelled: int, repeats: int, cheap: str) -> dict[str, Any]:
    """Return the means over sets of the accuracies and of the share of expensive calls."""
    import numpy as np

    found = np.array([[measure_once(one, labelled, repeat, cheap) for repeat in range(repeats)] for one in sets])
    gain = found[:, :, 0] - found[:, :, 1]
    return {
        "labelled": labelled,
        "cheap": cheap,
        "sets": len(sets),
        **dict(zip(("cascade", "alone", "vote", "asked"), found.mean(axis=(0, 1)).tolist(), strict=True)),
        "gain": float(gain.mean()),
        "error": float(np.sqrt((gain.var(axis=1, ddof=1) / repeats).sum()) / len(sets)),
        "worst": float(gain.mean(axis=1).min()),
    }


def measure_once(ballots: "LabelledBallots", labelled: int, repeat: int, cheap: str) -> tuple[float, ...]:
    """Return the accuracy of the cascade, of the best member and of the cheap vote, and the share that is asked."""
    import numpy as np

    from quorum.judge.cascade import find_sure

    strength, middle = np.argsort(-ballots.right.sum(axis=0)), len(ballots.members) // 2
    chosen = strength[1:8] if cheap == "good" else strength[middle : middle + 6]
    order = np.random.default_rng(repeat).permutation(len(ballots.gold))[: labelled + SCORED]
    pool, best = keep_members(ballots, chosen).only(order), ballots.right[order, strength[0]]
    known, rest = pool.only(np.arange(labelled)), pool.only(np.arange(labelled, len(order)))
    confidence, right = np.zeros(labelled), np.zeros(labelled, dtype=bool)
    for part in range(PARTS):
        held = np.arange(labelled) % PARTS == part
        others, own = known.only(np.flatnonzero(~held)), known.only(np.flatnonzero(held))
        confidence[held], right[held] = vote(others, own)
    sure = find_sure(confidence, right.astype(float) - best[:labelled])
    confidence, right = vote(known, rest)
    taken, best = confidence >= sure, best[labelled:]
    return float(np.where(taken, right, best).mean()), float(best.mean()), float(right.mean()), float(1 - taken.mean())


def vote(known: "LabelledBallots", rest: "LabelledBallots") -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Return the confidence of the blend, fitted on `known`, in its answers to `rest`, and whether they are right."""
    import numpy as np

    from quorum.judge.ensemble.labelled import softmax_rows
    from quorum.judge.ensemble.weighting import BLEND

    scores = np.einsum("qmk,m->qk", rest.evidence(BLEND.pool), BLEND.fit(known))
    given = rest.read.any(axis=1)
    shares = softmax_rows(np.where(rest.probability.any(axis=1), scores, -1e9))
    return np.where(given, shares.max(axis=1), 0.0), given & (shares.argmax(axis=1) == rest.gold)


if __name__ == "__main__":
    run_program(main)
