"""Ask a question in several orders of its options and map the answers back to the original order."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import factorial

from quorum.ask.settings import ShuffleSettings
from quorum.ballot import Ballot
from quorum.data.choice_text import cites_letters, is_all_or_none
from quorum.errors import BadInput
from quorum.question import Question

# "all of the above" and "A and C" in languages other than English
_OF_ALL = re.compile(
    r"(?i)tất cả|(?:cả|không) .{0,20}(?:trên|đúng|sai)|以上|上記|위의? (?:모두|모든|보기)|모두 (?:맞|옳|정답)"
    r"|해당 ?없음|정답 ?없음|(?:alle|keine)\b.{0,20}(?:oben|genannt|antworten)"
    r"|(?:toutes|aucune)\b.{0,20}(?:réponses|dessus|précédent)|(?:todas|ninguna)\b.{0,20}(?:anteriores|respuestas)"
)
_LETTERS_JOINED = re.compile(
    r"(?:(?i:cả|chỉ|beide|sowohl|nur) )?[A-Z](?:\s?(?:,|und|et|y|và|hoặc|和|与|或|と|와|과|및)\s?[A-Z])+\W?"
)
_BARE_ALL = re.compile(
    r"(?i)\W{0,3}(?:all|none|both|neither)\W{0,3}"
)  # last choices only; elsewhere None may be Python's


@dataclass(frozen=True, slots=True)
class ShuffledQuestion:
    """A question and the orders of its options: `orders[i][j]` is the index of the choice shown at position j."""

    question: Question
    orders: tuple[tuple[int, ...], ...]

    def list_variants(self) -> list[Question]:
        """Return the question once per order; the answer's letter moves with its choice."""
        return [self._reorder(order) for order in self.orders]

    def undo(self, ballots: Sequence[Ballot]) -> list[Ballot]:
        """Map ballots over the shown letters, one per order, to ballots over the question's own letters."""
        labels = self.question.labels
        if not labels:
            return [dict(ballot) for ballot in ballots]
        return [
            {labels[order[labels.index(label)]]: weight for label, weight in ballot.items()}
            for order, ballot in zip(self.orders, ballots, strict=True)
        ]

    def _reorder(self, order: Sequence[int]) -> Question:
        question = self.question
        answer = question.answer
        if answer is not None and question.choices:
            answer = question.labels[order.index(question.labels.index(answer))]
        return replace(question, choices=tuple(question.choices[index] for index in order), answer=answer)


def shuffle_options(question: Question, settings: ShuffleSettings) -> ShuffledQuestion:
    """Return the question with the orders that `settings` request; the first is the given order."""
    match settings.orders:
        case "none":
            return ShuffledQuestion(question, (tuple(range(len(question.choices))),))
        case "cyclic":
            return make_cyclic_orders(question)
        case "random":
            return make_random_orders(question, settings.count, settings.seed)


def make_cyclic_orders(question: Question) -> ShuffledQuestion:
    """Return all rotations of the options: each movable option is in each movable position once."""
    movable = count_movable(question)
    rotations = ([(index + step) % movable for index in range(movable)] for step in range(max(1, movable)))
    return ShuffledQuestion(question, tuple(_complete_order(question, rotation) for rotation in rotations))


def make_random_orders(question: Question, count: int, seed: int = 42) -> ShuffledQuestion:
    """Return the given order and random other ones: `count` different orders, or all if there are fewer.

    Raises:
        BadInput: `count` is below 1.
    """
    if count < 1:
        raise BadInput(f"shuffle: count is {count}; allowed is 1 or more")
    movable = count_movable(question)
    rng = random.Random(f"{seed}/{question.id}")
    orders = {tuple(range(movable)): None}
    while len(orders) < min(count, factorial(movable)):
        orders[tuple(rng.sample(range(movable), movable))] = None
    return ShuffledQuestion(question, tuple(_complete_order(question, order) for order in orders))


def count_movable(question: Question) -> int:
    """Count the options, from the first on, that may move: all except "all of the above" and the like at the end.

    0 if an option cites letters ("A and C"), or if "none of the above" is not last.
    """
    count = len(question.choices)
    if any(cites_letters(choice, question.labels) or _LETTERS_JOINED.fullmatch(choice) for choice in question.choices):
        return 0
    while count and (_refers_to_others(last := question.choices[count - 1]) or _BARE_ALL.fullmatch(last)):
        count -= 1
    return 0 if any(map(_refers_to_others, question.choices[:count])) else count


def _refers_to_others(choice: str) -> bool:
    return is_all_or_none(choice) or (len(choice) <= 80 and _OF_ALL.search(choice) is not None)


def _complete_order(question: Question, order: Sequence[int]) -> tuple[int, ...]:
    """Extend an order of the movable options by the fixed options in their given order."""
    return (*order, *range(len(order), len(question.choices)))
