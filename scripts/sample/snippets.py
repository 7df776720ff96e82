"""Make Python snippets and compute their output step by step."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sample.item import Distinct, Item, arrange_choices, draw_choice_count

_LISTS = (
    "scores",
    "rows",
    "prices",
    "steps",
    "depths",
    "marks",
    "sizes",
    "weights",
    "ages",
    "queue",
    "levels",
    "lengths",
)
_TEXTS = ("word", "label", "title", "line", "code", "tag", "key", "entry")
_WORDS = (
    "lantern",
    "pebble",
    "harvest",
    "meadow",
    "saddle",
    "thunder",
    "bottle",
    "ribbon",
    "copper",
    "walnut",
    "glacier",
    "feather",
)
_WORDINGS = (
    "What does this print?",
    "What is the output of the following code?",
    "Which value is printed by this snippet?",
    "After this runs, what stands on the screen?",
    "Read the code. What will it print?",
)


@dataclass(frozen=True, slots=True)
class Step:
    """Lines of code, with {x} for the variable, and a function that returns its value after them."""

    lines: str
    after: Callable[[list[int], int], list[int]]


_LIST_STEPS = (
    Step("{x}.append({n})", lambda x, n: [*x, n]),
    Step("{x} = {x}[1:]", lambda x, n: x[1:]),
    Step("{x}.reverse()", lambda x, n: x[::-1]),
    Step("{x}.sort()", lambda x, n: sorted(x)),
    Step("{x} = [i * {n} for i in {x}]", lambda x, n: [i * n for i in x]),
    Step("for i in range(len({x})):\n    {x}[i] += {n}", lambda x, n: [i + n for i in x]),
    Step("{x} = [i for i in {x} if i != {n}]", lambda x, n: [i for i in x if i != n]),
    Step("if len({x}) > {n}:\n    {x}.pop()", lambda x, n: x[:-1] if len(x) > n else x),
    Step("{x}.insert(0, {n})", lambda x, n: [n, *x]),
    Step("{x} += {x}[:2]", lambda x, n: x + x[:2]),
    Step("{x}[-1] = {n}", lambda x, n: [*x[:-1], n]),
    Step("{x} = list(dict.fromkeys({x}))", lambda x, n: list(dict.fromkeys(x))),
)
_LIST_ENDS: tuple[tuple[str, Callable[[list[int]], int]], ...] = (
    ("print(sum({x}))", sum),
    ("print(max({x}) - min({x}))", lambda x: max(x) - min(x)),
    ("print({x}[-1])", lambda x: x[-1]),
    ("print({x}[0] + {x}[1])", lambda x: x[0] + x[1]),
    ("print(len({x}) * {x}[0])", lambda x: len(x) * x[0]),
    ("total = 0\nfor item in {x}:\n    total = item - total\nprint(total)", lambda x: _subtract_alternately(x)),
    ("print(sum(1 for item in {x} if item % 2))", lambda x: sum(1 for item in x if item % 2)),
)
_TEXT_STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("{x} = {x}[::-1]", lambda x: x[::-1]),
    ("{x} = {x}.upper()", str.upper),
    ("{x} = {x}.capitalize()", str.capitalize),
    ("{x} = {x}[2:] + {x}[:2]", lambda x: x[2:] + x[:2]),
    ("{x} = {x}.replace('e', '3')", lambda x: x.replace("e", "3")),
    ('{x} = "-".join({x})', lambda x: "-".join(x)),
    ("{x} = {x}[:4]", lambda x: x[:4]),
    ("{x} = {x} + {x}[0]", lambda x: x + x[0]),
    ("{x} = ''.join(sorted({x}))", lambda x: "".join(sorted(x))),
    ("{x} = {x}.strip({x}[0])", lambda x: x.strip(x[0])),
)


def make_snippet_items(rng: Random, count: int) -> list[Item]:
    """Return `count` different questions: two thirds about a list of numbers, the rest about a word."""
    distinct = Distinct()
    while len(distinct.items) < count:
        distinct.add(_make_list_item(rng) if rng.random() < 0.67 else _make_text_item(rng))
    return distinct.items


def _make_list_item(rng: Random) -> Item:
    name, start = rng.choice(_LISTS), [rng.randint(1, 20) for _ in range(rng.randint(4, 6))]
    lines, value = [f"{name} = {start}"], start
    for step in rng.sample(_LIST_STEPS, k=rng.choice((2, 3))):
        number = rng.randint(2, 9)
        lines.append(step.lines.format(x=name, n=number))
        value = step.after(value, number)
    end, compute_output = rng.choice(_LIST_ENDS)
    right = compute_output(value)
    near = {right + delta for delta in (-10, -3, -2, -1, 1, 2, 4, 7)} | {compute_output(start), len(value), sum(value)}
    wrong = [str(number) for number in sorted(near - {right})]
    return _make_item(rng, [*lines, end.format(x=name)], str(right), wrong)


def _make_text_item(rng: Random) -> Item:
    name, start = rng.choice(_TEXTS), rng.choice(_WORDS)
    lines, seen = [f"{name} = {start!r}"], [start]
    for step, after in rng.sample(_TEXT_STEPS, k=rng.choice((2, 3))):
        lines.append(step.format(x=name))
        seen.append(after(seen[-1]))
    right = seen[-1]
    near = {*seen, right[::-1], right.swapcase(), right[1:], right + right[-1], right[:-1], start.upper()}
    return _make_item(rng, [*lines, f"print({name})"], right, sorted(near - {right, ""}))


def _make_item(rng: Random, lines: list[str], right: str, near: list[str]) -> Item:
    choices, index = arrange_choices(rng, right, rng.sample(near, k=draw_choice_count(rng) - 1))
    text = "\n".join((rng.choice(_WORDINGS), *lines))
    return Item(subject="code", text=text, choices=choices, right=index)


def _subtract_alternately(numbers: list[int]) -> int:
    total = 0
    for number in numbers:
        total = number - total
    return total
