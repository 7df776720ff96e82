import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.search.sources import _split_windows, count_tokens, read_background, tokenize_words
from quorum.errors import BadInput


def test_every_file_format_gives_passages_in_the_order_of_file_names(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffOne\r\nline.\r\n\r\n\r\nTwo.".encode())
    (tmp_path / "b.md").write_text("# Bridges\n\nOrla has one.\n\n## Beasts\nThe Zukerask.\n")
    (tmp_path / "c.jsonl").write_text('{"title": "Orla", "text": "A town."}\n\n{"text": "Plain."}\n{"text": " "}\n')
    (tmp_path / "deep").mkdir()
    pl.DataFrame({"text": ["Rows.", None], "title": ["T", "U"]}).write_parquet(tmp_path / "deep" / "d.parquet")
    (tmp_path / "e.pdf").write_text("ignored")
    assert [(each.source, each.prompt_text) for each in read_background(tmp_path)] == [
        ("a.txt 1", "One\nline."),
        ("a.txt 2", "Two."),
        ("b.md 1", "Bridges\nOrla has one."),
        ("b.md 2", "Beasts\nThe Zukerask."),
        ("c.jsonl 1", "Orla\nA town."),
        ("c.jsonl 3", "Plain."),
        ("deep/d.parquet 1", "T\nRows."),
    ]


def test_a_title_repeated_in_the_text_is_searched_but_not_shown_twice(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"title": "Orla", "text": "Orla is a town."}\n')
    (passage,) = read_background(tmp_path)
    assert (passage.prompt_text, passage.search_text) == ("Orla is a town.", "Orla\nOrla is a town.")


def test_a_long_text_is_split_into_overlapping_windows(tmp_path):
    (tmp_path / "a.txt").write_text("one two three four five six seven")
    found = list(read_background(tmp_path, tokens=4, overlap=1))
    assert [(each.source, each.text) for each in found] == [
        ("a.txt 1.1", "one two three four"),
        ("a.txt 1.2", "four five six seven"),
    ]


@given(st.text("ab .,한", max_size=60), st.integers(1, 9), st.data())
@settings(deadline=None, max_examples=150)
def test_windows_cover_the_text_and_keep_to_the_limit(text, tokens, data):
    overlap = data.draw(st.integers(0, tokens - 1))
    windows = list(_split_windows(text, tokens, overlap))
    assert all(count_tokens(window) <= tokens for window in windows)
    assert max(map(len, windows)) <= len(text)
    words = [word for window in windows for word in tokenize_words(window)]
    assert set(words) == set(tokenize_words(text))
    assert len(words) >= len(tokenize_words(text))
    assert len(set(windows)) == 1 or len(windows) <= 1 + len(text)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"{", "line 1: not JSON"),
        ("a.jsonl", b'{"body": "x"}', "a string in 'text'"),
        ("a.jsonl", b'{"text": "x"}\n' + b"[" * 200_000, "line 2: JSON that cannot be read: maximum recursion"),
        ("a.jsonl", b'{"text": ' + b"9" * 5000 + b"}", "line 1: JSON that cannot be read: Exceeds the limit"),
        ("a.txt", b"\xff\xfe\xfa", "not UTF-8"),
        ("a.parquet", b"no parquet at all", "not a Parquet file"),
        ("a.txt", b"  \n", "has no text"),
    ],
)
def test_an_invalid_background_file_is_refused_with_its_location(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=message):
        list(read_background(tmp_path))


def test_a_table_without_a_text_column_is_refused(tmp_path):
    pl.DataFrame({"body": ["x"]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="columns body"):
        list(read_background(tmp_path))


def test_a_missing_folder_and_an_overlap_of_a_whole_window_are_refused(tmp_path):
    with pytest.raises(BadInput, match="no such folder"):
        list(read_background(tmp_path / "none"))
    with pytest.raises(BadInput, match="overlap"):
        list(read_background(tmp_path, tokens=4, overlap=4))
