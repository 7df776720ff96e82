"""Background text in pieces that fit a prompt.

A folder of .txt, .md, .jsonl and .parquet files. Of text files a piece is a paragraph (what stands between empty
lines), with the Markdown heading that it stands under; of tables it is the `text` of a row, with its `title`. What is
longer than a piece may be is cut into windows that overlap, so that no sentence is lost at a border.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from quorum.errors import BadInput

BACKGROUND_SUFFIXES = (".jsonl", ".md", ".parquet", ".txt")
_EAST_ASIAN = (
    "\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af"  # written without blanks between words
)
_SEARCH_WORD = re.compile(rf"[{_EAST_ASIAN}]|[^\W{_EAST_ASIAN}]+")
_TOKEN = re.compile(rf"[{_EAST_ASIAN}]|[^\W{_EAST_ASIAN}]+|[^\w\s]")
_HEADING = re.compile(r"#{1,6}\s+(.+?)\s*#*")
_PARQUET_BATCH = 10_000  # of a Parquet file held in memory at a time


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of background; `source` says where it stands: file, paragraph or row, and window, counted from 1."""

    source: str
    text: str
    title: str = ""

    @property
    def shown(self) -> str:
        """The text, under its title where it does not say that itself."""
        return self.text if self.title in self.text else f"{self.title}\n{self.text}"

    @property
    def searched(self) -> str:
        """Title and text: what stands in both counts twice, for that is what the text is about."""
        return f"{self.title}\n{self.text}"


@dataclass(frozen=True, slots=True)
class _Paragraph:
    place: int
    title: str
    text: str


def tokenize_words(text: str) -> list[str]:
    """The words by which a text is found, in lower case; of scripts without blanks each character is one."""
    return _SEARCH_WORD.findall(text.casefold())


def count_tokens(text: str) -> int:
    """How long a text is, in words and marks: no model is asked, and a model's own count is about a third higher."""
    return sum(1 for _ in _TOKEN.finditer(text))


def read_background(folder: Path, tokens: int = 200, overlap: int = 40) -> Iterator[Passage]:
    """The passages in a folder and the folders in it, in the order of the files' names; memory holds one paragraph.

    None is longer than `tokens`, but for its title; `overlap` of them stand in the next window again.

    Raises:
        BadInput: no such folder, no text in it, a file that is not UTF-8 or not what its name says, no column `text`.
    """
    if tokens < 1 or not 0 <= overlap < tokens:
        raise BadInput(
            f"background: windows of {tokens} tokens that overlap by {overlap}; allowed is 0 <= overlap < tokens"
        )
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; expected one with {', '.join(BACKGROUND_SUFFIXES)} files")
    found = False
    for path in sorted(path for path in folder.rglob("*") if path.suffix in BACKGROUND_SUFFIXES):
        name = str(path.relative_to(folder))
        for paragraph in _read_paragraphs(path):
            for number, window in enumerate(_split_windows(paragraph.text, tokens, overlap), 1):
                found = True
                source = f"{name} {paragraph.place}" + (f".{number}" if window != paragraph.text else "")
                yield Passage(source, window, paragraph.title)
    if not found:
        raise BadInput(f"{folder}: no text in it; expected are {', '.join(BACKGROUND_SUFFIXES)} files")


def _split_windows(text: str, tokens: int, overlap: int) -> Iterator[str]:
    """The text, whole if it is short enough, else cut between tokens; a last window always says something new."""
    spans = [match.span() for match in _TOKEN.finditer(text)]
    for start in range(0, max(1, len(spans) - overlap), tokens - overlap):
        window = spans[start : start + tokens]
        yield text[window[0][0] : window[-1][1]] if len(spans) > tokens else text


def _read_paragraphs(path: Path) -> Iterator[_Paragraph]:
    if path.suffix == ".parquet":
        return _read_parquet_paragraphs(path)
    return _read_jsonl_paragraphs(path) if path.suffix == ".jsonl" else _read_text_paragraphs(path)


def _read_text_paragraphs(path: Path) -> Iterator[_Paragraph]:
    """Paragraphs of a text file; in Markdown a heading is the title of what follows it, and stands alone in none."""
    title, lines, place = "", list[str](), 0
    for line in (*_read_lines(path), ""):
        heading = _HEADING.fullmatch(line) if path.suffix == ".md" else None
        if line and not heading:
            lines.append(line)
            continue
        if lines:
            place += 1
            yield _Paragraph(place, title, "\n".join(lines))
            lines = []
        title = heading[1] if heading else title


def _read_jsonl_paragraphs(path: Path) -> Iterator[_Paragraph]:
    for place, line in enumerate(_read_lines(path), 1):
        try:
            row = json.loads(line) if line else {"text": ""}
        except json.JSONDecodeError as error:
            raise BadInput(f"{path}, line {place}: not JSON: {error.msg}") from None
        except (RecursionError, ValueError) as error:  # nested too deeply, more digits than Python converts
            raise BadInput(f"{path}, line {place}: not JSON that can be read: {error}") from None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise BadInput(f"{path}, line {place}: {line[:60]!r}, where an object with a text under 'text' is expected")
        yield from _make_row_paragraphs(place, row.get("title"), row["text"])


def _read_parquet_paragraphs(path: Path) -> Iterator[_Paragraph]:
    import polars as pl

    try:
        table = pl.scan_parquet(path)
        schema = table.collect_schema()
        if schema.get("text") != pl.String:
            raise BadInput(f"{path}: columns {', '.join(schema)}, where one of text called 'text' is expected")
        wanted = table.select(
            pl.col("title").cast(pl.String) if "title" in schema else pl.lit("").alias("title"), "text"
        )
        for start in range(0, table.select(pl.len()).collect().item(), _PARQUET_BATCH):
            rows = wanted.slice(start, _PARQUET_BATCH).collect()
            for place, (title, text) in enumerate(rows.iter_rows(), start + 1):
                yield from _make_row_paragraphs(place, title, text or "")
    except pl.exceptions.ComputeError as error:
        raise BadInput(f"{path}: not a Parquet file: {error}") from None


def _make_row_paragraphs(place: int, title: object, text: str) -> Iterable[_Paragraph]:
    """A row's paragraph, if it has text."""
    named = title.strip() if isinstance(title, str) else ""
    return [_Paragraph(place, named, text.strip())] if text.strip() else []


def _read_lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                yield line.strip()
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
