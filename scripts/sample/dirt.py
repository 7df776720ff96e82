"""What real files have and nobody wants: planted in known numbers, so that a doctor's counts can be checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from sample.item import Item, reordered

# How many rows of train, unless said otherwise; no row carries two kinds of dirt.
PREFIXED_ANSWERS = 36
MISSING_ANSWERS = 4
OUT_OF_RANGE_ANSWERS = 1
EXACT_DUPLICATES, REORDERED_DUPLICATES, NEAR_DUPLICATES, CONFLICTING_DUPLICATES = 8, 8, 6, 2
EXACT_TWINS, REORDERED_TWINS = 10, 10  # rows of test that stand in train
EQUAL_CHOICES = {"train": 6, "test": 3}
CRLF_CELLS = {"train": 4, "test": 2}
NO_CHOICES_IN_TEST = 2
OUT_OF_RANGE = "G"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row as it is written: an item, its answer's cell and the line ends inside its question."""

    item: Item
    answer: str
    choices: tuple[str, ...]
    text: str
    id: str = ""


def clean(item: Item) -> Row:
    """The row of an item before any dirt."""
    return Row(item=item, answer=item.letter, choices=item.choices, text=item.text)


def dirtied(rng: Random, train: Sequence[Item], test: Sequence[Item]) -> tuple[list[Row], list[Row]]:
    """The rows of both files with all dirt planted, in the order given, copies behind. Test rows keep their answers."""
    rows = {"train": [clean(item) for item in train], "test": [clean(item) for item in test]}
    left = {name: rng.sample(range(len(side)), k=len(side)) for name, side in rows.items()}

    def drawn(name: str, count: int, fits: Callable[[Item], bool]) -> list[int]:
        """Places of `count` rows that are still clean and whose item fits."""
        places = [place for place in left[name] if fits(rows[name][place].item)][:count]
        if len(places) < count:
            raise AssertionError(f"{len(places)} rows of {name} fit, {count} are needed")
        left[name] = [place for place in left[name] if place not in places]
        return places

    def change(name: str, count: int, fits: Callable[[Item], bool], changed: Callable[[Row], Row]) -> None:
        for place in drawn(name, count, fits):
            rows[name][place] = changed(rows[name][place])

    def copy(name: str, count: int, fits: Callable[[Item], bool], copied: Callable[[Item], Row]) -> None:
        rows["train"] += [copied(rows[name][place].item) for place in drawn(name, count, fits)]

    copy("test", EXACT_TWINS, _plain, clean)
    copy("test", REORDERED_TWINS, _plain, lambda item: clean(_reordered(rng, item)))
    copy("train", EXACT_DUPLICATES, _plain, clean)
    copy("train", REORDERED_DUPLICATES, _plain, lambda item: clean(_reordered(rng, item)))
    copy("train", NEAR_DUPLICATES, _fact, lambda item: clean(replace(item, text=f"Question: {item.text}")))
    copy("train", CONFLICTING_DUPLICATES, _fact, _conflicting)
    for name in rows:
        change(name, CRLF_CELLS[name], lambda item: item.subject == "code", _with_crlf)
        change(name, EQUAL_CHOICES[name], _roomy, lambda row: replace(row, choices=_with_equal(row.item)))
    change("test", NO_CHOICES_IN_TEST, _fact, lambda row: replace(row, choices=()))
    change("train", MISSING_ANSWERS, _any, lambda row: replace(row, answer=""))
    change("train", OUT_OF_RANGE_ANSWERS, _any, lambda row: replace(row, answer=OUT_OF_RANGE))
    change("train", PREFIXED_ANSWERS, _any, lambda row: replace(row, answer=f"ANSWER: {row.answer}"))
    return rows["train"], rows["test"]


def _any(item: Item) -> bool:
    return True


def _fact(item: Item) -> bool:
    """An English question about a fact that is asked only once."""
    return bool(item.source) and not item.group and _plain(item)


def _plain(item: Item) -> bool:
    """One whose choices can change places: it stands alone, and none of them speaks of the others."""
    return not item.group and item.subject != "numbers" and len(item.choices) > 2 and not _cites(item.choices[-1])


def _roomy(item: Item) -> bool:
    return _plain(item) and len(item.choices) > 3


def _cites(choice: str) -> bool:
    return choice.endswith("of the above") or choice == "A and B"


def _reordered(rng: Random, item: Item) -> Item:
    choices, right = reordered(rng, item)
    return replace(item, choices=choices, right=right)


def _conflicting(item: Item) -> Row:
    return clean(replace(item, right=(item.right + 1) % len(item.choices)))


def _with_crlf(row: Row) -> Row:
    return replace(row, text=row.text.replace("\n", "\r\n"))


def _with_equal(item: Item) -> tuple[str, ...]:
    """The choices with the last wrong one said twice."""
    wrong = [place for place in range(len(item.choices)) if place != item.right]
    choices = list(item.choices)
    choices[wrong[0]] = choices[wrong[-1]]
    return tuple(choices)
