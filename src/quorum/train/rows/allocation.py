"""A budget shared out among subjects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quorum.errors import BadInput


@dataclass(frozen=True, slots=True)
class Quota:
    """How many questions of a subject are drawn because it is weak, and how many so that it is not forgotten."""

    weakness: int
    spread: int


def share_out(
    budget: int, size: Mapping[str, int], weak: Mapping[str, int], weak_share: float, least: int
) -> dict[str, Quota]:
    """The quota of each subject; they sum to `budget`, or to all there is where that is less.

    `size` is what each subject has, `weak` the wrong answers of each weak one: in that proportion these share
    `weak_share` of the budget. The rest goes evenly to all, and so does what the weak can not take. A subject gets at
    least `least`, or all it has, before the weak get anything.

    Raises:
        BadInput: the budget is too small for the least of every subject.
    """
    budget = min(budget, sum(size.values()))
    floor = sum(min(least, count) for count in size.values())
    if floor > budget:
        raise BadInput(
            f"sampling: a budget of {budget} is too small for {least} of each of {len(size)} subjects; "
            f"raise it to {floor}, or lower `least`"
        )
    even = dict.fromkeys(size, 1)
    spread = max(floor, budget - round(weak_share * budget)) if weak else budget
    base = apportion(spread, even, size)
    room = {subject: size[subject] - base[subject] for subject in size}
    extra = dict.fromkeys(size, 0) | apportion(budget - spread, weak, room)
    room = {subject: room[subject] - extra[subject] for subject in size}
    more = apportion(budget - spread - sum(extra.values()), even, room)
    return {subject: Quota(extra[subject], base[subject] + more[subject]) for subject in size}


def apportion(total: int, weights: Mapping[str, int], most: Mapping[str, int]) -> dict[str, int]:
    """`total` in proportion to the weights, by largest remainders (a tie goes to the first), none above its most.

    What one can not take goes to the others; where none can, less than `total` is given.
    """
    given = dict.fromkeys(weights, 0)
    names = [name for name, weight in weights.items() if weight > 0]
    while full := [name for name in names if total * weights[name] >= most[name] * _sum_over(weights, names)]:
        given |= {name: most[name] for name in full}
        total -= _sum_over(most, full)
        names = [name for name in names if name not in full]
    weight = _sum_over(weights, names)
    given |= {name: total * weights[name] // weight for name in names}
    by_remainder = sorted(names, key=lambda name: -(total * weights[name] % weight))
    for name in by_remainder[: total - _sum_over(given, names)]:
        given[name] += 1
    return given


def _sum_over(numbers: Mapping[str, int], names: Sequence[str]) -> int:
    return sum(numbers[name] for name in names)
