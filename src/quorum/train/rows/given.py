"""Rows that were written before, learnt from as they stand: what is asked is in them, and is not rendered again."""

from pathlib import Path

from quorum.data.split import HELD_OUT, Split
from quorum.errors import BadInput, list_some
from quorum.train.rows.formats import read_rows
from quorum.train.rows.row import TrainingRow


def read_given_rows(path: Path, split: Split) -> list[TrainingRow]:
    """The rows of a file in any of the formats, each of a question in the training folds, by its id.

    Raises:
        BadInput: it holds no rows, one has no id, or one is of a question that is held out or unknown to the split.
    """
    rows = read_rows(path, numbered=False)
    ids = list(dict.fromkeys(row.prompt.question_id for row in rows))
    held = [id for id in ids if split.fold_of.get(id) == HELD_OUT]
    if wrong := held or [id for id in ids if id not in split.fold_of]:
        why = "are held out" if held else f"are unknown to the split of {len(split.fold_of)} questions"
        raise BadInput(
            f"{path}: rows are learnt from where they are of the training folds, and {len(wrong)} of {len(ids)} "
            f"questions {why}: {list_some(wrong)}; name the split that they were made with, or give the questions"
        )
    return rows
