"""Near-duplicates: recall and precision on planted families, and cost by number of rows, against datasketch alone.

python benchmarks/duplicates.py [--rows 1000 10000 100000] [--peer-rows 100000] [--json]

Each file has families of 2, 5, 21, 100 and 500 near-copies among questions of invented words: one word in ten to forty
differs, or two of at least twenty, or the choices' order, or punctuation and case, or a sentence is added. The peer is
datasketch's MinHash-LSH over words and pairs of words of text and choices at the Jaccard similarity .5, each proposal
verified. Each side runs in a process of its own; its clock starts when the questions are in memory.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, run_program

if TYPE_CHECKING:
    from quorum.question import Question

SIDES = ("quorum", "datasketch")
KINDS = ("one word", "two words", "order", "punctuation", "sentence")
SIZES = (2, 2, 2, 2, 2, 5, 5, 21, 100, 500)  # families; each size in every kind


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--peer-rows", type=int, default=100_000, help="at most this many rows for datasketch")
    parser.add_argument("--side", choices=SIDES, help="one side, in this process")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.side:
        print_json(measure_side(given.side, given.rows[0]))
        return DONE
    results = []
    for rows in given.rows:
        for side in SIDES if rows <= given.peer_rows else SIDES[:1]:
            command = [sys.executable, __file__, "--side", side, "--rows", str(rows)]
            results.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            if not given.json:
                print(" ".join(f"{key}={value}" for key, value in results[-1].items()), flush=True)
    if given.json:
        print_json({"results": results})
    return DONE


def measure_side(side: str, rows: int) -> dict[str, Any]:
    """Return recall and precision over pairs, families found whole, CPU seconds and peak memory."""
    from quorum.data.duplicates import cluster_duplicates

    questions = plant_families(rows)
    before = time.process_time()
    clusters = cluster_duplicates(questions) if side == "quorum" else cluster_with_datasketch(questions)
    seconds = time.process_time() - before
    families = [question.id.split("-")[0] for question in questions]
    both = Counter(zip(families, clusters, strict=True))
    sizes, found = Counter(families), count_pairs(both.values())
    whole = sum(count == sizes[family] > 1 for (family, _), count in both.items())
    return {
        "side": side,
        "rows": rows,
        "recall": round(found / count_pairs(sizes.values()), 4),
        "precision": round(found / count_pairs(Counter(clusters).values()), 4),
        "families": sum(size > 1 for size in sizes.values()),
        "whole": whole,
        "biggest": max(Counter(clusters).values()),
        "cpu_seconds": round(seconds, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def count_pairs(sizes: Any) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def plant_families(rows: int) -> "list[Question]":
    """Make questions of which about an eighth are near-copies; an id begins with the family."""
    from quorum.question import Question

    draw = random.Random(1)
    syllables = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(20_000)]

    def draw_words(least: int, most: int) -> list[str]:
        return [words[int(len(words) ** draw.random()) - 1] for _ in range(draw.randint(least, most))]

    def make(id: str, text: Sequence[str], choices: Sequence[str]) -> Question:
        return Question(id=id, text=" ".join(text) + "?", choices=tuple(choices))

    def copy(kind: str, text: list[str], choices: list[str]) -> tuple[list[str], list[str]]:
        if kind == "order":
            return text, draw.sample(choices, len(choices))
        if kind == "punctuation":
            return [word.upper() + draw.choice((",", ";", " ", "")) for word in text], [f"{each}." for each in choices]
        if kind == "sentence":
            return [*draw_words(3, len(text) // 2), ".", *text], choices
        changed = list(text)
        for place in draw.sample(range(len(text)), 1 + (kind == "two words" and len(text) >= 20)):
            changed[place] = "x" + draw.choice(words)
        return changed, choices

    questions: list[Question] = []
    while len(questions) < rows // 8:
        for size in SIZES[: 5 if rows - len(questions) < 4000 else None]:
            kind = draw.choice(KINDS)
            text, choices = draw_words(10, 40), [" ".join(draw_words(1, 3)) for _ in range(4)]
            family = f"family{len(questions)}"
            copies = ((text, choices), *(copy(kind, text, choices) for _ in range(size - 1)))
            questions += [make(f"{family}-{number}", *each) for number, each in enumerate(copies)]
    while len(questions) < rows:
        choices = [" ".join(draw_words(1, 3)) for _ in range(4)]
        questions.append(make(f"single{len(questions)}-0", draw_words(8, 40), choices))
    draw.shuffle(questions)
    return questions


def cluster_with_datasketch(questions: "Sequence[Question]") -> list[int]:
    """Cluster with MinHash-LSH and verified Jaccard similarity, as most deduplication scripts do."""
    from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]

    from quorum.data.words import split_into_words

    cluster = list(range(len(questions)))

    def find(index: int) -> int:
        while cluster[index] != index:
            cluster[index] = cluster[cluster[index]]
            index = cluster[index]
        return index

    lists = [[split_into_words(part) for part in (each.text, *each.choices)] for each in questions]
    items = [{item for part in parts for item in (*part, *zip(part, part[1:], strict=False))} for parts in lists]
    search = MinHashLSH(threshold=0.5, num_perm=128)
    for two, own in enumerate(items):
        sketch = MinHash(num_perm=128)
        sketch.update_batch([repr(item).encode() for item in own])
        for one in search.query(sketch):
            if len(items[one] & own) >= 0.5 * len(items[one] | own):
                cluster[find(one)] = find(two)
        search.insert(two, sketch)
    return [find(index) for index in range(len(questions))]


if __name__ == "__main__":
    run_program(main)
