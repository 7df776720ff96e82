"""Pack views of questions for the page: compressed in blocks, so that the page decompresses only what is opened."""

import base64
import gzip
import json
from dataclasses import dataclass

from quorum.evaluation.report.text import make_printable
from quorum.evaluation.report_extras import LoadViews
from quorum.evaluation.report_facts import Facts

MAX_VIEW_BYTES = 4_000_000  # of all views in the page
_BLOCK = 40  # questions in a block
_MAX_PART = 20_000  # characters of a prompt or a reply


@dataclass(frozen=True, slots=True)
class PackedViews:
    """Views of the first `count` questions, in blocks of `size` of them: JSON, compressed with gzip, as Base64.

    A block holds, by the number of the run and then of the question, a list of (title, note, text).
    """

    blocks: tuple[str, ...] = ()
    size: int = _BLOCK
    count: int = 0


def pack_views(facts: Facts, load: LoadViews | None, limit: int, budget: int = MAX_VIEW_BYTES) -> PackedViews:
    """Return the views of the hardest questions, at most `limit`, as many as fit into `budget` bytes."""
    questions, blocks, used = facts.questions[:limit], list[str](), 0
    for start in range(0, len(questions) if load else 0, _BLOCK):
        block = {}
        numbers = {one.question.id: number for number, one in enumerate(questions[start : start + _BLOCK], start)}
        for place, run in enumerate(facts.runs):  # a run's prompts have beginnings in common, which compress together
            views = load(run, list(numbers)) if load else {}
            block[place] = {
                numbers[id]: [
                    (make_printable(part.title), make_printable(part.note), make_printable(part.text, _MAX_PART))
                    for part in parts
                ]
                for id, parts in views.items()
            }
        packed = gzip.compress(json.dumps(block, separators=(",", ":")).encode(), mtime=0)
        used += len(packed) * 4 // 3
        if used > budget or (not any(block.values()) and not blocks):
            break
        blocks.append(base64.b64encode(packed).decode())
    return PackedViews(tuple(blocks), _BLOCK, min(len(questions), len(blocks) * _BLOCK))
