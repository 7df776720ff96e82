"""Plant the defects of real files in known numbers, so that the counts of `quorum doctor` can be checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from sample.item import Item, reorder_choices

# Numbers of rows of train, unless another file is named; no row has two kinds of defects.
PREFIXED_ANSWERS = 36
MISSING_ANSWERS = 4
OUT_OF_RANGE_ANSWERS = 1
EXACT_DUPLICATES, REORDERED_DUPLICATES, NEAR_DUPLICATES, CONFLICTING_DUPLICATES = 8, 8, 6, 2
EXACT_LEAKS, REORDERED_LEAKS = 10, 10  # rows of test that are in train
EQUAL_CHOICES = {"train": 6, "test": 3}
CRLF_CELLS = {"train": 4, "test": 2}
NO_CHOICES_IN_TEST = 2
OUT_OF_RANGE = "G"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the file: an item, with the cells as they are written."""

    item: Item
    answer: str
    choices: tuple[str, ...]
    text: str
    id: str = ""


def make_row(item: Item) -> Row:
    """Return the row of an item without defects."""
    return Row(item=item, answer=item.letter, choices=item.choices, text=item.text)


def plant_dirt(rng: Random, train: Sequence[Item], test: Sequence[Item]) -> tuple[list[Row], list[Row]]:
    """Return the rows of train and test with all defects, in order, copies last. Test rows keep their answers."""
    rows = {"train": [make_row(item) for item in train], "test": [make_row(item) for item in test]}
    left = {name: rng.sample(range(len(side)), k=len(side)) for name, side in rows.items()}

    def draw(name: str, count: int, fits: Callable[[Item], bool]) -> list[int]:
        """Return the indices of `count` rows without defects whose items fit."""
        indices = [index for index in left[name] if fits(rows[name][index].item)][:count]
        if len(indices) < count:
            raise AssertionError(f"{len(indices)} rows of {name} fit, {count} are needed")
        left[name] = [index for index in left[name] if index not in indices]
        return indices

    def change(name: str, count: int, fits: Callable[[Item], bool], change_row: Callable[[Row], Row]) -> None:
        for index in draw(name, count, fits):
            rows[name][index] = change_row(rows[name][index])

    def copy(name: str, count: int, fits: Callable[[Item], bool], copy_item: Callable[[Item], Row]) -> None:
        rows["train"] += [copy_item(rows[name][index].item) for index in draw(name, count, fits)]

    copy("test", EXACT_LEAKS, _is_reorderable, make_row)
    copy("test", REORDERED_LEAKS, _is_reorderable, lambda item: make_row(_reorder_item(rng, item)))
    copy("train", EXACT_DUPLICATES, _is_reorderable, make_row)
    copy("train", REORDERED_DUPLICATES, _is_reorderable, lambda item: make_row(_reorder_item(rng, item)))
    copy("train", NEAR_DUPLICATES, _is_single_fact, lambda item: make_row(replace(item, text=f"Question: {item.text}")))
    copy("train", CONFLICTING_DUPLICATES, _is_single_fact, _make_conflict)
    for name in rows:
        change(name, CRLF_CELLS[name], lambda item: item.subject == "code", _add_crlf)
        change(name, EQUAL_CHOICES[name], _has_four_choices, lambda row: replace(row, choices=_repeat_choice(row.item)))
    change("test", NO_CHOICES_IN_TEST, _is_single_fact, lambda row: replace(row, choices=()))
    change("train", MISSING_ANSWERS, _is_any, lambda row: replace(row, answer=""))
    change("train", OUT_OF_RANGE_ANSWERS, _is_any, lambda row: replace(row, answer=OUT_OF_RANGE))
    change("train", PREFIXED_ANSWERS, _is_any, lambda row: replace(row, answer=f"ANSWER: {row.answer}"))
    return rows["train"], rows["test"]


def _is_any(item: Item) -> bool:
    return True


def _is_single_fact(item: Item) -> bool:
    """Return whether the item is an English question about a fact that no other question asks about."""
    return bool(item.source) and not item.group and _is_reorderable(item)


def _is_reorderable(item: Item) -> bool:
    """Return whether the choices can be reordered: no choice refers to others, and the item is not in a group."""
    return not item.group and item.subject != "numbers" and len(item.choices) > 2 and not _cites(item.choices[-1])


def _has_four_choices(item: Item) -> bool:
    return _is_reorderable(item) and len(item.choices) > 3


def _cites(choice: str) -> bool:
    return choice.endswith("of the above") or choice == "A and B"


def _reorder_item(rng: Random, item: Item) -> Item:
    choices, right = reorder_choices(rng, item)
    return replace(item, choices=choices, right=right)


def _make_conflict(item: Item) -> Row:
    return make_row(replace(item, right=(item.right + 1) % len(item.choices)))


def _add_crlf(row: Row) -> Row:
    return replace(row, text=row.text.replace("\n", "\r\n"))


def _repeat_choice(item: Item) -> tuple[str, ...]:
    """Return the choices with the last wrong one in place of the first wrong one too."""
    wrong = [index for index in range(len(item.choices)) if index != item.right]
    choices = list(item.choices)
    choices[wrong[0]] = choices[wrong[-1]]
    return tuple(choices)
