"""Find boilerplate: an instruction that many texts of a file open or close with.

It says nothing about whether two questions are alike, but as a long part of both it makes them look alike.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from quorum.data.words import is_number, split_part
from quorum.question import Question

NEARLY_ALL = 0.8  # of the texts that begin alike have to go on alike
FEWEST_TEXTS = 50  # that share boilerplate, of those that are examined
SHORTEST = 10  # words of boilerplate, unless nearly all texts of the file have it
LEAST_LEFT = 4  # words of a text without its boilerplate, median
SIMILAR = 0.5  # similarity of what is left from which the texts are a family of near-duplicates, median
GENERAL_WORDS = 4  # choices with fewer words, and without numbers, such as yes and no, do not make a family
_EXAMINED = 5000  # texts, evenly spread

Words = Sequence[str]


@dataclass(frozen=True)
class Boilerplate:
    """The words that open, and those that close, many texts of a file; longer ones first."""

    starts: Sequence[Words] = ()
    ends: Sequence[Words] = ()

    def remove(self, text: list[str]) -> list[str]:
        """Return a text without its boilerplate; unchanged if it consists of nothing else."""
        first = next((len(words) for words in self.starts if text[: len(words)] == words), 0)
        rest = text[first:]
        last = next((len(words) for words in self.ends if rest[-len(words) :] == words), 0)
        return rest[: len(rest) - last] or text


def find_boilerplate(questions: Sequence[Question]) -> Boilerplate:
    """Return the boilerplate of the texts.

    Words are boilerplate if at least `FEWEST_TEXTS` of `_EXAMINED` texts open (or close) with them, and if these texts
    are no family of near-duplicates: what is left of them differs, and so do their choices, unless they are general.
    Boilerplate that is not shared by nearly all texts of the file has at least `SHORTEST` words.
    """
    examined = questions[:: max(1, len(questions) // _EXAMINED)]
    texts = [split_part(question.text) for question in examined]
    starts = list(_find_shared_starts(texts))
    ends = [words[::-1] for words in _find_shared_starts([text[::-1] for text in texts])]
    found = _sort(starts, ends)
    left = [found.remove(text) for text in texts]

    def are_different(places: Sequence[int]) -> bool:
        return bool(places) and _are_different([left[i] for i in places], [examined[i].choices for i in places])

    return _sort(
        [
            words
            for words in starts
            if are_different([i for i, text in enumerate(texts) if text[: len(words)] == words])
        ],
        [words for words in ends if are_different([i for i, text in enumerate(texts) if text[-len(words) :] == words])],
    )


def _sort(starts: Sequence[Words], ends: Sequence[Words]) -> Boilerplate:
    return Boilerplate(sorted(starts, key=len, reverse=True), sorted(ends, key=len, reverse=True))


def _find_shared_starts(texts: Sequence[list[str]]) -> Iterator[list[str]]:
    """Yield the words that many texts open with, as long as nearly all of these texts go on alike."""
    groups = [(texts, 0)]
    while groups:
        group, length = groups.pop()
        least = max(FEWEST_TEXTS, NEARLY_ALL * len(group))
        while True:
            followers: dict[str, list[list[str]]] = {}
            for text in group:
                if len(text) > length:
                    followers.setdefault(text[length], []).append(text)
            most = max(followers, key=lambda word: len(followers[word]), default="")
            goes_on = most in followers and len(followers[most]) >= least
            groups += [
                (alike, length + 1)
                for word, alike in followers.items()
                if len(alike) >= FEWEST_TEXTS and not (goes_on and word == most)
            ]
            if not goes_on:
                break
            group, length = followers[most], length + 1
        if length and (length >= SHORTEST or len(group) >= NEARLY_ALL * len(texts)):
            yield group[0][:length]


def _are_different(left: Sequence[Words], choices: Sequence[tuple[str, ...]]) -> bool:
    """Return whether questions that share boilerplate are no family: by what is left of their texts and by choices."""
    if median(map(len, left)) < LEAST_LEFT or median(_compare(*pair) for pair in pairwise(left)) >= SIMILAR:
        return False
    most, count = Counter(tuple(sorted(own)) for own in choices).most_common(1)[0]
    words = {word for choice in most for word in split_part(choice)}
    general = len(words) < GENERAL_WORDS and not any(map(is_number, words))
    return general or count < NEARLY_ALL * len(choices)


def _compare(one: Words, two: Words) -> float:
    """Return the Jaccard similarity of two texts' different words and pairs of neighbouring words."""
    first, second = ({*words, *pairwise(words)} for words in (one, two))
    return len(first & second) / len(first | second) if first or second else 1.0
