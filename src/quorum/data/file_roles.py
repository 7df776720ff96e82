"""Which file of a competition's folder is the train file, the test file, the sample submission and the solution."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quorum.data.layout import Layout
from quorum.data.read import read_records
from quorum.errors import BadInput

# Parts of file names, in order of preference; names are hints, and what they leave open the contents decide.
_SAMPLE = ("sample", "example", "template", "format", "dummy")
_SUBMISSION = ("submission", "submit")
_SOLUTION = ("solution", "answer", "groundtruth", "ground_truth", "ground-truth", "gold", "labels", "key")
_TRAIN = ("train", "trn", "labelled", "labeled", "训练", "訓練", "학습", "обуч", "entren", "entraîn", "entrain", "lern")
_UNLABELLED = re.compile("un[-_]?label+ed")
_TEST = ("test", "tst", "测试", "測試", "평가", "тест", "prüf", "prueb")
_TEST_TOO = ("eval", "unlabelled", "unlabeled", "blind", "holdout", "hidden", "public", "private", "question")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRoles:
    """The files of a competition; None: there is no such file."""

    train: Path | None = None
    test: Path | None = None
    sample: Path | None = None
    solution: Path | None = None


def find_roles(tables: Sequence[Path], known: FileRoles, layout: Layout, folder: Path, settings: str) -> FileRoles:
    """Return the roles of the files, those of `known` among them.

    A file called submission beside one called sample_submission has no role: it is an earlier submission. Files whose
    names do not tell are read: the one with answers is train, the one without is test.

    Args:
        settings: the name of the file of settings, for messages.

    Raises:
        BadInput: two files could have the same role.
    """
    sample = known.sample or _find_sample(tables, folder, settings)
    free = [path for path in tables if path not in (known.train, known.test, known.solution, sample)]
    free = [path for path in free if not _has_word(path, _SUBMISSION)]
    solutions = [path for path in free if _has_word(path, _SOLUTION) and not _has_word(path, _TRAIN)]
    solution = known.solution or _one(solutions, "solution", folder, settings)
    free = [path for path in free if path not in solutions]
    train = known.train or _one([path for path in free if _has_word(path, _TRAIN)], "train", folder, settings)
    rest = [path for path in free if path != train and not _has_word(path, _TRAIN)]
    test = known.test
    for words in (_TEST, _TEST_TOO):
        test = test or _one([path for path in rest if _has_word(path, words)], "test", folder, settings)
    if train is None or test is None:
        rest = [path for path in rest if path != test]
        train = train or _one(_select(rest, layout, labelled=True), "train", folder, settings)
        test = test or _one(_select(rest, layout, labelled=False), "test", folder, settings)
    return FileRoles(train=train, test=test, sample=sample, solution=solution)


def _find_sample(tables: Sequence[Path], folder: Path, settings: str) -> Path | None:
    submissions = [path for path in tables if _has_word(path, _SUBMISSION)]
    samples = [path for path in submissions if _has_word(path, _SAMPLE)]
    samples = samples or submissions
    samples = samples or [
        path for path in tables if _has_word(path, ("sample",)) and not _has_word(path, _TRAIN + _TEST)
    ]
    return _one(samples, "sample", folder, settings)


def _select(paths: Sequence[Path], layout: Layout, labelled: bool) -> list[Path]:
    """Return the files of questions that have answers, or that have none; files that hold no questions are left out."""
    found = []
    for path in paths:
        try:
            table = read_records(path, layout)
        except BadInput:
            continue
        if table.labelled is labelled:
            found.append(path)
    return found


def _has_word(path: Path, words: Sequence[str]) -> bool:
    stem = path.name.split(".")[0].casefold()
    if words is _TRAIN:
        stem = _UNLABELLED.sub("", stem)
    return any(word in stem for word in words)


def _one(found: Sequence[Path], part: str, folder: Path, settings: str) -> Path | None:
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise BadInput(
            f"{folder}: {names} could each be the {part} file; name it in {settings}, as in {part} = {found[0].name!r}"
        )
    return found[0] if found else None
