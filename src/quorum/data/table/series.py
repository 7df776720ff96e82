"""Find columns whose names differ in one label only: option_a, option_b; ending0, ending1; 보기1, 보기2."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_lowercase

from quorum.data.table.alphabet import ALPHABETS, find_alphabet
from quorum.data.table.names import plain_name

_LABELS = sorted({label for alphabet in ALPHABETS for label in alphabet}, key=len, reverse=True)
_LABEL = re.compile("|".join(map(re.escape, [r for r in _LABELS if not r.isdigit()])))
_ROLES = frozenset({"q", "y"})  # names of one letter for the question and the answer
_DIGITS = re.compile(r"\d{1,2}")
_LONGEST_SERIES_NAME = 200  # characters of a column of a series


@dataclass(frozen=True, slots=True)
class Series:
    """Columns in label order, their labels, and what their names have in common ("option" or "")."""

    columns: tuple[str, ...]
    labels: tuple[str, ...]
    before: str
    after: str

    @property
    def stem(self) -> str:
        """The names without their labels."""
        return self.before + self.after


def find_series(columns: Sequence[str]) -> list[Series]:
    """Return the series of at least two columns that begin with the first label of an alphabet and have no gap."""
    return list(_group_series(tuple(columns)))


@lru_cache(maxsize=64)
def _group_series(columns: tuple[str, ...]) -> tuple[Series, ...]:
    groups: dict[tuple[str, str, bool], dict[str, str]] = {}
    for column in columns:
        plain = plain_name(column)
        if len(plain) > _LONGEST_SERIES_NAME:
            continue
        for pattern, digits in ((_DIGITS, True), (_LABEL, False)):
            for start in range(len(plain)):
                match = pattern.match(plain, start)
                if match is None or digits and (plain[start - 1 : start].isdigit()):
                    continue
                for label in {match[0], plain[start]}:
                    key = (plain[:start], plain[start + len(label) :], digits)
                    if not (digits and key[1][:1].isdigit()):
                        groups.setdefault(key, {}).setdefault(label, column)
    found = []
    for (before, after, _), members in groups.items():
        series = _order(before, after, {_strip_zero(label): column for label, column in members.items()})
        if series is not None:
            found.append(series)
    largest = sorted(found, key=lambda series: -len(series.columns))
    kept: list[Series] = []
    for series in largest:  # "answer_a_1", "answer_a_2" … are also in the series of their other label
        if not any(set(series.columns) <= set(other.columns) for other in kept):
            kept.append(series)
    return tuple(series for series in found if series in kept)


def _strip_zero(label: str) -> str:
    return str(int(label)) if label.isdecimal() else label


def _without_other_roles(members: dict[str, str]) -> dict[str, str]:
    """Return columns called a, b, c … without those called q or y, which hold the question or the answer."""
    count = next((place for place, label in enumerate(ascii_lowercase) if label not in members), 26)
    last = {label for label in members if label not in ascii_lowercase[:count]}
    return {label: column for label, column in members.items() if label not in last} if last <= _ROLES else members


def _order(before: str, after: str, members: dict[str, str]) -> Series | None:
    if not before + after:
        members = _without_other_roles(members)
    labels = tuple(members)
    alphabet = find_alphabet(labels) if len(labels) > 1 else None
    if alphabet is None:
        return None
    ordered = sorted(labels, key=alphabet.index)
    return Series(tuple(members[label] for label in ordered), tuple(ordered), before, after)
