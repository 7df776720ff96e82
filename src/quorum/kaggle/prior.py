"""The submission of a kernel that has asked nothing yet."""

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
    """Writes OUT/submission.csv with each question's likeliest letter, out of a kernel's settings and what is mounted.

    Only the questions (of several files the first), the sample and, where it can be read, train are needed: it lies
    there before a model, an adapter or another run is found missing.

    Raises:
        BadInput: the questions or the sample are not mounted, or can't be read.
    """
    layout = from_table(Layout, table.get("layout", {}), "layout")
    asked = table["questions"] if isinstance(table["questions"], str) else table["questions"][0]
    labels = {
        question.id: question.labels for question in read_clean_questions(Path(resolve_mounts(asked, root)), layout)
    }
    sample = read_sample(Path(resolve_mounts(table["sample"], root)))
    prior: dict[str, float] = {}
    with suppress(BadInput, OSError):  # what is wrong with train, the story tells
        prior = label_prior(
            read_clean_questions(Path(resolve_mounts(table["train"], root)), layout) if table.get("train") else []
        )
    write_submission(RunFolder(Path(resolve_mounts(table["out"], root))).submission, {}, labels, sample, prior)
