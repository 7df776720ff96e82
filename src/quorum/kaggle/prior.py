"""Write a first submission from the label prior, before any model is loaded."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from quorum.config import from_table
from quorum.data.layout import Layout
from quorum.data.read import Table, read_records
from quorum.data.repair import read_clean_questions, repair_table
from quorum.errors import BadInput
from quorum.files.cells import read_sample_ids
from quorum.files.run_folder import RunFolder
from quorum.files.sample import read_sample
from quorum.files.submission import write_submission
from quorum.files.train_answers import collect_evidence
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
    like, prior = Layout(), dict[str, float]()
    train: Table | None = None
    with suppress(BadInput, OSError):  # the story reports problems with train
        if table.get("train"):
            train = read_records(Path(resolve_mounts(table["train"], root)), layout)
            like, prior = train.layout, label_prior(repair_table(train).questions)
    sample_file = Path(resolve_mounts(table["sample"], root))
    questions = read_clean_questions(Path(resolve_mounts(file, root)), layout, like, read_sample_ids(sample_file))
    labels = {question.id: question.labels for question in questions}
    choices = {question.id: question.choices for question in questions if question.choices}
    evidence = collect_evidence(train, choices)
    sample = read_sample(sample_file, table.get("form") or None, evidence)
    out = RunFolder(Path(resolve_mounts(table["out"], root))).submission
    write_submission(out, {}, labels, sample, prior, choices=choices)
