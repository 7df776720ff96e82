"""Models' replies as JSON lines, and the answers read from them as a CSV."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from quorum.ask.reply import parse_reply
from quorum.disk import replace_file
from quorum.errors import BadInput

_OWN = ("id", "text", "labels", "answer", "reason")  # fields that the CSV has in a form of its own


def read_reply_rows(path: Path) -> list[dict[str, Any]]:
    """Return the records of a JSON lines file; each has `id`, `text` and `labels`.

    Raises:
        BadInput: there is none, or a line is not such a record.
    """
    rows = list(_reply_rows(path))
    if not rows:
        raise BadInput(f"{path}: holds no reply")
    return rows


def write_reply_answers(rows: list[dict[str, Any]], out: Path) -> tuple[int, Counter[str]]:
    """Read the answer from every reply and write it with its reason, beside the record's other fields.

    Returns:
        How many replies have an answer, and how many there are of each reason.
    """
    read = 0
    reasons: Counter[str] = Counter()
    others = list(dict.fromkeys(name for row in rows for name in row if name not in _OWN))
    with replace_file(out) as part, part.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.DictWriter(file, [*others, "id", "answer", "reason"], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            reading = parse_reply(row["text"], row["labels"], _options(row))
            reasons[reading.reason] += 1
            read += reading.label is not None
            cells = {name: _reply_cell(row.get(name)) for name in (*others, "id")}
            writer.writerow({**cells, "answer": reading.label or "", "reason": reading.reason})
    return read, reasons


def _reply_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _reply_row(line, f"{path}, line {number}")


def _reply_row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except ValueError as error:
        raise BadInput(f"{where}: not JSON in UTF-8: {error}") from None
    if not isinstance(row, dict):
        raise BadInput(f"{where}: found {str(row)[:40]}, where an object is expected")
    if missing := {"id", "text", "labels"} - row.keys():
        raise BadInput(f"{where}: no {', '.join(sorted(missing))}; expected are id, text and labels")
    if not isinstance(row["text"], str | None):
        raise BadInput(f"{where}: text is {row['text']!r}, where a string is expected")
    labels = row["labels"]
    if not isinstance(labels, list) or not all(isinstance(label, str) and label for label in labels):
        raise BadInput(f"{where}: labels are {labels!r}, where a list of strings is expected")
    return {**row, "text": row["text"] or ""}


def _options(row: Mapping[str, Any]) -> list[str]:
    """The texts of the labels, if the record has as many as labels."""
    for name in ("options", "choices"):
        texts = row.get(name)
        if isinstance(texts, list) and row["labels"] and len(texts) == len(row["labels"]):
            return [str(text) for text in texts]
    return []


def _reply_cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
