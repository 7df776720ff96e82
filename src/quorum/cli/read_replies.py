"""`quorum read-replies`: read the answers from models' replies."""

from pathlib import Path
from typing import Annotated

import typer

from quorum.cli.options import AsJson
from quorum.cli.tables import print_line, print_table
from quorum.console import DONE, print_json


def read_replies_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Replies: JSON lines, or any other table.")],
    out: Annotated[Path, typer.Option(metavar="CSV", help="File to write the answers to.")],
    as_json: AsJson = False,
) -> int:
    """Read the answers from models' replies.

    Each row of FILE has id, text, labels (an empty list for an open, numeric question) and any other fields. The CSV
    has these other fields, id, answer (empty if the reply is unread) and reason. If a field options or choices lists
    the text of each label, an answer given by its text is read too.
    """
    from quorum.files.replies import read_reply_rows, write_reply_answers

    rows = read_reply_rows(file)
    read, reasons = write_reply_answers(rows, out)
    if as_json:
        print_json({"replies": len(rows), "read": read, "reasons": dict(reasons.most_common()), "out": str(out)})
    else:
        print_line(f"{read} of {len(rows)} replies read ({read / len(rows):.1%}): {out}")
        print_table(["reason", "replies"], [[reason, str(count)] for reason, count in reasons.most_common()])
    return DONE
