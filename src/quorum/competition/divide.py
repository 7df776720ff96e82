"""Divide a competition's labelled questions into those to learn from and those to score; write what members read."""

from collections.abc import Callable, Sequence

from quorum.data.folds import split_into_folds
from quorum.data.read import write_questions
from quorum.data.split import Split, split_questions, strip_answers, write_split
from quorum.data.split_files import write_split_folder
from quorum.data.split_folder import SplitFolder
from quorum.question import Question


def divide_in_two(
    questions: Sequence[Question], *, share: float, seed: int, folder: SplitFolder, report: Callable[[str], None]
) -> Split:
    """Hold out a share of the questions; members learn from the others."""
    split = split_questions(questions, share, seed=seed)
    held = len(split.scored)
    report(f"split: {len(questions) - held} train, {held} held out (seed {seed}); near-duplicates kept on one side")
    write_split_folder(split, questions, folder)
    return split


def divide_into_folds(
    questions: Sequence[Question], *, folds: int, seed: int, folder: SplitFolder, report: Callable[[str], None]
) -> Split:
    """Hold out every question once, in one of the folds, and write all without answers.

    What members of a fold may learn from is in the folder of the fold (see competition/folds.py).
    """
    split = split_into_folds(questions, folds, seed)
    report(
        f"split: {len(questions)} labelled, each held out once in {folds} folds (seed {seed}); near-duplicates kept in"
        " one fold"
    )
    write_split(split, folder.split)
    write_questions(strip_answers(questions), folder.held_out)
    folder.train.unlink(missing_ok=True)
    return split
