"""Texts found by their words, by their meaning, or by both.

A search gives hits, best first. `similarity` lies between 0 (nothing in common) and 1, whatever the search, so that one
floor serves all; `score` is what the ranking went by.
"""

import hashlib
import math
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from quorum.ask.search.index import Embed, VectorIndex
from quorum.ask.search.sources import tokenize_words

RANK_CONSTANT = 60  # of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)
POOL = 50  # hits of each search that are fused and reranked

# A query and passages -> a score for each passage, higher is better: a cross-encoder.
Rerank = Callable[[str, Sequence[str]], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Hit:
    """A text that was found: its place among those searched, from 0."""

    place: int
    score: float
    similarity: float


class Searcher(Protocol):
    """Anything that finds texts."""

    def hits(self, queries: Sequence[str], count: int) -> list[list[Hit]]:
        """At most `count` hits for each query, best first."""
        ...


class LexicalSearch:
    """BM25 over words; needs no model. Equal scores go by place.

    Similarity is the BM25 score as a share of what a text could get at most: every word of the query that stands in any
    text, in plenty.
    """

    def __init__(self, texts: Iterable[str], folder: Path | None = None) -> None:
        """`folder` keeps the index under the fingerprint of its texts, in bm25s's own .npy and .json files."""
        from bm25s import BM25  # type: ignore[import-untyped]

        vocabulary, words, digest = {"": 0}, [], hashlib.sha256()
        for text in texts:
            words.append([vocabulary.setdefault(word, len(vocabulary)) for word in tokenize_words(text)])
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        self.count = len(words)
        kept = folder and folder / f"bm25-{digest.hexdigest()[:32]}"
        if kept and kept.exists():
            self.index: Any = BM25.load(kept, mmap=True, allow_pickle=False)
            return
        self.index = BM25(method="lucene")
        spoken = words if len(vocabulary) > 1 else [[0]]  # where no text has a word, bm25s would divide by 0
        self.index.index((spoken, vocabulary), show_progress=False)
        if kept:
            part = kept.with_name(f"{kept.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            self.index.save(part, show_progress=False, allow_pickle=False)
            part.rename(kept)

    def hits(self, queries: Sequence[str], count: int) -> list[list[Hit]]:
        """At most `count` hits for each query; a text without a word of the query is none."""
        return [self._hits(query, count) for query in queries]

    def _hits(self, query: str, count: int) -> list[Hit]:
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
        most = sum(map(self._weight, known))
        return [Hit(place, float(scores[place]), float(scores[place]) / most) for place in best]

    def _weight(self, word: int) -> float:
        """The most that a word can add to a score: its inverse document frequency, as Lucene counts it."""
        starts = self.index.scores["indptr"]
        having = int(starts[word + 1] - starts[word])
        return math.log(1 + (self.count - having + 0.5) / (having + 0.5))


class DenseSearch:
    """The cosine of embeddings; equal cosines go by place where the index is a flat one."""

    def __init__(self, index: VectorIndex, embed: Embed) -> None:
        self.index, self.embed = index, embed

    def hits(self, queries: Sequence[str], count: int) -> list[list[Hit]]:
        """At most `count` hits for each query, each with a cosine above 0."""
        if not queries or not count:
            return [[] for _ in queries]
        cosines, places = self.index.search(np.asarray(self.embed(queries), dtype=np.float32), count)
        return [
            [Hit(place, cosine, min(1.0, cosine)) for cosine, place in zip(row, at, strict=True) if place >= 0 < cosine]
            for row, at in zip(cosines.tolist(), places.tolist(), strict=True)
        ]


def fuse_rankings(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """One ranking out of several, by the sum of 1 / (60 + rank); the best similarity stays, equal sums go by place."""
    score: dict[int, float] = {}
    similarity: dict[int, float] = {}
    for ranking in rankings:
        for rank, hit in enumerate(ranking, 1):
            score[hit.place] = score.get(hit.place, 0.0) + 1 / (RANK_CONSTANT + rank)
            similarity[hit.place] = max(hit.similarity, similarity.get(hit.place, 0.0))
    return sorted(
        (Hit(place, score[place], similarity[place]) for place in score), key=lambda hit: (-hit.score, hit.place)
    )


def rerank_hits(query: str, hits: Sequence[Hit], texts: Sequence[str], rerank: Rerank) -> list[Hit]:
    """The hits in the order of a cross-encoder's scores for their `texts`; equal scores keep their order."""
    scores = rerank(query, texts) if hits else []
    scored = [replace(hit, score=float(score)) for hit, score in zip(hits, scores, strict=True)]
    return sorted(scored, key=lambda hit: -hit.score)


class SearchIndex:
    """Texts, and one or several searches over them whose rankings are fused and, with a cross-encoder, put in order."""

    def __init__(self, texts: Sequence[str], searches: Sequence[Searcher], floor: float = 0.0) -> None:
        self.texts, self.searches, self.floor = texts, searches, floor

    def best(
        self, queries: Sequence[str], count: int, hidden: Sequence[Collection[int]], rerank: Rerank | None = None
    ) -> list[list[Hit]]:
        """At most `count` hits for each query, best first, none among the places that are `hidden` from it.

        A hit is at least as similar as the floor; an empty query has none.
        """
        if not self.texts or not count:
            return [[] for _ in queries]
        pool = max(POOL, count) + max(map(len, hidden), default=0)  # so many are left, whatever is hidden
        found = [search.hits(queries, pool) for search in self.searches]
        ranked = []
        for place, query in enumerate(queries):
            open_hits = [
                [hit for hit in hits[place] if hit.place not in hidden[place] and hit.similarity >= self.floor]
                for hits in found
            ]
            best = fuse_rankings(open_hits) if len(open_hits) > 1 else open_hits[0]
            if rerank is not None:
                best = rerank_hits(query, best[:POOL], [self.texts[hit.place] for hit in best[:POOL]], rerank)
            ranked.append(best[:count] if query else [])
        return ranked
