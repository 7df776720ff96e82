"""Vectors on disk, and an index over them that fits their number.

Embeddings are kept in shards of 10,000 as float16 .npy files, each named by the SHA-256 of the model's key and its
texts: embedding that was killed goes on where it stood, a changed text makes one shard anew, another model all. The
index over them is FAISS's own file, named by its kind and its shards; one whose build was killed is built anew. Nothing
is pickled.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from quorum.ask.settings import IndexKind
from quorum.console import Progress
from quorum.disk import fingerprint, replace_file
from quorum.errors import BadInput

Embed = Callable[[Sequence[str]], NDArray[np.float32]]  # n texts -> n unit vectors, one a row
Shard = NDArray[np.float16]

FLAT_UP_TO, HNSW_UP_TO = 100_000, 2_000_000  # vectors
SHARD_SIZE = 10_000
_HNSW_LINKS, _BUILD_BREADTH, _SEARCH_BREADTH = 32, 80, 96  # of HNSW (Malkov and Yashunin, arXiv 1603.09320)
_TRAINED_ON, _PROBED = (
    64,
    16,
)  # of IVF: vectors a list that its centres are learnt from; one list in so many is searched
_SUBVECTOR = 4  # dimensions that one byte of a product code stands for
_REFINED = 10  # candidates a wanted one whose codes are replaced by the vectors on disk


class VectorIndex:
    """The nearest of many unit vectors, by their cosine.

    Codes of IVF-PQ are coarse: ten times as many as are wanted are found by code, then ranked by their own vectors.
    """

    def __init__(self, index: Any, shards: Sequence[Shard], kind: IndexKind) -> None:
        self.index, self.shards, self.kind = index, shards, kind

    def search(self, queries: NDArray[np.float32], count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines and places of the nearest, best first: two arrays (queries, count); -1 where there are fewer."""
        count = min(count, self.index.ntotal)
        if self.kind != "ivfpq":
            return cast(tuple[NDArray[np.float32], NDArray[np.int64]], self.index.search(queries, count))
        places = self.index.search(queries, min(_REFINED * count, self.index.ntotal))[1]
        exact = np.full(places.shape, -np.inf, dtype=np.float32)
        for row, column in np.argwhere(places >= 0):
            shard, place = divmod(int(places[row, column]), SHARD_SIZE)
            exact[row, column] = queries[row] @ self.shards[shard][place].astype(np.float32)
        order = np.argsort(-exact, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(exact, order, axis=1), np.take_along_axis(places, order, axis=1)


def choose_index_kind(count: int) -> IndexKind:
    """The kind for so many vectors: exact while that is cheap, a graph while it fits in memory, then lists of codes."""
    if count <= FLAT_UP_TO:
        return "flat"
    return "hnsw" if count <= HNSW_UP_TO else "ivfpq"


def make_model_key(model: str) -> str:
    """What tells a model's embeddings from those of any other, or of the same one trained on.

    A folder is known by the names and bytes of its files, wherever it lies (hidden ones aside: what a download notes);
    a hub id by itself and the commit in the hub's cache, once it is loaded; any other name stands for itself.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    folder = Path(model)
    if model and folder.is_dir():
        names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        seen = [name for name in names if not any(part.startswith(".") for part in name.parts)]
        lines = "".join(f"{fingerprint(folder / name)}  {name.as_posix()}\n" for name in seen)
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    for name in (model, f"sentence-transformers/{model}"):  # a bare name is looked for there
        try:
            return f"{name}@{Path(snapshot_download(name, local_files_only=True)).name}"
        except (HFValidationError, LocalEntryNotFoundError):
            continue
    return model


def make_vector_index(
    texts: Iterable[str],
    embed: Embed,
    model: str,
    folder: Path | None = None,
    kind: IndexKind | None = None,
    progress: Progress | None = None,
) -> VectorIndex:
    """An index over the vectors of `texts`, built or, where `folder` has it already, opened.

    Without a folder all stays in memory; in it, `model` (see `make_model_key`) tells models apart.
    `kind` is chosen by the number of texts where it is None.

    Raises:
        BadInput: there are no texts.
    """
    shards, names = [], []
    for batch in _split_batches(texts):
        name = hashlib.sha256("\0".join([model, *batch]).encode("utf-8", "surrogatepass")).hexdigest()
        shards.append(_load_or_embed_shard(batch, embed, folder and folder / f"{name[:32]}.npy"))
        names.append(name)
        if progress is not None:
            progress(len(shards), len(shards))
    if not shards:
        raise BadInput("an index needs texts, and there are none")
    chosen = kind or choose_index_kind(sum(map(len, shards)))
    if folder is None or chosen == "flat":  # a flat index is its shards again: faster to fill than to keep twice
        return VectorIndex(build_index(shards, chosen), shards, chosen)
    name = hashlib.sha256(" ".join([chosen, *names]).encode()).hexdigest()
    return VectorIndex(_load_or_build_index(shards, chosen, folder / f"{name[:32]}.faiss"), shards, chosen)


def build_index(shards: Sequence[Shard], kind: IndexKind) -> Any:
    """A FAISS index over shards of vectors; what is learnt is learnt from vectors drawn from all of them, seed 1."""
    import faiss

    index: Any
    count, width = sum(map(len, shards)), shards[0].shape[1]
    match kind:
        case "flat":
            index = faiss.IndexFlatIP(width)
        case "hnsw":
            index = faiss.IndexHNSWFlat(width, _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction, index.hnsw.efSearch = _BUILD_BREADTH, _SEARCH_BREADTH
        case "ivf" | "ivfpq":
            lists = max(1, min(int(4 * math.sqrt(count)), count // 39))  # FAISS warns below 39 vectors a list
            codes = "Flat" if kind == "ivf" else f"PQ{width // _SUBVECTOR}"
            index = faiss.index_factory(width, f"IVF{lists},{codes}", faiss.METRIC_INNER_PRODUCT)
            index.train(_sample_vectors(shards, max(_TRAINED_ON * lists, 40 * 256)))
            index.nprobe = max(1, lists // _PROBED)
    for shard in shards:
        index.add(shard.astype(np.float32))
    return index


def _load_or_build_index(shards: Sequence[Shard], kind: IndexKind, path: Path) -> Any:
    """The index in a file, which is made first where it is not there; inverted lists stay on disk and are mapped."""
    import faiss

    if not path.exists():
        with replace_file(path) as part:
            faiss.write_index(build_index(shards, kind), str(part))
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP if kind.startswith("ivf") else 0)


def _split_batches(texts: Iterable[str]) -> Iterator[list[str]]:
    left = iter(texts)
    while batch := list(islice(left, SHARD_SIZE)):
        yield batch


def _load_or_embed_shard(texts: Sequence[str], embed: Embed, path: Path | None) -> Shard:
    if path is None:
        return embed(texts).astype(np.float16)
    if not path.exists():
        with replace_file(path) as part, part.open("wb") as file:
            np.save(file, embed(texts).astype(np.float16), allow_pickle=False)
    return cast(Shard, np.load(path, mmap_mode="r", allow_pickle=False))


def _sample_vectors(shards: Sequence[Shard], count: int) -> NDArray[np.float32]:
    """About `count` vectors, as many from each shard in proportion to its size."""
    share = min(1.0, count / sum(map(len, shards)))
    draw = np.random.default_rng(1)
    picked = [shard[np.sort(draw.choice(len(shard), math.ceil(share * len(shard)), replace=False))] for shard in shards]
    return np.concatenate(picked).astype(np.float32)
