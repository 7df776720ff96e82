"""Represent one question of the sample competition, and measure the similarity of two."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from string import ascii_uppercase

# In real files the first letters are a little more frequent.
LETTER_WEIGHTS = (28, 26, 24, 22, 20, 18)
NONE, ALL = "None of the above", "All of the above"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A question; `right` is the index of the right choice, `source` the title of the paragraph with the answer."""

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


def draw_choice_count(rng: Random) -> int:
    """Draw the number of choices of a question: two to six, mostly four."""
    return rng.choices((2, 3, 4, 5, 6), weights=(4, 6, 80, 6, 4))[0]


def arrange_choices(rng: Random, right: str, wrong: Sequence[str], last: str = "") -> tuple[tuple[str, ...], int]:
    """Return the choices in random order, and the index of the right one, which is drawn by `LETTER_WEIGHTS`.

    `last` (such as "None of the above") is the last choice; it is right if `right` equals it.
    """
    others = list(wrong)
    rng.shuffle(others)
    if right == last:
        return (*others, last), len(others)
    indices = range(len(others) + 1)
    index = rng.choices(indices, weights=LETTER_WEIGHTS[: len(indices)])[0]
    return (*others[:index], right, *others[index:], *([last] if last else [])), index


def reorder_choices(rng: Random, item: Item) -> tuple[tuple[str, ...], int]:
    """Return the same choices in another order, and the index of the right one."""
    order = list(range(len(item.choices)))
    while order == sorted(order):
        rng.shuffle(order)
    return tuple(item.choices[index] for index in order), order.index(item.right)


def list_grams(item: Item) -> frozenset[str]:
    """Return the character 5-grams of a question and its choices."""
    text = "\n".join((item.text, *item.choices)).casefold()
    return frozenset(text[start : start + 5] for start in range(len(text) - 4))


def compute_similarity(first: frozenset[str], second: frozenset[str]) -> float:
    """Return the Jaccard index of two sets of 5-grams: 1 if they are equal, 0 if they have nothing in common."""
    return len(first & second) / len(first | second)


class Distinct:
    """A collection of questions that refuses near-duplicates."""

    def __init__(self, limit: float = 0.55) -> None:
        self.limit = limit
        self.items: list[Item] = []
        self._grams: list[frozenset[str]] = []

    def add(self, item: Item) -> bool:
        """Add `item` unless it is too similar to one in the collection; return whether it was added."""
        new = list_grams(item)
        if any(compute_similarity(new, old) >= self.limit for old in self._grams):
            return False
        self.items.append(item)
        self._grams.append(new)
        return True
