"""Reads the answers out of models' replies: JSON lines in, a CSV with `answer` and `reason` out.

Each line of FILE holds `id`, `text`, `labels` (an empty list: an open, numeric question) and any other fields. OUT has
those other fields, `id`, `answer` (empty where a reply is unread) and `reason`. Where a field `options` or `choices`
lists the text of each label, those texts are read as well.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quorum.console import DONE, print_json, run_program
from quorum.errors import BadInput


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE", type=Path, help="replies as JSON lines")
    parser.add_argument("--out", metavar="OUT.csv", type=Path, required=True, help="where the answers go")
    parser.add_argument("--json", action="store_true", help="print the counts as one JSON document")
    args = parser.parse_args()

    import csv

    from quorum.ask.reply import parse_reply
    from quorum.disk import replace_file

    rows = list(_rows(args.file))
    if not rows:
        raise BadInput(f"{args.file}: holds no reply")
    reasons: Counter[str] = Counter()
    read = 0
    others = list(dict.fromkeys(name for row in rows for name in row if name not in _OWN))
    with replace_file(args.out) as part, part.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.DictWriter(file, [*others, "id", "answer", "reason"], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            reading = parse_reply(row["text"], row["labels"], _options(row))
            reasons[reading.reason] += 1
            read += reading.label is not None
            cells = {name: _cell(row.get(name)) for name in (*others, "id")}
            writer.writerow({**cells, "answer": reading.label or "", "reason": reading.reason})
    if args.json:
        print_json({"replies": len(rows), "read": read, "reasons": dict(reasons.most_common()), "out": str(args.out)})
    else:
        print(f"{read} of {len(rows)} replies read ({read / len(rows):.1%}): {args.out}")
        for reason, count in reasons.most_common():
            print(f"{count:8} {reason}")
    return DONE


_OWN = {"id", "text", "labels", "answer", "reason"}  # what OUT has in a form of its own


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a JSON lines file, each known to have what is needed."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _row(line, f"{path}, line {number}")


def _row(line: bytes, where: str) -> dict[str, Any]:
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


def _options(row: dict[str, Any]) -> list[str]:
    """The texts of the labels, where the record has as many as labels."""
    for name in ("options", "choices"):
        texts = row.get(name)
        if isinstance(texts, list) and row["labels"] and len(texts) == len(row["labels"]):
            return [str(text) for text in texts]
    return []


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


if __name__ == "__main__":
    run_program(main)
