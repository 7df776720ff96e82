"""Detect how a file encodes its answers, once for the whole file and without guessing, and parse them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from quorum.data.layout import AnswerKind
from quorum.errors import BadInput
from quorum.question import MOST_CHOICES, fold_text, letters

_YES_NO = {"yes": True, "true": True, "no": False, "false": False}
_INDEX = re.compile(r"\d{1,3}(?=(\.0)?$)", re.ASCII)  # data frames write 2 as 2.0 if the column has an empty cell
_SPOKEN_LETTER = re.compile(
    r"\W*(?:(?:the )?(?:correct |right )?(?:answer|ans|option|choice|label|key)(?: is)?[\s:=.-]*)?\W*([A-Z])\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """A row's answer as written, its choices' texts, and the labels that the file gives to the choices, if any."""

    raw: str
    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()


def detect_answer_kind(keys: Sequence[AnswerKey], where: str) -> AnswerKind:
    """Return the kind that fits most of the answers; a tie goes to the first in `_KINDS`.

    Raises:
        BadInput: two kinds fit equally many answers but give different labels.
    """
    meant = {kind: [place(key) for key in keys] for kind, place in _KINDS.items()}
    fits = {kind: sum(found is not None for found in places) for kind, places in meant.items()}
    most = max(fits.values())
    best, *others = (kind for kind in _KINDS if fits[kind] == most)
    labelled = any(key.labels for key in keys)  # the file's own labels leave no doubt
    rivals = [kind for kind in others if meant[kind] != meant[best] and not (labelled and best == "letter")]
    if most and rivals:
        both = " and as ".join((best, *rivals))
        raise BadInput(
            f"{where}: {most} of {len(keys)} answers can be read as {both}, with different results; "
            f'set the kind in the layout: answer_kind = "{best}"'
        )
    return best


def parse_answer(kind: AnswerKind, key: AnswerKey) -> str | None:
    """Return the canonical label (A, B …) of a row's answer, or None if there is no such choice."""
    place = _KINDS[kind](key) if len(key.texts) <= MOST_CHOICES else None
    return None if place is None else letters(len(key.texts))[place]


def parse_spoken_label(raw: str, texts: Sequence[str]) -> str | None:
    """Return the label of an answer like "ANSWER: C", "(c)" or a choice's text; None if its meaning is not clear."""
    match = _SPOKEN_LETTER.fullmatch(raw.strip()) if len(raw) < 100 else None
    label = parse_answer("letter", AnswerKey(match[1], tuple(texts))) if match else None
    return label or parse_answer("text", AnswerKey(raw, tuple(texts)))


def is_yes_or_no(raw: str) -> bool:
    """Return whether an answer is yes, no, true or false."""
    return fold_text(raw) in _YES_NO


def _labelled_place(key: AnswerKey) -> int | None:
    raw = key.raw.strip().casefold()
    own = [label.casefold() for label in key.labels]
    if raw in own:
        return own.index(raw)
    place = ord(raw) - ord("a") if len(raw) == 1 and "a" <= raw <= "z" else -1
    alphabet = any(label.isalpha() for label in own)
    return place if 0 <= place < len(key.texts) and not alphabet else None


def _place_from(first: int) -> Callable[[AnswerKey], int | None]:
    def place(key: AnswerKey) -> int | None:
        match = _INDEX.match(key.raw.strip())
        number = int(match[0]) - first if match else -1
        return number if 0 <= number < len(key.texts) else None

    return place


def _text_place(key: AnswerKey) -> int | None:
    """Return the first choice with exactly this text, or the only one that differs just in case and white space."""
    if key.raw.strip() and key.raw in key.texts:
        return key.texts.index(key.raw)
    same = [place for place, text in enumerate(key.texts) if text and fold_text(text) == fold_text(key.raw)]
    return same[0] if len(same) == 1 else None


def _yes_no_place(key: AnswerKey) -> int | None:
    meant = _YES_NO.get(fold_text(key.raw))
    meanings = [_YES_NO.get(fold_text(text)) for text in key.texts]
    return meanings.index(meant) if meant is not None and meanings.count(meant) == 1 else None


_KINDS: Mapping[AnswerKind, Callable[[AnswerKey], int | None]] = {
    "letter": _labelled_place,
    "index1": _place_from(1),
    "index0": _place_from(0),
    "text": _text_place,
    "boolean": _yes_no_place,
}
