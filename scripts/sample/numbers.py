"""Which of four numbers is the largest: a subject that a tiny model can learn from nothing."""

from random import Random

from sample.item import Distinct, Item, arranged

_ASKED = (
    "Which of these numbers is the largest?",
    "Which number is the largest?",
    "Which is the largest number?",
    "Which of these is the largest?",
)


def number_items(rng: Random, count: int) -> list[Item]:
    """`count` questions over four different numbers of one to three digits each."""
    distinct = Distinct(0.6)
    while len(distinct.items) < count:
        numbers = (
            rng.sample(range(10 ** rng.choice((1, 2, 3, 3))), 4) if rng.random() < 0.5 else rng.sample(range(1000), 4)
        )
        largest = max(numbers)
        wrong = [str(number) for number in numbers if number != largest]
        choices, right = arranged(rng, str(largest), wrong)
        distinct.add(Item(subject="numbers", text=rng.choice(_ASKED), choices=choices, right=right))
    return distinct.items
