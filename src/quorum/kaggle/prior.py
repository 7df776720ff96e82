"""Write a first submission from the label prior, before any model is loaded."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from quorum.config import from_table
from quorum.data.layout import Layout
from quorum.data.repair import read_clean_questions
from quorum.errors import BadInput
from quorum.files.run_folder import RunFolder
from quorum.files.submission import read_sample, write_submission
from quorum.kaggle.mount import resolve_mounts
from quorum.question import label_prior


def write_prior(table: Mapping[str, Any], root: Path) -> None:
    """Write OUT/submission.csv with each question's likeliest letter, from a kernel's settings and mounted files.

    It only needs the first file of questions, the sample submission and, if readable, the training questions. So it is
    written before a missing model, adapter or run can stop the kernel.

    Raises:
        BadInput: the questions or the sample are not mounted or cannot be read.
    """
    layout = from_table(Layout, table.get("layout", {}), "layout")
    file = table["questions"] if isinstance(table["questions"], str) else table["questions"][0]
    labels = {
        question.id: question.labels for question in read_clean_questions(Path(resolve_mounts(file, root)), layout)
    }
    sample = read_sample(Path(resolve_mounts(table["sample"], root)))
    prior: dict[str, float] = {}
    with suppress(BadInput, OSError):  # the story reports problems with train
        prior = label_prior(
            read_clean_questions(Path(resolve_mounts(table["train"], root)), layout) if table.get("train") else []
        )
    write_submission(RunFolder(Path(resolve_mounts(table["out"], root))).submission, {}, labels, sample, prior)
