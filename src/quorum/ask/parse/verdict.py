"""A list or a table that says of each label whether it is right."""

import re
from collections.abc import Mapping
from functools import lru_cache

_GOOD, _BAD = (
    "correct|true|right|richtig|correcto|đúng|正确|正解|정답",
    "incorrect|false|wrong|falsch|incorrecto|sai|错误|오답",
)
_GOOD_SIGN, _BAD_SIGN = re.compile("[✅✔✓☑]"), re.compile("[❌✗✘✖❎☒]")
_WORD = re.compile(  # right after the label, or at the end of the line: "A: False – …", "| B | too small | incorrect |"
    rf"(?i)[\s:|–—\-]{{0,6}}(?:(?P<good>{_GOOD})|(?P<bad>{_BAD}))\s{{0,3}}(?:$|[.!|–—\-])"
)
_LAST_WORD = re.compile(rf"(?i)[|:–—\-]\s{{0,3}}(?:(?P<good>{_GOOD})|(?P<bad>{_BAD}))[\s.!|]{{0,4}}$")
_FEWEST = 3  # of two labels, the false one may be what is asked for
_SHOWN = 300  # characters of a line that are looked at


def find_judged_labels(text: str, canonical: Mapping[str, str]) -> tuple[str, int, int] | None:
    """The only label that is called right where each of the others is called wrong, and where its line stands."""
    if len(canonical) < _FEWEST:
        return None
    lines = list(_compile_line_pattern(tuple(canonical)).finditer(text))
    verdicts = [(canonical[line["label"].casefold()], _parse_verdict(line["rest"][:_SHOWN]), line) for line in lines]
    given = [(label, line) for label, verdict, line in verdicts if verdict]
    told = [label for label, verdict, _ in verdicts if verdict is not None]
    if len(given) != 1 or sorted(told) != sorted(canonical.values()):
        return None
    (label, line) = given[0]
    return label, line.start("label"), line.end()


@lru_cache(maxsize=64)
def _compile_line_pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    """A line that begins with a label, and what it says of it."""
    one = "|".join(re.escape(label.upper()) for label in labels)
    return re.compile(
        rf"(?m)^[ \t|>•\-#]{{0,6}}(?:\d{{1,2}}\.\s)?(?i:option\s|choice\s)?\(?(?P<label>{one})(?=[^\w'’])"
        r"[ )\].:|]{0,3}(?P<rest>.*)"
    )


def _parse_verdict(rest: str) -> bool | None:
    """What a line says of its label: right, wrong, or nothing clear."""
    good, bad = (sign.search(rest) is not None for sign in (_GOOD_SIGN, _BAD_SIGN))
    if good or bad:
        return None if good and bad else good
    word = _WORD.match(rest) or _LAST_WORD.search(rest)
    return None if word is None else word["good"] is not None
