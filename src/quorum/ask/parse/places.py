"""Find where any of many words occurs in a text, much faster than one search for all of them.

A pattern of alternatives that ignores case is tried at every character. Here `str.find` looks for the literal
beginnings of the alternatives in the text in lower case, if a word of the text begins like them, and the pattern is
tried at those places only.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

MOST_PLACES = 64  # a reply that repeats itself is read at its end: of more places, the last ones count

# A letter of a script with spaces and capitals; a class that ignored case would take 1 ms to compile, each time.
LETTER = "(?-i:[A-Za-zÀ-ÖØ-ỹ])"

_HEAD = re.compile("([a-zà-ỹ]{3})[a-zà-ỹ]{0,99}")  # the beginning of a word, by which it is looked up
_LITERAL = re.compile(r"[^\\\[\](){}?*+.|^$]*")


@dataclass(frozen=True)
class Alternatives:
    """Alternatives, as parts of a pattern that ignores case; `str()` is the whole pattern.

    Attributes:
        spaced: words of scripts with spaces: no letter may come before or after them.
        joined: words of scripts without spaces, or that are joined to others.
        before: what may not come before `spaced`, as a pattern.
    """

    spaced: str
    joined: str = ""
    before: str = f"(?<!{LETTER})"

    def __str__(self) -> str:
        return f"(?:{self.before}(?:{self.spaced})(?!{LETTER})" + (f"|{self.joined})" if self.joined else ")")

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """The literal beginnings of the spaced words, in lower case."""
        return tuple(dict.fromkeys(list_stems(self.spaced)))

    @cached_property
    def joined_stems(self) -> tuple[str, ...]:
        """The same of the joined words."""
        return tuple(dict.fromkeys(list_stems(self.joined))) if self.joined else ()


@dataclass(frozen=True)
class PlaceFinder:
    """A pattern, and the literal texts with which its matches begin: at the start of a word, or `anywhere`."""

    pattern: re.Pattern[str]
    stems: tuple[str, ...]
    anywhere: tuple[str, ...] = ()

    @cached_property
    def _stems_by_head(self) -> dict[str, tuple[str, ...]]:
        """The stems by the beginning of their first word; by their first character if that is too short to look up."""
        stems: dict[str, tuple[str, ...]] = {}
        for stem, at_start in [*((one, True) for one in self.stems), *((one, False) for one in self.anywhere)]:
            head = _HEAD.match(stem) if at_start else None
            key = head[1] if head else stem[0]
            stems[key] = (*stems.get(key, ()), stem)
        return stems

    def find_all(self, text: str) -> list[re.Match[str]]:
        """Return the matches in `text`, as `finditer` of the pattern does; of very many, the last ones."""
        low, heads = _scan(text)
        starts = set()
        for head in heads & self._stems_by_head.keys():
            for stem in self._stems_by_head[head]:
                at = low.find(stem)
                while at >= 0:
                    starts.add(at)
                    at = low.find(stem, at + 1)
        found, end = [], 0
        for start in sorted(starts)[-16 * MOST_PLACES :]:
            if start >= end and (match := self.pattern.match(text, start)):
                found.append(match)
                end = match.end()
        return found[-MOST_PLACES:]


@lru_cache(maxsize=8)  # the rules search the same text for many words
def _scan(text: str) -> tuple[str, frozenset[str]]:
    """Return the text in lower case, and the beginnings of its words and its characters."""
    low = text.replace("İ", "I").lower()  # the only letter that becomes two in lower case
    return low, frozenset(_HEAD.findall(low)).union(low)


def list_stems(alternatives: str) -> list[str]:
    """Return the literal beginnings of a pattern's alternatives; one may begin with a group: "(?:that|it) is".

    Raises:
        ValueError: an alternative has no literal beginning.
    """
    stems = []
    for one in _split_alternatives(alternatives):
        if one.startswith("(?:"):
            close = _find_group_end(one)
            stems += list_stems(one[3:close])
            continue
        stem = _LITERAL.match(one)
        literal = stem[0] if stem else ""
        if one[len(literal) : len(literal) + 1] in ("?", "*", "{"):
            literal = literal[:-1]  # the last character may be absent
        if not literal:
            raise ValueError(f"the alternative {one!r} has no literal beginning")
        stems.append(literal.lower())
    return stems


def _split_alternatives(pattern: str) -> list[str]:
    """Return the alternatives of a pattern at its top level."""
    bars = [place for place, character, depth in _walk(pattern) if character == "|" and not depth]
    return [pattern[start + 1 : end] for start, end in zip([-1, *bars], [*bars, len(pattern)], strict=True)]


def _find_group_end(pattern: str) -> int:
    """Return the place of the bracket that closes the group at the start of a pattern."""
    return next(place for place, character, depth in _walk(pattern) if character == ")" and not depth)


def _walk(pattern: str) -> Iterator[tuple[int, str, int]]:
    """Yield each character outside of classes with its place and the number of groups that are open after it."""
    depth, in_class, escaped = 0, False, False
    for place, character in enumerate(pattern):
        if escaped or in_class:
            in_class = in_class and (escaped or character != "]")
            escaped = not escaped and character == "\\"
            continue
        escaped, in_class = character == "\\", character == "["
        depth += (character == "(") - (character == ")")
        yield place, character, depth
