"""Retrieval, measured: index kinds against exact search, bm25s against rank_bm25, embedding, and what is found.

python benchmarks/retrieval.py [--n 20000] [--texts 20000] [--sample data/sample] [--json]

Vectors are drawn around centres (64 to a centre), as embeddings of texts lie; a query is a vector with noise. Recall@10
is against the flat index; MiB is the index as it is written, and the peaks are by how much a process of its own grows
while it builds the index and writes it, or opens and searches it (vectors that it maps from disk are counted, though
the system may take their pages back). CPU seconds are the process's, on however many threads OMP_NUM_THREADS allows.
Without --sample nothing is embedded or looked up.
"""

import argparse
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, run_program

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from quorum.ask.encoders import Embed
    from quorum.ask.search.index import VectorIndex
    from quorum.ask.search.search import Searcher
    from quorum.ask.settings import IndexKind

KINDS = ("flat", "hnsw", "ivf", "ivfpq")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20_000, help="vectors (default %(default)s)")
    parser.add_argument("--texts", type=int, default=20_000, help="texts of BM25 (default %(default)s)")
    parser.add_argument("--width", type=int, default=384, help="dimensions (default %(default)s)")
    parser.add_argument("--queries", type=int, default=200, help="default %(default)s")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS, help="of index (default all)")
    parser.add_argument(
        "--sample", type=Path, help="a competition with a background: what is found there, and embedding"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    measured = chain(
        index_rows(args.n, args.width, args.queries, args.kinds),
        bm25_rows(args.texts, args.queries),
        found_rows(args.sample) if args.sample else (),
    )
    if args.json:
        print_json(list(measured))
        return DONE
    for row in measured:
        told = (f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items())
        print(" · ".join(told), flush=True)
    return DONE


@contextmanager
def cpu_seconds() -> Iterator[Callable[[], float]]:
    start = time.process_time()
    yield lambda: time.process_time() - start


def index_rows(count: int, width: int, queries: int, kinds: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Each kind is built, and then opened and searched, in a process of its own, since a peak never falls."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        exact = alone(drawn_vectors, folder, count, width, queries)
        for kind in kinds:
            built = alone(index_built, folder, count, kind)
            found = alone(index_searched, folder, count, kind)
            recall = sum(len(set(one) & set(two)) for one, two in zip(exact, found.places, strict=True)) / 10
            yield {
                "index": kind,
                "n": count,
                "build CPU s": built.seconds,
                "MiB": built.size,
                "build peak MiB": built.peak,
                "search peak MiB": found.peak,
                "recall@10": recall / len(exact),
                "queries a CPU s": len(exact) / found.seconds,
            }


@dataclass(frozen=True)
class Measured:
    """What building or searching took."""

    seconds: float  # of CPU
    peak: float  # MiB by which the process had grown at most
    size: float = 0.0  # MiB of what was built
    places: tuple[list[int], ...] = ()  # what was found


def alone(task: Callable[..., Any], *given: Any) -> Any:
    """What a function returns in a new process; this one stays small, for a child's peak begins with its parent's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(task, *given).result()


def drawn_vectors(folder: Path, count: int, width: int, queries: int) -> list[list[int]]:
    """The ten nearest of each query by exact search; vectors and queries are left in the folder."""
    import numpy as np

    draw = np.random.default_rng(1)
    centres = draw.standard_normal((max(1, count // 64), width)).astype(np.float32)
    index = opened(folder, count, "flat", lambda texts: scattered(centres, len(texts), draw).astype(np.float32))
    asked = index.shards[0][:queries].astype(np.float32)
    asked = unit(asked + 0.3 * noise(len(asked), width, draw))
    np.save(folder / "queries.npy", asked)
    nearest: list[list[int]] = index.search(asked, 10)[1].tolist()
    return nearest


def index_built(folder: Path, count: int, kind: "IndexKind") -> Measured:
    """One kind of index over the vectors in the folder, written to it as a kernel with a cache writes it."""
    kept, before = written_bytes(folder), peak_mib()
    with cpu_seconds() as spent:
        index = opened(folder, count, kind).index
        seconds, peak = spent(), peak_mib() - before
    size = written_bytes(folder) - kept or 4 * index.ntotal * index.d  # a flat one is filled anew, never written
    return Measured(seconds, peak, size / 2**20)


def index_searched(folder: Path, count: int, kind: "IndexKind") -> Measured:
    """The index opened again, and the queries searched for."""
    import numpy as np

    asked, before = np.load(folder / "queries.npy"), peak_mib()
    index = opened(folder, count, kind)
    with cpu_seconds() as spent:
        found = index.search(asked, 10)[1].tolist()
        return Measured(spent(), peak_mib() - before, places=tuple(found))


def opened(folder: Path, count: int, kind: "IndexKind", embed: "Embed | None" = None) -> "VectorIndex":
    from quorum.ask.search.index import make_vector_index

    def no_embed(texts: Sequence[str]) -> "NDArray[np.float32]":
        raise AssertionError(f"{len(texts)} vectors are not in the folder")

    return make_vector_index(map(str, range(count)), embed or no_embed, "drawn", folder, kind)


def written_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.faiss"))


def peak_mib() -> float:
    """The most memory that this process has had, faiss's own and mapped pages included."""
    import faiss  # noqa: F401  # what it takes to be there at all is no index's

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 if sys.platform == "linux" else 1024**2)


def noise(count: int, width: int, draw: "np.random.Generator") -> "NDArray[np.float32]":
    import numpy as np

    drawn: NDArray[np.float32] = (draw.standard_normal((count, width)) / np.sqrt(width)).astype(np.float32)
    return drawn


def unit(vectors: "NDArray[np.float32]") -> "NDArray[np.float32]":
    import numpy as np

    scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def scattered(centres: "NDArray[np.float32]", count: int, draw: "np.random.Generator") -> "NDArray[np.float16]":
    import numpy as np

    chosen = unit(centres[draw.integers(len(centres), size=count)])
    return unit(chosen + 0.8 * noise(count, centres.shape[1], draw)).astype(np.float16)


def bm25_rows(count: int, queries: int) -> Iterator[dict[str, Any]]:
    """Texts of 60 words, as frequent as words are (Zipf); queries of 8."""
    from quorum.ask.search.search import LexicalSearch
    from quorum.ask.search.sources import tokenize_words

    draw = random.Random(1)
    words = [f"w{number}" for number in range(30_000)]
    weights = [1 / (number + 1) for number in range(len(words))]
    texts = [" ".join(draw.choices(words, weights, k=60)) for _ in range(count)]
    asked = [" ".join(draw.sample(text.split(), 8)) for text in draw.sample(texts, min(queries, count))]
    with cpu_seconds() as spent:
        index = LexicalSearch(texts)
        build = spent()
    with cpu_seconds() as spent:
        ours = [hits[0].score for hits in index.search(asked, 10)]
        yield {"BM25": "bm25s", "n": count, "build CPU s": build, "queries a CPU s": len(ours) / spent()}
    try:
        from rank_bm25 import BM25Okapi
    except ImportError:
        yield {"BM25": "rank_bm25", "left out": "not installed (pip install rank_bm25)"}
        return
    with cpu_seconds() as spent:
        peer = BM25Okapi([tokenize_words(text) for text in texts])
        build = spent()
    few = asked[:20]
    with cpu_seconds() as spent:
        for query in few:
            peer.get_top_n(tokenize_words(query), range(count), n=10)
        yield {"BM25": "rank_bm25", "n": count, "build CPU s": build, "queries a CPU s": len(few) / spent()}


def found_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Embedding throughput; how often a passage with the answer's text, and a test question's exact twin, is found."""
    from quorum.ask.search.index import make_vector_index
    from quorum.ask.search.search import DenseSearch, LexicalSearch, SearchIndex
    from quorum.ask.search.sources import read_background
    from quorum.competition.folder import find_competition
    from quorum.data.duplicates import find_duplicates
    from quorum.data.read import read_records
    from quorum.data.repair import repair_table
    from quorum.model.embed import load_embedder

    ground = find_competition(folder)
    assert ground.background is not None, f"{folder} has no background"
    train, test = (repair_table(read_records(path, ground.layout)).questions for path in (ground.train, ground.test))
    passages = list(read_background(ground.background))
    texts, questions = [passage.search_text for passage in passages], [question.text for question in train]
    embed = load_embedder()
    with cpu_seconds() as spent:
        by_meaning = DenseSearch(make_vector_index(texts, embed, ""), embed)
        yield {"embedded": len(texts), "texts a CPU s": len(texts) / spent(), "engine": "torch, fp32"}
    facts = [
        each for each in train if not each.context and any(each.choice(each.answer or "A") in text for text in texts)
    ]
    for name, searches in shelves(by_meaning, LexicalSearch(texts)):
        best = SearchIndex(texts, searches).search([each.text for each in facts], 5, [()] * len(facts))
        ranks = [
            next((rank for rank, hit in enumerate(hits) if each.choice(each.answer or "A") in texts[hit.index]), 99)
            for each, hits in zip(facts, best, strict=True)
        ]
        yield {"answer in passage": name, "n": len(facts)} | recall_at(ranks)
    same = [twin for twin in find_duplicates(test, train) if twin.exact]
    for name, searches in shelves(
        DenseSearch(make_vector_index(questions, embed, ""), embed), LexicalSearch(questions)
    ):
        best = SearchIndex(questions, searches).search([test[twin.question].text for twin in same], 5, [()] * len(same))
        ranks = [
            next((rank for rank, hit in enumerate(hits) if train[hit.index].text == train[twin.other].text), 99)
            for twin, hits in zip(same, best, strict=True)
        ]
        yield {"twin in train": name, "n": len(same)} | recall_at(ranks)


def shelves(dense: "Searcher", lexical: "Searcher") -> list[tuple[str, list["Searcher"]]]:
    return [("lexical", [lexical]), ("dense", [dense]), ("hybrid", [lexical, dense])]


def recall_at(ranks: list[int]) -> dict[str, float]:
    return {f"recall@{k}": sum(rank < k for rank in ranks) / max(1, len(ranks)) for k in (1, 3, 5)}


if __name__ == "__main__":
    run_program(main)
