"""Split a text with lettered or numbered choices, such as "Which? A. one B. two", into its parts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩"
_SERIES = (
    tuple(ascii_uppercase),
    tuple(ascii_lowercase),
    tuple(map(str, range(1, 27))),
    tuple("АБВГДЕЖЗ"),
    tuple("가나다라마바사"),
)
# how a label is marked; {} is the label
_STYLES = (r"\({}\)", r"（{}）", r"{}\s?\)", r"{}\s?[.．、](?!\d)", r"{}\s?[:：]")
_START_OF_ITEM = r"(?:^|(?<=[\s,;|/]))"
_TRAILING_SEPARATORS = ",;|/"


@dataclass(frozen=True, slots=True)
class NumberedText:
    """The text before the first label, and the texts after each label."""

    stem: str
    texts: tuple[str, ...]


def split_numbered(text: str) -> NumberedText | None:
    """Return the choices in a text whose labels are in order, with nothing missing; None if it has fewer than two.

    If several series of labels fit, the one that begins first wins ("1) … A) …" in a choice is text).
    """
    found = [spans for spans in _find_series(text) if len(spans) > 1]
    if not found:
        return None
    spans = min(found, key=lambda spans: (spans[0][0], -len(spans)))
    ends = [start for start, _ in spans[1:]] + [len(text)]
    parts = [text[begin:end].strip() for (_, begin), end in zip(spans, ends, strict=True)]
    for separator in _TRAILING_SEPARATORS:
        if all(part.endswith(separator) for part in parts[:-1]):
            parts = [part.removesuffix(separator).rstrip() for part in parts]
    return NumberedText(text[: spans[0][0]].strip(), tuple(parts))


def split_question(text: str) -> NumberedText | None:
    """Return a question and the choices after it, whose labels are capital letters; None if there are none.

    The last place where a run of labels begins counts, because a question may list statements before its choices.
    """
    for match in reversed(list(re.finditer(r"(?:^|(?<=\s))[(（]?A\s?[).．、:：）]", text))):
        found = split_numbered(text[match.start() :])
        if found is not None and match.start() > 0 and not found.stem:
            return NumberedText(text[: match.start()].strip(), found.texts)
    return None


def _find_series(text: str) -> Iterator[list[tuple[int, int]]]:
    """Yield the spans of the labels of each series and style that begins in the text."""
    yield _find_labels(text, tuple(_CIRCLED), "{}")
    for series in _SERIES:
        if series[0] in text:
            for style in _STYLES:
                yield _find_labels(text, series, style)


def _find_labels(text: str, series: tuple[str, ...], style: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    position = 0
    before = "" if style == "{}" or not style.startswith("{") else _START_OF_ITEM
    for label in series:
        match = re.compile(before + style.format(label) + r"\s*").search(text, position)
        if match is None:
            break
        spans.append((match.start(), match.end()))
        position = match.end()
    return spans
