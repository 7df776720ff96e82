"""Make the files of the sample competition as text; the same seed gives the same bytes."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from sample import dirt
from sample.dirt import Row, plant_dirt
from sample.everyday import make_everyday_items
from sample.facts import Fact, Paragraph, make_fact_items, make_language_groups, make_world
from sample.item import ALL, NONE, Item
from sample.numbers import make_number_items
from sample.passages import make_passage_groups
from sample.snippets import make_snippet_items

FACT_SUBJECTS = ("geography", "biology", "history", "engineering")
# Rows of train and of test, before defects are planted.
FACTS, TRANSLATED = (108, 56), (6, 3)  # per subject; TRANSLATED of these are also asked in four other languages
NUMBERS, EVERYDAY, SNIPPETS, PASSAGES = (300, 80), (130, 60), (92, 46), (50, 25)
PUBLIC_SHARE = 0.3

_DESCRIPTION = """\
# The competition as its own page would tell it; files and columns are found by their names.
name = "sample"
metric = "accuracy"
solution = "hidden/solution.csv"
"""

_README = Path(__file__).with_name("readme.md")


def make_sample_files(seed: int) -> dict[str, str]:
    """Return the text of every file of the competition, by its path."""
    rng = Random(seed)
    facts, paragraphs = make_world(rng)
    train, test = plant_dirt(rng, *_make_items(rng, facts))
    ids = [f"q{number:04}" for number in rng.sample(range(10_000), k=len(train) + len(test))]
    train, test = _add_ids(rng, train, ids[: len(train)]), _add_ids(rng, test, ids[len(train) :])
    return {
        "README.md": _format_readme(train, test, paragraphs),
        "quorum.toml": _DESCRIPTION,
        "train.csv": _format_questions(train, answers=True),
        "test.csv": _format_questions(test, answers=False),
        "sample_submission.csv": _format_csv(
            ("id", "answer"), [(row.id, "A") for row in rng.sample(test, k=len(test))]
        ),
        "hidden/solution.csv": _format_solution(rng, test),
        **_format_background(paragraphs),
    }


def _make_items(rng: Random, facts: Sequence[Fact]) -> tuple[list[Item], list[Item]]:
    """Return the questions of train and of test; questions of a group are adjacent."""
    sides: tuple[list[list[Item]], list[list[Item]]] = ([], [])
    for subject in FACT_SUBJECTS:
        items = make_fact_items(rng, facts, subject, sum(FACTS))
        for side, part, count in zip(sides, _split_items(items, FACTS), TRANSLATED, strict=True):
            groups = make_language_groups(rng, facts, part)[:count]
            translated = {group[0] for group in groups}
            side += [*groups, *([item] for item in part if item not in translated)]
    for make_items, counts in (
        (make_number_items, NUMBERS),
        (make_everyday_items, EVERYDAY),
        (make_snippet_items, SNIPPETS),
    ):
        for side, part in zip(sides, _split_items(make_items(rng, sum(counts)), counts), strict=True):
            side += [[item] for item in part]
    for side, part in zip(sides, _split_items(make_passage_groups(rng, sum(PASSAGES)), PASSAGES), strict=True):
        side += part
    names = iter(rng.sample(range(1000), k=sum(len(group) > 1 for side in sides for group in side)))
    train, test = ([item for group in side for item in _name_group(group, names)] for side in sides)
    return train, test


def _split_items(items: Sequence[Any], counts: tuple[int, int]) -> tuple[Sequence[Any], Sequence[Any]]:
    if len(items) != sum(counts):
        raise AssertionError(f"{len(items)} questions were made, {sum(counts)} are needed")
    return items[: counts[0]], items[counts[0] :]


def _name_group(group: list[Item], names: Iterator[int]) -> list[Item]:
    """Return the items with a name of their group; a single item gets none."""
    if len(group) == 1:
        return group
    name = f"g{next(names):03}"
    return [replace(item, group=name) for item in group]


def _add_ids(rng: Random, rows: Sequence[Row], ids: Sequence[str]) -> list[Row]:
    """Return the rows in another order, each with its id."""
    return [replace(row, id=id) for row, id in zip(rng.sample(rows, k=len(rows)), ids, strict=True)]


def _format_questions(rows: Sequence[Row], answers: bool) -> str:
    columns = ("id", "question", "choices", *(("answer",) if answers else ()), "subject", "group", "context")
    return _format_csv(
        columns,
        [
            (
                row.id,
                row.text,
                repr(list(row.choices)),
                *((row.answer,) if answers else ()),
                row.item.subject,
                row.item.group,
                row.item.context,
            )
            for row in rows
        ],
    )


def _format_solution(rng: Random, rows: Sequence[Row]) -> str:
    public = {row.id for row in rng.sample(rows, k=round(PUBLIC_SHARE * len(rows)))}
    return _format_csv(
        ("id", "answer", "Usage"), [(row.id, row.answer, "Public" if row.id in public else "Private") for row in rows]
    )


def _format_csv(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a CSV file with LF line ends; line ends in cells are kept."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _format_background(paragraphs: Sequence[Paragraph]) -> dict[str, str]:
    """Return one file for each subject, in different formats: JSON lines, Markdown, plain text."""
    by_subject = {subject: [p for p in paragraphs if p.subject == subject] for subject in FACT_SUBJECTS}
    geography, biology, history, engineering = by_subject.values()
    return {
        "background/geography.jsonl": _format_json_lines(geography),
        "background/biology.jsonl": _format_json_lines(biology),
        "background/history.md": "\n".join(f"## {p.title}\n\n{p.text}\n" for p in history),
        "background/engineering.txt": "\n".join(f"{p.text}\n" for p in engineering),
    }


def _format_json_lines(paragraphs: Iterable[Paragraph]) -> str:
    return "".join(json.dumps({"title": p.title, "text": p.text}, ensure_ascii=False) + "\n" for p in paragraphs)


def _format_readme(train: Sequence[Row], test: Sequence[Row], paragraphs: Sequence[Paragraph]) -> str:
    subjects = sorted({row.item.subject for row in train})
    counts = "\n".join(
        f"| {subject} | {sum(row.item.subject == subject for row in train)} "
        f"| {sum(row.item.subject == subject for row in test)} |"
        for subject in subjects
    )
    return _README.read_text(encoding="utf-8").format(
        train=len(train),
        test=len(test),
        paragraphs=len(paragraphs),
        counts=counts,
        dirt=dirt,
        duplicates=dirt.EXACT_DUPLICATES
        + dirt.REORDERED_DUPLICATES
        + dirt.NEAR_DUPLICATES
        + dirt.CONFLICTING_DUPLICATES,
        leaks=dirt.EXACT_LEAKS + dirt.REORDERED_LEAKS,
        above=[sum(row.choices[-1:] in ((NONE,), (ALL,)) for row in side) for side in (train, test)],
        citing=[sum(row.choices[-1:] == ("A and B",) for row in side) for side in (train, test)],
    )
