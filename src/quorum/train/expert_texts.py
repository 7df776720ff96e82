"""Read kinds of text (.txt, .jsonl, question files) as token sequences for profiling experts."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorum.ask.prompt import render_prompt
from quorum.data.repair import read_clean_questions
from quorum.engine.tokens import PromptTokenizer, truncate_middle
from quorum.errors import BadInput
from quorum.tables.encoding import decode_text
from quorum.tables.open import read_raw_table
from quorum.tables.raw_table import cell_text
from quorum.tables.unpack import unpack_file

_TEXT_COLUMNS = ("text", "content", "document", "story", "passage", "article")


@dataclass(frozen=True, slots=True)
class TextKind:
    """A kind of text, such as math or wiki, and the file with it."""

    name: str
    path: Path


def parse_kind(text: str) -> TextKind:
    """Return the kind of NAME=FILE.

    Raises:
        BadInput: the text has another form, or there is no such file.
    """
    name, equals, path = text.partition("=")
    if not (equals and name.replace("-", "").replace("_", "").isalnum()):
        raise BadInput(f"{text!r} is not NAME=FILE, such as math=problems.jsonl")
    if not Path(path).exists():
        raise BadInput(f"{path}: no such file")
    return TextKind(name, Path(path))


def read_sequences(
    kind: TextKind, tokens: PromptTokenizer, *, length: int, most: int, seed: int
) -> list[tuple[int, ...]]:
    """Return at most `most` sequences of at most `length` tokens, drawn from the whole file.

    A .txt file is one text, cut into sequences of equal length. A table with a column text (or content, document,
    story, passage, article) has a text in each row. Any other file is read as questions, which become prompts.

    Raises:
        BadInput: the file cannot be read or has no text.
    """
    sequences = list(_cut_texts(kind.path, tokens, length))
    if not sequences:
        raise BadInput(f"{kind.path}: there is no text")
    chosen = sorted(random.Random(seed).sample(range(len(sequences)), min(most, len(sequences))))
    return [sequences[place] for place in chosen]


def _cut_texts(path: Path, tokens: PromptTokenizer, length: int) -> Iterator[tuple[int, ...]]:
    texts = _read_kind_texts(path)
    if texts is None:
        for question in read_clean_questions(path):
            prompt = render_prompt(question, "letter" if question.choices else "cot")
            yield truncate_middle(tokens.encode(tokens.render(prompt.content)), length)
        return
    for text in texts:
        ids = tuple(tokens.tokenizer(text, verbose=False).input_ids)
        pieces = [ids[start : start + length] for start in range(0, len(ids), length)]
        # a rest shorter than half is dropped unless it is the whole text
        yield from (piece for piece in pieces if len(piece) > 1 and (2 * len(piece) >= length or len(pieces) == 1))


def _read_kind_texts(path: Path) -> Sequence[str] | None:
    """Return the texts of a file; None if it holds questions."""
    if path.suffix.lower() in (".txt", ".md"):
        return [decode_text(unpack_file(path).content, str(path)).text]
    if path.is_dir():
        return None
    table = read_raw_table(path)
    column = next((name for name in _TEXT_COLUMNS if name in table.columns), None)
    if column is None or {"question", "choices", "answer"} & {name.lower() for name in table.columns}:
        return None
    return [text for row in table.rows if (text := cell_text(row.get(column)).strip())]
