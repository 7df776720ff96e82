"""Rewrite a reply before the rules read it: circled digits, negated verdicts, and options that claim another label."""

import re
from collections.abc import Sequence
from functools import lru_cache

from quorum.ask.parse.claim import Answerable, find_announced, find_chosen
from quorum.ask.parse.clean import strip_markup
from quorum.ask.parse.label import compile_label_patterns

_BOTH_WORDS = re.compile(r"(?i)\btrue(?:\s?/\s?|\s(?:or|and)\s)false\b")
_NOT_TRUE = re.compile(r"(?i)(?:\bnot|n['’]t)\s(?:actually |really )?(true|false)\b")
_BASES = ((0x2460, 20), (0x2776, 10), (0x2780, 10), (0x278A, 10), (0x24F5, 10))  # ① ❶ ➀ ➊ ⓵, and how many of each
_NUMBERS = {chr(base + place): place + 1 for base, count in _BASES for place in range(count)}
_ONE = re.compile(f"[{''.join(_NUMBERS)}]")
_SEVERAL_CIRCLED = re.compile(
    rf"{_ONE.pattern}(?:[\s,、，/]|和|及|与|と|와|과|and|or){{0,3}}{_ONE.pattern}"
)  # ①③: parts of an option


def hide_misleading_options(text: str, labels: Sequence[str], options: Sequence[str]) -> str:
    """Return `text` with "…" in place of each option whose own text claims another label: "C. The answer is A"."""
    for pattern in _find_misleading(tuple(labels), tuple(options)):
        text = pattern.sub("…", text)
    return text


@lru_cache(maxsize=256)  # several votes on one question
def _find_misleading(labels: tuple[str, ...], options: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    answerable = Answerable(compile_label_patterns(labels), {})
    patterns = []
    for label, option in zip(labels, options, strict=False):
        if not answerable.labels.site.search(option):
            continue
        quoted = strip_markup(option).strip().rstrip(".")
        claims = [*find_announced(quoted, answerable), *find_chosen(quoted, answerable)]
        if any(claim.labels != (label,) for claim in claims):
            words = r"\s{1,3}".join(map(re.escape, quoted.split()))
            patterns.append(re.compile(rf"(?i)(?<!\w){words}(?!\w)"))
    return tuple(patterns)


def negate_verdicts(text: str) -> str:
    """Return `text` with "not true" as "false", "not false" as "true", and without "true or false"."""
    return _NOT_TRUE.sub(_negate_verdict, _BOTH_WORDS.sub("", text))


def translate_circled(text: str, labels: Sequence[str], options: Sequence[str]) -> str | None:
    """Return `text` with each circled digit as the label of that option, in brackets.

    None if the text has none, or if circled digits may number statements: the text combines them, or an option has one.
    """
    found = {_NUMBERS[one] for one in _ONE.findall(text)}
    if not found or not labels or max(found) > len(labels) or _SEVERAL_CIRCLED.search(text):
        return None
    if any(_ONE.search(option) for option in options):
        return None
    own = {str(number): label for number, label in enumerate(labels, 1)}
    return _ONE.sub(lambda one: f"({own[str(_NUMBERS[one[0]])]})", text)


def _negate_verdict(found: re.Match[str]) -> str:
    return "false" if found[1].casefold() == "true" else "true"
