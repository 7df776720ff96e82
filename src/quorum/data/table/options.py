"""Parse the choices in one cell, in all known spellings."""

import ast
import io
import re
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Any

from quorum.data.table.numbered import split_numbered
from quorum.question import MOST_CHOICES, letters
from quorum.tables.raw_table import Cell, cell_text
from quorum.tables.strict_json import parse_json

# limits for a list literal, against hostile input
MOST_CHARACTERS = 200_000
MOST_ITEMS = 1_000

# labels that a choice's text can begin with, and the series that they have to be
_OWN_LABELS = (
    (re.compile(r"\s*(?:[(（]([A-Z])[)）]|([A-Z])\s?[).:．、])\s*(?=\S)"), letters(MOST_CHOICES)),
    (re.compile(r"\s*(?:[(（]([a-z])[)）]|([a-z])\s?[).:．、])\s*(?=\S)"), tuple(ascii_lowercase)),
    (re.compile(r"\s*(?:[(（](\d{1,2})[)）]|(\d{1,2})(?:[)．、]|[.:](?=\s)))\s*(?=\S)"), tuple(map(str, range(1, 27)))),
    (re.compile(r"\s*(?:([①-⑳])|(?!))\s*(?=\S)"), tuple("①②③④⑤⑥⑦⑧⑨⑩")),
)
_GLUED = re.compile(r"""['"]\s+['"]""")
_TEXT_KEYS = ("text", "content", "value", "option_text", "choice_text", "body", "choice", "option", "answer")
_LABEL_KEYS = ("label", "key", "letter", "id", "option", "name", "index")
_FLAG_KEYS = ("correct", "is_correct", "iscorrect", "isCorrect", "is_answer", "right", "answer", "score", "label")
_TRUE, _FALSE = ("1", "1.0", "true"), ("0", "0.0", "false", "")


@dataclass(frozen=True, slots=True)
class ParsedChoices:
    """The texts of a row's choices in order, their labels in the file, and the place of the marked one, if any."""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    marked: int | None = None


def parse_choices(cell: Cell, separator: str | None = None) -> ParsedChoices:
    """Parse the choices in one cell.

    Accepts a list of texts; a list of {text, label}, which may mark the right one; {text: [...], label: [...]};
    {label: text}; {text: score} with one score of 1; any of these written as JSON or as a Python literal (with or
    without numpy's `array(...)`), which is parsed but never evaluated; and text such as "A) one B) two".

    Args:
        cell: the cell as it was read.
        separator: what separates the choices in a text without labels, if the file writes them like that.

    Raises:
        ValueError: the cell has none of these forms.
    """
    if isinstance(cell, str) and cell.strip():
        cell = _parse_choice_text(cell.strip(), separator)
    match cell:
        case None | "":
            return ParsedChoices()
        case ParsedChoices():
            return cell
        case list():
            return _parse_list(_without_padding(cell))
        case {"text": list(texts), **rest}:
            labels = rest.get("label")
            return _sort_by_label(_check_texts(texts), _check_texts(labels) if isinstance(labels, list) else ())
        case {"choices": list(texts), "labels": list(flags)}:
            return ParsedChoices(_check_texts(texts), (), find_mark(flags))
        case dict():
            return _parse_dict(cell)
    if isinstance(cell, str) and not cell.strip():
        return ParsedChoices()
    raise ValueError(f"{cell_text(cell)[:40]!r} is not a list of choices")


def list_texts(cell: Cell) -> list[str]:
    """Return the texts in a cell: of a list, also written as text, of texts separated by ";", or the cell's own."""
    try:
        parsed = parse_choices(cell)
    except ValueError:
        text = cell_text(cell)
        return [part.strip() for part in text.split(";")] if text.count(";") and " ; " not in text else [text]
    return list(parsed.texts)


def find_mark(flags: Sequence[Cell]) -> int | None:
    """Return the place of the only 1 (or true) among zeros; None if there is none or a flag is something else."""
    texts = [cell_text(flag).strip().casefold() for flag in flags]
    marked = [place for place, text in enumerate(texts) if text in _TRUE]
    return marked[0] if len(marked) == 1 and all(text in _TRUE + _FALSE for text in texts) else None


def strip_labels(choices: ParsedChoices) -> ParsedChoices:
    """Remove "A)", "B)" … (also repeated) or "1.", "2." … if every text begins with its own label.

    The removed labels become the choices' labels, if they have no others.
    """
    texts = choices.texts
    if not 2 <= len(texts) <= MOST_CHOICES:
        return choices
    for pattern, series in _OWN_LABELS:
        if not pattern.match(texts[0]):
            continue
        found = [pattern.match(text) for text in texts]
        labels = tuple(match[1] or match[2] for match in found if match)
        if labels == series[: len(texts)]:
            bare = tuple(text[match.end() :] for text, match in zip(texts, found, strict=True) if match)
            return strip_labels(replace(choices, texts=bare, labels=choices.labels or labels))
    return choices


def parse_literal(text: str) -> Cell:
    """Parse a list or dict from its text, as JSON or as a Python literal.

    Raises:
        ValueError: the text is neither, or too long.
    """
    if not text.startswith(("[", "(", "{", "array(")) or len(text) > MOST_CHARACTERS:
        raise ValueError(f"{text[:40]!r} is not a list of choices")
    try:
        return parse_json(text)
    except ValueError:
        pass
    try:
        return _plain(ast.parse(text, mode="eval").body, text)
    except (SyntaxError, ValueError, MemoryError, RecursionError, tokenize.TokenError):
        raise ValueError(f"{text[:40]!r} is not a list of choices") from None


def _without_padding(items: list[Any]) -> list[Any]:
    """Return a list without the nulls at its end: files that give every row as many choices fill up with them."""
    filled = [place for place, item in enumerate(items) if item is not None]
    return items[: filled[-1] + 1] if filled else items


def _parse_choice_text(text: str, separator: str | None) -> Cell:
    try:
        return parse_literal(text)
    except ValueError:
        found = split_numbered(text)
        if found is not None and not found.stem:
            return ParsedChoices(found.texts)
        if separator is not None and separator in text:
            return [part.strip() for part in text.strip(separator).split(separator)]
        raise


def _parse_list(items: list[Cell]) -> ParsedChoices:
    if not items or not all(isinstance(item, dict) for item in items):
        return ParsedChoices(_check_texts(items))
    if all(len(item) == 1 for item in items):  # [{"A": "x"}, {"B": "y"}]
        merged = {label: text for item in items for label, text in item.items()}
        if len(merged) == len(items):
            return _sort_by_label(_check_texts(list(merged.values())), tuple(map(str, merged)))
    key = next((key for key in _TEXT_KEYS if all(isinstance(item.get(key), str) for item in items)), None)
    if key is None:
        raise ValueError("a choice is a dict without a text")
    texts = _check_texts([item[key] for item in items])
    marks = (find_mark([item.get(flag) for item in items]) for flag in _FLAG_KEYS if flag != key)
    marked = next((mark for mark in marks if mark is not None and len(items) > 1), None)
    labels = (tuple(cell_text(item.get(name)) for item in items) for name in _LABEL_KEYS if name != key)
    own = next((label for label in labels if all(label) and max(map(len, label)) <= 4), ())
    if marked is not None:  # its labels may be the marks themselves
        return ParsedChoices(texts, (), marked)
    return _sort_by_label(texts, own)


def _parse_dict(cell: Mapping[str, Any]) -> ParsedChoices:
    present = {str(label): text for label, text in cell.items() if text is not None}
    mark = find_mark(list(present.values())) if len(present) > 1 else None
    if mark is not None and any(len(label) > 2 for label in present):  # {text: score}
        return ParsedChoices(tuple(present), (), mark)
    return _sort_by_label(_check_texts(list(present.values())), tuple(present))


def _sort_by_label(texts: tuple[str, ...], labels: tuple[str, ...]) -> ParsedChoices:
    """Sort the choices by their labels, so that "B" is the second; without unique labels keep the order."""
    labels = tuple(label.strip() for label in labels)
    if len(labels) != len(texts) or len(set(labels)) < len(labels):
        return ParsedChoices(texts)
    ordered = sorted(labels, key=lambda label: (len(label), label))
    by_label = dict(zip(labels, texts, strict=True))
    return ParsedChoices(tuple(by_label[label] for label in ordered), tuple(ordered))


def _check_texts(items: Sequence[Cell]) -> tuple[str, ...]:
    if any(isinstance(item, list | dict) for item in items):
        raise ValueError("a choice is a list or dict")
    return tuple(map(cell_text, items))


def _plain(node: ast.expr, source: str) -> Cell:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Constant(value=None):
            return None
        case ast.List(items) | ast.Tuple(items):
            if len(items) > MOST_ITEMS:
                raise ValueError("too many items")
            return [value for item in items for value in _adjacent(item, source)]
        case ast.Dict(keys, values):
            pairs = zip(keys, values, strict=True)
            return {cell_text(_plain(key, source)): _plain(value, source) for key, value in pairs if key is not None}
        case ast.Call(func=ast.Name("array"), args=[items]):
            return _plain(items, source)
        case ast.Constant(value=bool() | int() | float()) | ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return ast.get_source_segment(source, node)  # the number as it is written
    raise ValueError("not a literal")


def _adjacent(node: ast.expr, source: str) -> list[Cell]:
    """Return the items of a list element: several if numpy printed texts without commas, which Python would join."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or not _GLUED.search(source):
        return [_plain(node, source)]
    segment = ast.get_source_segment(source, node) or ""
    tokens = tokenize.generate_tokens(io.StringIO(f"({segment})").readline)
    return [ast.literal_eval(token.string) for token in tokens if token.type == tokenize.STRING]
