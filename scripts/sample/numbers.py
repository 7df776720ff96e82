"""Make questions for the largest of four numbers, which a tiny untrained model can learn."""

from random import Random

from sample.item import Distinct, Item, arrange_choices

_WORDINGS = (
    "Which of these numbers is the largest?",
    "Which number is the largest?",
    "Which is the largest number?",
    "Which of these is the largest?",
)


def make_number_items(rng: Random, count: int) -> list[Item]:
    """Return `count` questions, each with four different numbers of one to three digits."""
    distinct = Distinct(0.6)
    while len(distinct.items) < count:
        numbers = (
            rng.sample(range(10 ** rng.choice((1, 2, 3, 3))), 4) if rng.random() < 0.5 else rng.sample(range(1000), 4)
        )
        largest = max(numbers)
        wrong = [str(number) for number in numbers if number != largest]
        choices, right = arrange_choices(rng, str(largest), wrong)
        distinct.add(Item(subject="numbers", text=rng.choice(_WORDINGS), choices=choices, right=right))
    return distinct.items
