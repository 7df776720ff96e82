"""Read models' replies from JSON lines, and write the answers parsed from them as CSV."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from quorum.ask.reply import parse_reply
from quorum.disk import replace_file
from quorum.errors import BadInput

_PARSED_FIELDS = ("id", "text", "labels", "answer", "reason")  # fields of a reply or of the CSV that are not copied


def read_reply_rows(path: Path) -> list[dict[str, Any]]:
    """Return the records of a JSON lines file; each has `id`, `text` and `labels`.

    Raises:
        BadInput: there is no record, or a line is not such a record.
    """
    rows = list(_iterate_reply_rows(path))
    if not rows:
        raise BadInput(f"{path}: no replies in the file")
    return rows


def write_reply_answers(rows: list[dict[str, Any]], out: Path) -> tuple[int, Counter[str]]:
    """Parse the answer in every reply; write it and the reason, beside the record's other fields.

    Returns:
        The number of replies with an answer, and the number of replies by reason.
    """
    read = 0
    reasons: Counter[str] = Counter()
    others = list(dict.fromkeys(name for row in rows for name in row if name not in _PARSED_FIELDS))
    with replace_file(out) as part, part.open("w", encoding="utf-8", errors="replace", newline="") as file:
        # a line end that begins with a carriage return, so that cells with one are quoted; the file has "\n" on disk
        writer = csv.DictWriter(_LineFeeds(file), [*others, "id", "answer", "reason"], lineterminator="\r\n")
        writer.writeheader()
        for row in rows:
            reading = parse_reply(row["text"], row["labels"], _find_option_texts(row))
            reasons[reading.reason] += 1
            read += reading.label is not None
            cells = {name: _format_reply_cell(row.get(name)) for name in (*others, "id")}
            writer.writerow({**cells, "answer": reading.label or "", "reason": reading.reason})
    return read, reasons


class _LineFeeds:
    """Write rows of CSV that end with "\r\n" to a file with "\n" in its place."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


def _iterate_reply_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _parse_reply_row(line, f"{path}, line {number}")


def _parse_reply_row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except ValueError as error:
        raise BadInput(f"{where}: not JSON in UTF-8: {error}") from None
    except RecursionError:
        raise BadInput(f"{where}: the JSON is nested too deeply") from None
    if not isinstance(row, dict):
        raise BadInput(f"{where}: expected an object, found {str(row)[:40]}")
    if missing := {"id", "text", "labels"} - row.keys():
        raise BadInput(f"{where}: no {', '.join(sorted(missing))}; expected are id, text and labels")
    if not isinstance(row["text"], str | None):
        raise BadInput(f"{where}: text is {row['text']!r}; expected a string or null")
    labels = row["labels"]
    if not isinstance(labels, list) or not all(isinstance(label, str) and label for label in labels):
        raise BadInput(f"{where}: labels are {labels!r}; expected a list of strings")
    return {**row, "text": row["text"] or ""}


def _find_option_texts(row: Mapping[str, Any]) -> list[str]:
    """Return the option texts of a record; none if their number differs from that of its labels."""
    for name in ("options", "choices"):
        texts = row.get(name)
        if isinstance(texts, list) and row["labels"] and len(texts) == len(row["labels"]):
            return [str(text) for text in texts]
    return []


def _format_reply_cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
