"""Parse the choices in a cell, in all known spellings, and find choices that refer to other choices."""

import ast
import io
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass

from quorum.data.strict_json import parse_json
from quorum.data.table.cells import Cell, cell_text
from quorum.question import MOST_CHOICES, letters

# limits for a list literal, against hostile input
MOST_CHARACTERS = 200_000
MOST_ITEMS = 1_000

_GLUED = re.compile(r"""['"]\s+['"]""")


@dataclass(frozen=True, slots=True)
class ParsedChoices:
    """The texts of a row's choices in order, and their labels in the file, if any."""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def parse_choices(cell: Cell) -> ParsedChoices:
    """Parse the choices in one cell.

    Accepts a list of texts; a list of {text, label}; {text: [...], label: [...]}; {label: text}; and any of these
    written as JSON or as a Python literal (with or without numpy's `array(...)`), which is parsed but never evaluated.

    Raises:
        ValueError: the cell has none of these forms.
    """
    if isinstance(cell, str):
        cell = _literal(cell.strip()) if cell.strip() else None
    match cell:
        case None:
            return ParsedChoices()
        case list():
            return _choices_listed(cell)
        case {"text": list(texts), **rest}:
            labels = rest.get("label")
            return _labelled(_texts(texts), _texts(labels) if isinstance(labels, list) else ())
        case dict():
            present = {label: text for label, text in cell.items() if text is not None}
            return _labelled(_texts(list(present.values())), tuple(map(str, present)))
    raise ValueError(f"{cell_text(cell)[:40]!r} is not a list of choices")


def strip_own_letters(texts: Sequence[str]) -> tuple[str, ...]:
    """Remove "A)", "B)" … (also repeated) if every text begins with its own letter; otherwise return the texts."""
    if not 2 <= len(texts) <= MOST_CHOICES:
        return tuple(texts)
    pairs = zip(letters(len(texts)), texts, strict=True)
    found = [re.match(rf"\s*(?:\({letter}\)|{letter}[).:])\s*(?=\S)", text) for letter, text in pairs]
    if None in found:
        return tuple(texts)
    return strip_own_letters([text[match.end() :] for text, match in zip(texts, found, strict=True) if match])


def _choices_listed(items: list[Cell]) -> ParsedChoices:
    if items and all(isinstance(item, dict) and "text" in item for item in items):
        labels = tuple(cell_text(item.get("label")) for item in items)
        return _labelled(_texts([item["text"] for item in items]), labels if all(labels) else ())
    return ParsedChoices(_texts(items))


def _labelled(texts: tuple[str, ...], labels: tuple[str, ...]) -> ParsedChoices:
    """Sort the choices by their labels, so that "B" is the second; without unique labels keep the order."""
    labels = tuple(label.strip() for label in labels)
    if len(labels) != len(texts) or len(set(labels)) < len(labels):
        return ParsedChoices(texts)
    ordered = sorted(labels, key=lambda label: (len(label), label))
    by_label = dict(zip(labels, texts, strict=True))
    return ParsedChoices(tuple(by_label[label] for label in ordered), tuple(ordered))


def _texts(items: Sequence[Cell]) -> tuple[str, ...]:
    if any(isinstance(item, list | dict) for item in items):
        raise ValueError("a choice is a list or dict")
    return tuple(map(cell_text, items))


def _literal(text: str) -> Cell:
    """Parse a list or dict from its text, as JSON or as a Python literal."""
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
