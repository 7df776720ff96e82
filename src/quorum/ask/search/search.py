"""Search texts by their words (BM25), by their embeddings, or by both.

A search returns hits, best first. `similarity` is between 0 (nothing in common) and 1 for every kind of search, so that
one threshold fits all; `score` is the value that the hits are ranked by.
"""

import hashlib
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from quorum.ask.encoders import Embed, Rerank
from quorum.ask.search.index import VectorIndex
from quorum.ask.search.sources import tokenize_words
from quorum.disk import create_folder
from quorum.errors import BadInput

RANK_CONSTANT = 60  # of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)
POOL = 50  # hits of each search that are fused and reranked


@dataclass(frozen=True, slots=True)
class Hit:
    """A text that was found; `index` is its position among the searched texts, from 0."""

    index: int
    score: float
    similarity: float


class Searcher(Protocol):
    """A search over a fixed list of texts."""

    def search(self, queries: Sequence[str], count: int) -> list[list[Hit]]:
        """Return at most `count` hits for each query, best first."""
        ...


class LexicalSearch:
    """BM25 over words, without a model; equal scores are ordered by index.

    Similarity is the BM25 score as a share of the largest possible score for the query: each of its words that occurs
    in any text adds at most its inverse document frequency.
    """

    def __init__(self, texts: Iterable[str], folder: Path | None = None) -> None:
        """Index `texts`; `folder` caches the index by the hash of its texts, in bm25s's own .npy and .json files."""
        from bm25s import BM25  # type: ignore[import-untyped]

        vocabulary, words, digest = {"": 0}, [], hashlib.sha256()
        for text in texts:
            words.append([vocabulary.setdefault(word, len(vocabulary)) for word in tokenize_words(text)])
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        self.count = len(words)
        cached = folder and folder / f"bm25-{digest.hexdigest()[:32]}"
        if cached and cached.exists():
            self.index: Any = _load_word_index(cached, len(vocabulary), self.count)
            return
        self.index = BM25(method="lucene")
        documents = words if len(vocabulary) > 1 else [[0]]  # if no text has a word, bm25s would divide by 0
        self.index.index((documents, vocabulary), show_progress=False)
        if cached:
            with create_folder(cached) as part:
                self.index.save(part, show_progress=False, allow_pickle=False)

    def search(self, queries: Sequence[str], count: int) -> list[list[Hit]]:
        """Return at most `count` hits for each query; a hit shares at least one word with the query."""
        return [self._search_one(query, count) for query in queries]

    def _search_one(self, query: str, count: int) -> list[Hit]:
        known = [
            self.index.vocab_dict[word]
            for word in dict.fromkeys(tokenize_words(query))
            if word in self.index.vocab_dict
        ]
        if not known or not self.count or not count:
            return []
        scores = self.index.get_scores_from_ids(known)
        found = np.flatnonzero(scores)
        if len(found) > count:
            least = np.partition(scores[found], -count)[-count]
            found = found[scores[found] >= least]
        best = found[np.lexsort((found, -scores[found]))][:count].tolist()
        largest = sum(map(self._compute_max_weight, known))
        return [Hit(index, float(scores[index]), float(scores[index]) / largest) for index in best]

    def _compute_max_weight(self, word: int) -> float:
        """Return the most that a word can add to a score: its inverse document frequency by Lucene's formula."""
        starts = self.index.scores["indptr"]
        documents = int(starts[word + 1] - starts[word])
        return math.log(1 + (self.count - documents + 0.5) / (documents + 0.5))


def _load_word_index(folder: Path, words: int, texts: int) -> Any:
    """Load the index of so many words and texts that bm25s has saved.

    Raises:
        BadInput: the files are damaged, or another index.
    """
    from bm25s import BM25

    fault = f"{folder}: not the index of these texts, or a damaged one; delete it to build it again"
    try:
        index = BM25.load(folder, mmap=True, allow_pickle=False)
        starts, places, weights = (np.asarray(index.scores[name]) for name in ("indptr", "indices", "data"))
        size = int(starts[-1])
        fits = len(starts) >= words and size == len(places) == len(weights) and starts[0] == 0
        inside = not size or bool(places.min() >= 0 and places.max() < max(texts, 1) and np.isfinite(weights).all())
        numbers = sorted(index.vocab_dict.values())
    except (OSError, ValueError, EOFError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(fault) from error
    ordered = bool((np.diff(starts) >= 0).all())
    if not (fits and inside and ordered) or numbers != list(range(len(numbers))) or len(numbers) >= len(starts):
        raise BadInput(fault)
    return index


class DenseSearch:
    """Search by the cosine of embeddings; with a flat index equal cosines are ordered by index."""

    def __init__(self, index: VectorIndex, embed: Embed) -> None:
        self.index, self.embed = index, embed

    def search(self, queries: Sequence[str], count: int) -> list[list[Hit]]:
        """Return at most `count` hits for each query, each with a cosine above 0."""
        if not queries or not count:
            return [[] for _ in queries]
        cosines, indices = self.index.search(np.asarray(self.embed(queries), dtype=np.float32), count)
        return [
            [Hit(index, cosine, min(1.0, cosine)) for cosine, index in zip(*row, strict=True) if index >= 0 < cosine]
            for row in zip(cosines.tolist(), indices.tolist(), strict=True)
        ]


def fuse_rankings(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Merge rankings by the sum of 1 / (60 + rank); keep the best similarity, order equal sums by index."""
    score: dict[int, float] = {}
    similarity: dict[int, float] = {}
    for ranking in rankings:
        for rank, hit in enumerate(ranking, 1):
            score[hit.index] = score.get(hit.index, 0.0) + 1 / (RANK_CONSTANT + rank)
            similarity[hit.index] = max(hit.similarity, similarity.get(hit.index, 0.0))
    return sorted(
        (Hit(index, score[index], similarity[index]) for index in score), key=lambda hit: (-hit.score, hit.index)
    )


def rerank_hits(query: str, hits: Sequence[Hit], texts: Sequence[str], rerank: Rerank) -> list[Hit]:
    """Sort hits by a cross-encoder's scores for their `texts`; equal scores keep their order."""
    scores = rerank(query, texts) if hits else []
    scored = [replace(hit, score=float(score)) for hit, score in zip(hits, scores, strict=True)]
    return sorted(scored, key=lambda hit: -hit.score)


class SearchIndex:
    """One or several searches over the same texts; their rankings are fused and optionally reranked."""

    def __init__(self, texts: Sequence[str], searches: Sequence[Searcher], floor: float = 0.0) -> None:
        self.texts, self.searches, self.floor = texts, searches, floor

    def search(
        self, queries: Sequence[str], count: int, hidden: Sequence[Collection[int]], rerank: Rerank | None = None
    ) -> list[list[Hit]]:
        """Return at most `count` hits for each query, best first.

        Args:
            queries: The texts to search for; an empty query has no hits.
            count: Hits per query.
            hidden: For each query, the indices of texts that must not be hits.
            rerank: A cross-encoder that reorders the best hits.

        Returns:
            One list per query; every hit has at least the similarity `floor`.
        """
        if not self.texts or not count:
            return [[] for _ in queries]
        pool = max(POOL, count) + max(map(len, hidden), default=0)  # enough hits are left after hiding
        results = [searcher.search(queries, pool) for searcher in self.searches]
        ranked = []
        for row, query in enumerate(queries):
            rankings = [
                [hit for hit in hits[row] if hit.index not in hidden[row] and hit.similarity >= self.floor]
                for hits in results
            ]
            best = fuse_rankings(rankings) if len(rankings) > 1 else rankings[0]
            if rerank is not None:
                best = rerank_hits(query, best[:POOL], [self.texts[hit.index] for hit in best[:POOL]], rerank)
            ranked.append(best[:count] if query else [])
        return ranked
