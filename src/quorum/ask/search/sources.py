"""Read background texts and split them into passages that fit a prompt.

The background is a folder of .txt, .md, .jsonl and .parquet files. In text files a passage is a paragraph (paragraphs
are separated by empty lines) with the Markdown heading above it; in tables it is the `text` of a row with its `title`.
A longer text is split into overlapping windows, so that no sentence is lost at a boundary.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from quorum.errors import BadInput
from quorum.tables.parquet import collect_rows, read_parquet_columns, scan_parquet_files

BACKGROUND_SUFFIXES = (".jsonl", ".md", ".parquet", ".txt")
_EAST_ASIAN = (
    "\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af"  # scripts without spaces between words
)
_SEARCH_WORD = re.compile(rf"[{_EAST_ASIAN}]|[^\W{_EAST_ASIAN}]+")
_TOKEN = re.compile(rf"[{_EAST_ASIAN}]|[^\W{_EAST_ASIAN}]+|[^\w\s]")
_HEADING = re.compile(r"#{1,6}\s+(.+?)\s*#*")
_PARQUET_BATCH = 10_000  # rows of a Parquet file that are in memory at a time


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of background; `source` names its file, its paragraph or row, and its window, counted from 1."""

    source: str
    text: str
    title: str = ""

    @property
    def prompt_text(self) -> str:
        """The text for a prompt, below its title unless the text contains the title."""
        return self.text if self.title in self.text else f"{self.title}\n{self.text}"

    @property
    def search_text(self) -> str:
        """Title and text for the search index; words in both count twice because the title names the topic."""
        return f"{self.title}\n{self.text}"


@dataclass(frozen=True, slots=True)
class _Paragraph:
    number: int
    title: str
    text: str


def tokenize_words(text: str) -> list[str]:
    """Return the words of a text for search, case folded; in scripts without spaces each character is a word."""
    return _SEARCH_WORD.findall(text.casefold())


def count_tokens(text: str) -> int:
    """Count the words and punctuation marks of a text; a model's tokenizer counts about a third more."""
    return sum(1 for _ in _TOKEN.finditer(text))


def read_background(folder: Path, tokens: int = 200, overlap: int = 40) -> Iterator[Passage]:
    """Read the passages of a folder and its subfolders, in the order of file names, one paragraph at a time.

    Args:
        folder: The background folder.
        tokens: Largest length of a passage, without its title, in the unit of `count_tokens`.
        overlap: Tokens at the end of a window that are repeated in the next one.

    Raises:
        BadInput: no such folder, a folder without text, a file that is not UTF-8 or does not have the format of its
            suffix, or no column `text`.
    """
    if tokens < 1 or not 0 <= overlap < tokens:
        raise BadInput(
            f"background: windows of {tokens} tokens that overlap by {overlap}; allowed is 0 <= overlap < tokens"
        )
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; expected a folder of {', '.join(BACKGROUND_SUFFIXES)} files")
    empty = True
    for path in sorted(path for path in folder.rglob("*") if path.suffix in BACKGROUND_SUFFIXES):
        name = str(path.relative_to(folder))
        for paragraph in _read_paragraphs(path):
            for number, window in enumerate(_split_windows(paragraph.text, tokens, overlap), 1):
                empty = False
                source = f"{name} {paragraph.number}" + (f".{number}" if window != paragraph.text else "")
                yield Passage(source, window, paragraph.title)
    if empty:
        raise BadInput(f"{folder}: the folder has no text; expected {', '.join(BACKGROUND_SUFFIXES)} files")


def _split_windows(text: str, tokens: int, overlap: int) -> Iterator[str]:
    """Split a text between tokens into windows; a short text is one window, and the last one always adds new text."""
    spans = [match.span() for match in _TOKEN.finditer(text)]
    for start in range(0, max(1, len(spans) - overlap), tokens - overlap):
        window = spans[start : start + tokens]
        yield text[window[0][0] : window[-1][1]] if len(spans) > tokens else text


def _read_paragraphs(path: Path) -> Iterator[_Paragraph]:
    if path.suffix == ".parquet":
        return _read_parquet_paragraphs(path)
    return _read_jsonl_paragraphs(path) if path.suffix == ".jsonl" else _read_text_paragraphs(path)


def _read_text_paragraphs(path: Path) -> Iterator[_Paragraph]:
    """Read the paragraphs of a text file; in Markdown a heading is the title of the paragraphs below it."""
    title, lines, number = "", list[str](), 0
    for line in (*_read_lines(path), ""):
        heading = _HEADING.fullmatch(line) if path.suffix == ".md" else None
        if line and not heading:
            lines.append(line)
            continue
        if lines:
            number += 1
            yield _Paragraph(number, title, "\n".join(lines))
            lines = []
        title = heading[1] if heading else title


def _read_jsonl_paragraphs(path: Path) -> Iterator[_Paragraph]:
    for number, line in enumerate(_read_lines(path), 1):
        try:
            row = json.loads(line) if line else {"text": ""}
        except json.JSONDecodeError as error:
            raise BadInput(f"{path}, line {number}: not JSON: {error.msg}") from None
        except (RecursionError, ValueError) as error:  # nested too deeply, more digits than Python converts
            raise BadInput(f"{path}, line {number}: JSON that cannot be read: {error}") from None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise BadInput(f"{path}, line {number}: found {line[:60]!r}; expected an object with a string in 'text'")
        yield from _make_row_paragraphs(number, row.get("title"), row["text"])


def _read_parquet_paragraphs(path: Path) -> Iterator[_Paragraph]:
    import polars as pl

    schema = read_parquet_columns(path)
    if schema.get("text") != pl.String:
        raise BadInput(f"{path}: found columns {', '.join(schema)}; expected a column 'text' of strings")
    table = scan_parquet_files([path])
    selected = table.select(pl.col("title").cast(pl.String) if "title" in schema else pl.lit("").alias("title"), "text")
    for start in range(0, collect_rows(table.select(pl.len()), path).item(), _PARQUET_BATCH):
        rows = collect_rows(selected.slice(start, _PARQUET_BATCH), path)
        for number, (title, text) in enumerate(rows.iter_rows(), start + 1):
            yield from _make_row_paragraphs(number, title, text or "")


def _make_row_paragraphs(number: int, title: object, text: str) -> Iterable[_Paragraph]:
    """Return the paragraph of a row, or none if the row has no text."""
    heading = title.strip() if isinstance(title, str) else ""
    return [_Paragraph(number, heading, text.strip())] if text.strip() else []


def _read_lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                yield line.strip()
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
