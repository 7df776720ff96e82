"""Find training rows that contain the text of a question, also in other words around it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from quorum.data.words import split_part
from quorum.question import Question
from quorum.train.row import TrainingRow

_SHINGLE = 3  # words
_WHOLE_SHARE = 0.8  # of the shingles of text and choices: the question is in the row
_TEXT_SHARE = 0.9  # of those of the text alone, if it is long enough not to be a template
_LONG_TEXT = 8  # shingles

_Shingle = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextOverlap:
    """Which rows contain questions: the numbers of rows with a held-out one, and the ids of the others in rows."""

    held_out: tuple[int, ...]
    learned: frozenset[str]


def find_text_overlap(
    rows: Sequence[TrainingRow], questions: Sequence[Question], held_out: Collection[str]
) -> TextOverlap:
    """Return which rows contain a question, in any order of its choices and with any words around it.

    A row contains a question if it has 80 % of the three-word shingles of its text and choices, or 90 % of those of
    its text alone, if there are at least eight.
    """
    parts = [_list_shingles(question) for question in questions]
    places: dict[_Shingle, list[int]] = defaultdict(list)
    for number, (text, choices) in enumerate(parts):
        for shingle in text | choices:
            places[shingle].append(number)
    found: list[int] = []
    learned: set[str] = set()
    for number, row in enumerate(rows):
        content = row.prompt.content
        words = split_part(content if isinstance(content, str) else "\n".join(turn.content for turn in content))
        shingles = {tuple(words[at : at + size]) for size in (1, 2, 3) for at in range(len(words) - size + 1)}
        counts = Counter(place for shingle in shingles for place in places.get(shingle, ()))
        inside = [place for place, count in counts.items() if _is_inside(parts[place], count, shingles)]
        ids = {questions[place].id for place in inside}
        found += [number] if any(id in held_out for id in ids) else []
        learned |= {id for id in ids if id not in held_out}
    return TextOverlap(tuple(found), frozenset(learned))


def _is_inside(parts: tuple[set[_Shingle], set[_Shingle]], count: int, shingles: set[_Shingle]) -> bool:
    text, choices = parts
    if count >= _WHOLE_SHARE * len(text | choices):
        return True
    return len(text) >= _LONG_TEXT and len(text & shingles) >= _TEXT_SHARE * len(text)


def _list_shingles(question: Question) -> tuple[set[_Shingle], set[_Shingle]]:
    """Return the shingles of the text, and those of the choices; a part with fewer words is one shingle."""
    text = set(_cut(split_part(question.text)))
    return text, {shingle for choice in question.choices for shingle in _cut(split_part(choice))}


def _cut(words: Sequence[str]) -> Iterator[_Shingle]:
    size = min(_SHINGLE, len(words))
    if size:
        yield from (tuple(words[at : at + size]) for at in range(len(words) - size + 1))
