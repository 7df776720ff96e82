"""One question of the sample competition, and how much two of them are alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from string import ascii_uppercase

# Real files favour the first letters a little.
LETTER_WEIGHTS = (28, 26, 24, 22, 20, 18)
NONE, ALL = "None of the above", "All of the above"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A question with its key; `right` is a place in `choices`, `source` the title of the paragraph that tells it."""

    subject: str
    text: str
    choices: tuple[str, ...]
    right: int
    group: str = ""
    context: str = ""
    source: str = ""

    @property
    def letter(self) -> str:
        return ascii_uppercase[self.right]


def choice_count(rng: Random) -> int:
    """How many choices a row gets: four mostly, two to six at all."""
    return rng.choices((2, 3, 4, 5, 6), weights=(4, 6, 80, 6, 4))[0]


def arranged(rng: Random, right: str, wrong: Sequence[str], last: str = "") -> tuple[tuple[str, ...], int]:
    """The choices in an order where the right one's place follows `LETTER_WEIGHTS`, and that place.

    `last` (such as "None of the above") is put behind them all; it is right where `right` equals it.
    """
    others = list(wrong)
    rng.shuffle(others)
    if right == last:
        return (*others, last), len(others)
    places = range(len(others) + 1)
    place = rng.choices(places, weights=LETTER_WEIGHTS[: len(places)])[0]
    return (*others[:place], right, *others[place:], *([last] if last else [])), place


def reordered(rng: Random, item: Item) -> tuple[tuple[str, ...], int]:
    """The same choices in another order, and where the right one went."""
    order = list(range(len(item.choices)))
    while order == sorted(order):
        rng.shuffle(order)
    return tuple(item.choices[index] for index in order), order.index(item.right)


def grams(item: Item) -> frozenset[str]:
    """The runs of five characters in a question and its choices."""
    text = "\n".join((item.text, *item.choices)).casefold()
    return frozenset(text[start : start + 5] for start in range(len(text) - 4))


def likeness(first: frozenset[str], second: frozenset[str]) -> float:
    """The Jaccard index of two sets of grams: 1 for the same, 0 for nothing in common."""
    return len(first & second) / len(first | second)


class Distinct:
    """Takes questions in, and refuses one that is too much like one it has."""

    def __init__(self, limit: float = 0.55) -> None:
        self.limit = limit
        self.items: list[Item] = []
        self._grams: list[frozenset[str]] = []

    def add(self, item: Item) -> bool:
        """Whether `item` was taken."""
        new = grams(item)
        if any(likeness(new, old) >= self.limit for old in self._grams):
            return False
        self.items.append(item)
        self._grams.append(new)
        return True
