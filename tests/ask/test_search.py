import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.retrieve import Retriever
from quorum.ask.search.index import build_index, choose_index_kind, make_model_key, make_vector_index
from quorum.ask.search.search import DenseSearch, Hit, LexicalSearch, SearchIndex, fuse_rankings, rerank_hits
from quorum.ask.settings import IndexKind, RetrievalSettings
from quorum.errors import BadInput
from quorum.question import Question

TEXTS = ["the bridge at Orla", "a river without a bridge", "Zukerask eats crabs", ""]


def indices(hits):
    return [hit.index for hit in hits]


def hashed(texts):
    """A stand-in for a sentence encoder: the words of a text, hashed into 16 dimensions, on the unit sphere."""
    vectors = np.full((len(texts), 16), 1e-3, dtype=np.float32)
    for row, text in enumerate(texts):
        for word in text.split():
            vectors[row, sum(map(ord, word)) % 16] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_lexical_search_finds_only_texts_with_a_word_of_the_query():
    found = LexicalSearch(TEXTS).search(["Which BRIDGE is at Orla?", "crabs", "nothing of it", ""], 5)
    assert [indices(hits) for hits in found] == [[0, 1], [2], [], []]
    assert all(0 < hit.similarity <= 1 for hits in found for hit in hits)


def test_equal_scores_are_ordered_by_index():
    assert indices(LexicalSearch(["b", "a b", "a b", "a b"]).search(["a"], 2)[0]) == [1, 2]


def test_a_name_is_found_in_a_script_without_spaces():
    assert indices(LexicalSearch(TEXTS).search(["Zukerask은 무엇을 먹습니까"], 5)[0]) == [2]


def test_a_search_over_no_texts_or_for_no_hits_finds_nothing():
    assert LexicalSearch([]).search(["a"], 3) == [[]]
    assert LexicalSearch(["", " "]).search(["a"], 3) == [[]]
    assert LexicalSearch(TEXTS).search(["bridge"], 0) == [[]]


@given(st.lists(st.lists(st.sampled_from("abcdefg"), max_size=6).map(" ".join), min_size=1, max_size=12))
@settings(deadline=None, max_examples=30)
def test_lexical_hits_share_a_word_with_the_query_and_are_ranked(texts):
    for query, hits in zip(["a", "b c", "g"], LexicalSearch(texts).search(["a", "b c", "g"], 4), strict=True):
        having = [index for index, text in enumerate(texts) if set(query.split()) & set(text.split())]
        assert set(indices(hits)) <= set(having)
        assert len(hits) == min(4, len(having))
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_cached_index_gives_the_same_hits_and_contains_no_pickle(tmp_path):
    built, cached = LexicalSearch(TEXTS, tmp_path), LexicalSearch(TEXTS, tmp_path)
    assert (
        cached.search(["bridge at"], 4)
        == built.search(["bridge at"], 4)
        == LexicalSearch(TEXTS).search(["bridge at"], 4)
    )
    for path in tmp_path.rglob("*.npy"):
        np.load(path, allow_pickle=False)
    assert len(list(tmp_path.iterdir())) == 1
    LexicalSearch([*TEXTS, "another"], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_dense_search_ranks_by_cosine():
    dense = DenseSearch(make_vector_index(TEXTS, hashed, "hashed"), hashed)
    assert indices(dense.search(["river bridge without"], 2)[0])[0] == 1
    assert dense.search([], 3) == []


def test_rankings_are_fused_by_reciprocal_rank():
    one = [Hit(4, 9.0, 0.9), Hit(2, 8.0, 0.8)]
    two = [Hit(2, 0.7, 0.7), Hit(3, 0.6, 0.6), Hit(4, 0.5, 0.5)]
    assert [(hit.index, round(hit.score, 6), hit.similarity) for hit in fuse_rankings([one, two])] == [
        (2, round(1 / 62 + 1 / 61, 6), 0.8),
        (4, round(1 / 61 + 1 / 63, 6), 0.9),
        (3, round(1 / 62, 6), 0.6),
    ]


def test_a_reranker_decides_the_order_and_equal_scores_keep_it():
    hits = [Hit(0, 3.0, 0.3), Hit(1, 2.0, 0.2), Hit(2, 1.0, 0.1)]
    found = rerank_hits("q", hits, ["b", "a", "b"], lambda query, texts: [float(text == "b") for text in texts])
    assert indices(found) == [0, 2, 1]


def test_hidden_texts_are_replaced_by_the_next_hits():
    texts = [f"bridge {number}" for number in range(80)]
    index = SearchIndex(texts, [LexicalSearch(texts)])
    assert indices(index.search(["bridge"], 2, [frozenset(range(70))])[0]) == [70, 71]


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf", "ivfpq"])
def test_every_kind_of_index_finds_a_vector_itself(kind: IndexKind, tmp_path):
    vectors = np.random.default_rng(1).standard_normal((600, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [str(number) for number in range(600)]

    def embed(asked):
        return vectors[list(map(int, asked))]

    for _ in range(2):  # built, then opened
        index = make_vector_index(texts, embed, "random", tmp_path, kind)
        cosines, found = index.search(vectors[:50], 5)
        assert (found[:, 0] == np.arange(50)).mean() > 0.9
        assert np.allclose(cosines[found[:, 0] == np.arange(50), 0], 1, atol=2e-3)


def test_an_interrupted_build_continues_and_only_changed_shards_are_embedded_again(tmp_path, monkeypatch):
    monkeypatch.setattr("quorum.ask.search.index.SHARD_SIZE", 2)
    embedded: list[list[str]] = []

    def embed(texts):
        if "three" in texts and not embedded[1:]:
            embedded.append(["killed"])
            raise KeyboardInterrupt
        embedded.append(list(texts))
        return hashed(texts)

    texts = ["one", "two", "three", "four", "five"]
    with pytest.raises(KeyboardInterrupt):
        make_vector_index(texts, embed, "m", tmp_path)
    make_vector_index(texts, embed, "m", tmp_path)
    assert embedded == [["one", "two"], ["killed"], ["three", "four"], ["five"]]
    make_vector_index([*texts[:4], "six"], embed, "m", tmp_path)
    assert embedded[4:] == [["six"]]
    make_vector_index(texts[:2], embed, "another model", tmp_path)
    assert embedded[5:] == [["one", "two"]]


def test_new_weights_in_a_model_folder_change_the_key_and_another_location_does_not(tmp_path):
    solved = [
        Question(id=f"q{n}", text=text or "empty", choices=("a", "b"), answer="A") for n, text in enumerate(TEXTS)
    ]
    embedded: list[list[str]] = []

    def load_embed(model):
        def embed(texts):
            embedded.append((tmp_path / model / "1_Pooling" / "w").read_text())
            return hashed(texts)

        return embed

    for folder, weights in (("m", "first"), ("m", "second"), ("m", "second"), ("moved", "second"), ("m", "first")):
        (tmp_path / folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / ".cache").mkdir(exist_ok=True)
        (tmp_path / folder / ".cache" / "downloaded").write_text(f"{len(embedded)} {folder}")
        (tmp_path / folder / "1_Pooling" / "w").write_text(weights)
        settings = RetrievalSettings(examples=1, search="dense", model=str(tmp_path / folder), cache=tmp_path / "cache")
        Retriever(settings, solved, load_embed, load_embed)
    assert embedded == ["first", "second"]


def test_the_key_of_a_hub_model_contains_its_commit(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    refs = tmp_path / "models--sentence-transformers--small" / "refs"
    refs.mkdir(parents=True)
    for commit in ("a" * 40, "b" * 40):
        (refs / "main").write_text(commit)
        (refs.parent / "snapshots" / commit).mkdir(parents=True)
        expected = f"sentence-transformers/small@{commit}"
        assert [make_model_key(name) for name in ("small", "sentence-transformers/small")] == [expected, expected]
    assert [make_model_key(name) for name in ("", "packaged", "/no/such/folder")] == ["", "packaged", "/no/such/folder"]


def test_the_index_kind_depends_on_the_number_of_vectors():
    assert [choose_index_kind(n) for n in (1, 100_000, 100_001, 2_000_001)] == ["flat", "flat", "hnsw", "ivfpq"]


def test_an_index_over_no_texts_is_refused():
    with pytest.raises(BadInput, match="there are no texts"):
        make_vector_index([], hashed, "m")


def test_one_vector_is_enough_for_every_kind():
    for kind in ("flat", "hnsw", "ivf"):
        assert build_index([hashed(["one"]).astype(np.float16)], kind).ntotal == 1


def tamper(path, content):
    before = path.read_bytes()
    for change in content:
        path.write_bytes(change(before))
        yield
    path.write_bytes(before)


CHANGES = (
    lambda content: b"",
    lambda content: content[: len(content) // 2],
    lambda content: bytes(len(content)),
    lambda content: content[:-8] + b"\xff" * 8,
    lambda content: b"\x80\x04\x95 a pickle",
)


def test_a_tampered_index_of_words_is_one_line_or_harmless(tmp_path):
    texts = [f"red house {n}" for n in range(40)]
    expected = LexicalSearch(texts, tmp_path).search(["red 7"], 3)
    (folder,) = tmp_path.iterdir()
    refused = []
    for path in sorted(folder.iterdir()):
        for _ in tamper(path, CHANGES):
            try:
                assert len(LexicalSearch(texts, tmp_path).search(["red 7"], 3)[0]) <= 3
            except BadInput as error:
                refused.append(str(error))
    assert len(refused) >= 8
    assert all("delete it to build it again" in message and "\n" not in message for message in refused)
    assert LexicalSearch(texts, tmp_path).search(["red 7"], 3) == expected


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_tampered_embeddings_and_indexes_are_one_line_or_harmless(kind, tmp_path):
    def make():
        rng = np.random.default_rng(0)
        index = make_vector_index(
            [f"text {n}" for n in range(60)], lambda texts: rng.random((len(texts), 8), np.float32), "m", tmp_path, kind
        )
        return index.search(np.ones((1, 8), np.float32), 3)

    make()
    refused = []
    for path in sorted(tmp_path.iterdir()):
        for _ in tamper(path, CHANGES):
            try:
                make()
            except BadInput as error:
                refused.append(str(error))
    assert len(refused) >= 4 * (1 if kind == "flat" else 2)
    assert all("delete it" in message for message in refused)
