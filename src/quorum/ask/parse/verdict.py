"""Read a list or a table that judges every label right or wrong."""

import re
from collections.abc import Mapping
from functools import lru_cache

_GOOD, _BAD = (
    "correct|true|right|richtig|correcto|đúng|正确|正解|정답",
    "incorrect|false|wrong|falsch|incorrecto|sai|错误|오답",
)
_GOOD_MARK, _BAD_MARK = re.compile("[✅✔✓☑]"), re.compile("[❌✗✘✖❎☒]")
_WORD = re.compile(  # right after the label, or at the end of the line: "A: False – …", "| B | too small | incorrect |"
    rf"(?i)[\s:|–—\-]{{0,6}}(?:(?P<good>{_GOOD})|(?P<bad>{_BAD}))\s{{0,3}}(?:$|[.!|–—\-])"
)
_LAST_WORD = re.compile(
    rf"(?i)[|:–—\-]\s{{0,3}}(?:(?:this|that|it) is )?(?:(?P<good>{_GOOD})|(?P<bad>{_BAD}))[\s.!|]{{0,4}}$"
)
_MIN_LABELS = 3  # with two labels, the question may ask for the false one
_MAX_LINE = 300  # characters of a line to examine


def find_judged_labels(text: str, canonical: Mapping[str, str]) -> tuple[str, int, int] | None:
    """Return the only label called right if each of the others is called wrong, and its line's start and end."""
    if len(canonical) < _MIN_LABELS:
        return None
    lines = list(_compile_line_pattern(tuple(canonical)).finditer(text))
    verdicts = [(canonical[line["label"].casefold()], _parse_verdict(line["rest"][:_MAX_LINE]), line) for line in lines]
    right = [(label, line) for label, verdict, line in verdicts if verdict]
    judged = [label for label, verdict, _ in verdicts if verdict is not None]
    if len(right) != 1 or sorted(judged) != sorted(canonical.values()):
        return None
    (label, line) = right[0]
    return label, line.start("label"), line.end()


@lru_cache(maxsize=64)
def _compile_line_pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of a line that begins with a label, and the rest of the line."""
    one = "|".join(re.escape(label.upper()) for label in labels)
    return re.compile(
        rf"(?m)^[ \t|>•\-#]{{0,6}}(?:\d{{1,2}}\.\s)?(?i:option\s|choice\s)?\(?(?P<label>{one})(?=[^\w'’])"
        r"[ )\].:|]{0,3}(?P<rest>.*)"
    )


def _parse_verdict(rest: str) -> bool | None:
    """Return whether a line calls its label right or wrong; None if that is unclear."""
    good, bad = (mark.search(rest) is not None for mark in (_GOOD_MARK, _BAD_MARK))
    if good or bad:
        return None if good and bad else good
    word = _WORD.match(rest) or _LAST_WORD.search(rest)
    return None if word is None else word["good"] is not None
