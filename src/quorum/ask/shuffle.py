"""A question asked in several orders of its options, and its answers put back in order."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import factorial

from quorum.ask.settings import ShuffleSettings
from quorum.data.table.options import cites_letters, is_all_or_none
from quorum.errors import BadInput
from quorum.question import Ballot, Question

# "all of the above" and "A and C" in other languages than English
_OF_ALL = re.compile(
    r"(?i)tất cả|(?:cả|không) .{0,20}(?:trên|đúng|sai)|以上|上記|위의? (?:모두|모든|보기)|모두 (?:맞|옳|정답)"
    r"|해당 ?없음|정답 ?없음|(?:alle|keine)\b.{0,20}(?:oben|genannt|antworten)"
    r"|(?:toutes|aucune)\b.{0,20}(?:réponses|dessus|précédent)|(?:todas|ninguna)\b.{0,20}(?:anteriores|respuestas)"
)
_LETTERS_JOINED = re.compile(
    r"(?:(?i:cả|chỉ|beide|sowohl|nur) )?[A-Z](?:\s?(?:,|und|et|y|và|hoặc|和|与|或|と|와|과|및)\s?[A-Z])+\W?"
)
_BARE_ALL = re.compile(r"(?i)\W{0,3}(?:all|none|both|neither)\W{0,3}")  # at the end; elsewhere None may be Python's


@dataclass(frozen=True, slots=True)
class ShuffledQuestion:
    """A question, and the orders in which its options are shown: `orders[i][place]` is the choice that stands there."""

    question: Question
    orders: tuple[tuple[int, ...], ...]

    def asked(self) -> list[Question]:
        """The question once for each order, its answer's letter moved with its choice."""
        return [self._in_order(order) for order in self.orders]

    def undo(self, ballots: Sequence[Ballot]) -> list[Ballot]:
        """Ballots over the letters that were shown, one for each order, as ballots over the question's own letters."""
        labels = self.question.labels
        if not labels:
            return [dict(ballot) for ballot in ballots]
        return [
            {labels[order[labels.index(label)]]: weight for label, weight in ballot.items()}
            for order, ballot in zip(self.orders, ballots, strict=True)
        ]

    def _in_order(self, order: Sequence[int]) -> Question:
        question = self.question
        answer = question.answer
        if answer is not None and question.choices:
            answer = question.labels[order.index(question.labels.index(answer))]
        return replace(question, choices=tuple(question.choices[place] for place in order), answer=answer)


def shuffle_options(question: Question, settings: ShuffleSettings) -> ShuffledQuestion:
    """The question in the orders that `settings` want; the first is the given one."""
    match settings.orders:
        case "none":
            return ShuffledQuestion(question, (tuple(range(len(question.choices))),))
        case "cyclic":
            return make_cyclic_orders(question)
        case "random":
            return make_random_orders(question, settings.count, settings.seed)


def make_cyclic_orders(question: Question) -> ShuffledQuestion:
    """Every rotation of the options: each stands in each place once (but for those that may not move)."""
    free = count_movable(question)
    ring = range(free) if free else range(1)
    return ShuffledQuestion(
        question, tuple(_complete_order(question, [(place + step) % free for place in range(free)]) for step in ring)
    )


def make_random_orders(question: Question, count: int, seed: int = 42) -> ShuffledQuestion:
    """The given order, and others drawn by chance, `count` different ones in all (fewer where there are not so many).

    Raises:
        BadInput: `count` is below 1.
    """
    if count < 1:
        raise BadInput(f"{count} orders of the options, where at least 1 is needed")
    free = count_movable(question)
    chance = random.Random(f"{seed}/{question.id}")
    orders = {tuple(range(free)): None}
    while len(orders) < min(count, factorial(free)):
        orders[tuple(chance.sample(range(free), free))] = None
    return ShuffledQuestion(question, tuple(_complete_order(question, order) for order in orders))


def count_movable(question: Question) -> int:
    """How many options, from the first on, may change places: all but "all of the above" and its like at the end.

    None may where an option cites letters ("A and C"), or where "none of the above" has options below it.
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
    """An order of the first options, and the rest as they stand."""
    return (*order, *range(len(order), len(question.choices)))
