"""Questions as arrays of words, and the exact similarity of pairs of them.

The similarity of two texts is the Jaccard similarity of their words and pairs of neighbouring words, each counted as
often as it occurs. A question has three parts: its text, its choices in any order, and its passage. Two questions are
near-duplicates if all parts are similar (`WordTable.compare`). Boilerplate is removed first; apart from that this
depends on the two questions only, so that families of any size are found in any file.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorum.data.boilerplate import find_boilerplate
from quorum.data.words import is_number, split_part
from quorum.question import Question

NEAR = 0.5  # least similarity of texts and passages
CLOSE = 0.7  # least similarity of choices, and of texts of which more than MOST_MISSING words differ
MOST_MISSING = 4  # words of the shorter text that are missing in the longer one
FEW_WORDS = 10  # of a text with fewer words no word may be missing
FEWEST_WORDS = 4  # a text with fewer words has to be equal
LONG_TEXT = 40  # texts of this many words identify a question by themselves, if they have the similarity SAME
SAME = 0.8
TELLING_WORDS = 4  # equal choices identify a question if they have at least this many words besides numbers

_WORD_BREAK = 0  # separates the words of two questions, and of two choices
_PAIRS = 50_000  # compared at a time

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Similarities = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """One part of each question.

    `words` are numbers of words; those of question i are words[starts[i]:starts[i + 1]] and begin with a break.
    `digest` is equal for parts with the same words in the same order, or the same choices in any order.
    """

    words: NDArray[np.int32]
    starts: Integers
    digest: Hashes

    def take(self, rows: Integers) -> tuple[NDArray[np.int32], Integers]:
        """Return the words and breaks of the questions `rows`, and for each of them the index in `rows`."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        ends = np.cumsum(lengths)
        places = np.arange(lengths.sum()) + np.repeat(self.starts[rows] - ends + lengths, lengths)
        return self.words[places], np.repeat(np.arange(len(rows)), lengths)


@dataclass(frozen=True, kw_only=True)
class WordTable:
    """The words of questions.

    `word_hash`, `is_word` and `is_number` are by word number; operators are neither. By question, `telling` is true if
    its choices identify it where they are equal, and `is_long` if its text has at least `LONG_TEXT` words.
    """

    text: Part
    choices: Part
    context: Part
    word_hash: Hashes
    is_word: NDArray[np.bool_]
    is_number: NDArray[np.bool_]
    telling: NDArray[np.bool_]
    is_long: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.telling)

    def compare(self, ones: Integers, twos: Integers) -> Similarities:
        """Return the similarity of pairs of questions: that of the least similar part, and 0 if they are not near.

        Near means:

        * The passages have at least the similarity `NEAR`.
        * Both texts are long (`LONG_TEXT`) and have at least the similarity `SAME`; or all of the following holds.
        * The choices have at least the similarity `CLOSE`.
        * The texts are equal, or have at least the similarity `CLOSE`, or `NEAR` if at most `MOST_MISSING` words of the
          shorter text are missing in the longer one. If the shorter text has fewer than `FEW_WORDS` words, none may be
          missing. Texts with fewer than `FEWEST_WORDS` words have to be equal. Numbers and operators do not count here.
        * One text has all numbers of the other, unless the choices are equal and telling.
        """
        chunks = (slice(start, start + _PAIRS) for start in range(0, len(ones), _PAIRS))
        return np.concatenate([np.zeros(0), *(self._compare_all_parts(ones[each], twos[each]) for each in chunks)])

    def _compare_all_parts(self, ones: Integers, twos: Integers) -> Similarities:
        contexts = _Overlap(self.context, ones, twos).compute_jaccard()
        left = np.flatnonzero(contexts >= NEAR)
        similarity = np.zeros(len(ones))
        similarity[left] = np.minimum(contexts[left], self._compare_without_contexts(ones[left], twos[left]))
        return similarity

    def _compare_without_contexts(self, ones: Integers, twos: Integers) -> Similarities:
        choices = _Overlap(self.choices, ones, twos).compute_jaccard()
        long = self.is_long[ones] & self.is_long[twos]
        left = np.flatnonzero((choices >= CLOSE) | long)
        texts = np.zeros(len(ones))
        texts[left] = self._compare_texts(ones[left], twos[left])
        identified = long & (texts >= SAME)
        left = np.flatnonzero((choices >= CLOSE) & (texts > 0) & ~identified)
        left = left[self._agree_in_numbers(ones[left], twos[left])]
        similarity = np.where(identified, texts, 0.0)
        similarity[left] = np.minimum(texts[left], choices[left])
        return similarity

    def _compare_texts(self, ones: Integers, twos: Integers) -> Similarities:
        jaccard = _Overlap(self.text, ones, twos).compute_jaccard()
        words = _Overlap(self.text, ones, twos, self.is_word)
        missing = words.smaller - words.shared
        long = ((jaccard >= CLOSE) | (missing <= MOST_MISSING)) & (words.smaller >= FEW_WORDS)
        short = (missing == 0) & (words.smaller >= FEWEST_WORDS)
        near = (jaccard >= NEAR) & (long | short)
        return np.where(near | (self.text.digest[ones] == self.text.digest[twos]), jaccard, 0.0)

    def _agree_in_numbers(self, ones: Integers, twos: Integers) -> NDArray[np.bool_]:
        numbers = _Overlap(self.text, ones, twos, self.is_number)
        confirmed = self.telling[ones] & (self.choices.digest[ones] == self.choices.digest[twos])
        return np.asarray((numbers.shared == numbers.smaller) | confirmed)


class _Overlap:
    """The number of words and pairs of words that the parts of two questions share, with repeats.

    Args:
        part: The part to compare.
        ones: The first question of each pair.
        twos: The second question of each pair.
        selected: Count the words for which this is true, by word number, and no pairs of words.
    """

    def __init__(self, part: Part, ones: Integers, twos: Integers, selected: NDArray[np.bool_] | None = None) -> None:
        rows = np.unique(np.concatenate((ones, twos)))
        counts = _count_items(part, rows, selected)
        one, two = (counts[np.searchsorted(rows, side)] for side in (ones, twos))
        sizes = [_sum_rows(side) for side in (one, two)]
        self.shared = _sum_rows(one.minimum(two)) if len(ones) else np.zeros(0, dtype=np.int64)
        self.smaller = np.minimum(*sizes)
        self.total = sizes[0] + sizes[1] - self.shared

    def compute_jaccard(self) -> Similarities:
        """Return the Jaccard similarity of each pair; two empty parts are equal."""
        return np.where(self.total == 0, 1.0, self.shared / np.maximum(self.total, 1))


def _count_items(part: Part, rows: Integers, selected: NDArray[np.bool_] | None) -> Any:
    """Return a sparse matrix: how often each word, and each pair of neighbouring words, is in each of `rows`."""
    from scipy.sparse import csr_array  # type: ignore[import-untyped]

    words, row_of = part.take(rows)
    if selected is None:
        items, item_rows = _make_items(words)
    else:
        item_rows = np.flatnonzero((words != _WORD_BREAK) & selected[words])
        items = words[item_rows].astype(np.int64)
    counts = csr_array((np.ones(len(items), dtype=np.int64), (row_of[item_rows], items)), shape=(len(rows), 2**62))
    counts.sum_duplicates()
    return counts


def _make_items(words: NDArray[np.int32]) -> tuple[Integers, Integers]:
    """Return the words and then the pairs of neighbouring words as numbers, and the place of each in `words`."""
    wide, known = words.astype(np.int64), words != _WORD_BREAK
    single = np.flatnonzero(known)
    double = np.flatnonzero(known[:-1] & known[1:])
    return np.concatenate((wide[single], wide[double] << 32 | wide[double + 1])), np.concatenate((single, double))


def _sum_rows(counts: Any) -> Integers:
    cumulated = np.concatenate(([0], np.cumsum(counts.data)))
    return np.asarray(cumulated[counts.indptr[1:]] - cumulated[counts.indptr[:-1]], dtype=np.int64)


def make_word_table(questions: Sequence[Question]) -> WordTable:
    """Split the parts of questions into words, without the boilerplate of the texts (`find_boilerplate`)."""
    numbers = _WordNumbers({"": _WORD_BREAK})
    parts = [_PartBuilder(numbers) for _ in range(3)]
    telling, is_long = np.zeros((2, len(questions)), dtype=np.bool_)
    boilerplate = find_boilerplate(questions)
    for index, question in enumerate(questions):
        text = boilerplate.remove(split_part(question.text))
        choices = sorted(map(split_part, question.choices))
        for part, pieces in zip(parts, ([text], choices, [split_part(question.context or "")]), strict=True):
            part.add(pieces)
        telling[index] = len({word for words in choices for word in words if not is_number(word)}) >= TELLING_WORDS
        is_long[index] = len(text) >= LONG_TEXT and sum(word[:1].isalpha() for word in text) >= LONG_TEXT
    text_part, choice_part, context = (part.build() for part in parts)
    known = list(numbers)[1:]
    return WordTable(
        text=text_part,
        choices=choice_part,
        context=context,
        word_hash=np.array([0, *map(digest_text, known)], dtype=np.uint64),
        is_word=np.array([False, *(word[:1].isalpha() for word in known)], dtype=np.bool_),
        is_number=np.array([False, *map(is_number, known)], dtype=np.bool_),
        telling=telling,
        is_long=is_long,
    )


class _WordNumbers(dict[str, int]):
    """The number of each word; a new word gets the next one."""

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number


class _PartBuilder:
    """Collects one part of each question; `numbers` numbers the words of all parts."""

    def __init__(self, numbers: _WordNumbers) -> None:
        self.numbers = numbers
        self.words = array("i")
        self.lengths = array("q", [0])
        self.digests = array("Q")

    def add(self, pieces: Sequence[Sequence[str]]) -> None:
        """Add the words of one question's part: of its text, or of each of its choices in a fixed order."""
        before = len(self.words)
        for piece in pieces:
            self.words.append(_WORD_BREAK)
            self.words.extend(map(self.numbers.__getitem__, piece))
        self.lengths.append(len(self.words) - before)
        self.digests.append(digest_text("\n".join(" ".join(piece) for piece in pieces)))

    def build(self) -> Part:
        """Return the part of the questions that were added."""
        return Part(
            words=np.frombuffer(self.words, dtype=np.int32),
            starts=np.cumsum(np.frombuffer(self.lengths, dtype=np.int64)),
            digest=np.frombuffer(self.digests, dtype=np.uint64),
        )


def digest_text(text: str) -> int:
    """Return a 64-bit digest of a text, the same on every machine."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
