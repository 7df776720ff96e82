import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.ballot import rank_labels
from quorum.errors import BadInput
from quorum.files.answers import ANSWERS, ballots_from_answers, check_answers, make_answers, read_answers, write_answers

weights = st.dictionaries(st.sampled_from("ABCDEF"), st.floats(0, 1e6), max_size=6)


@given(st.dictionaries(st.text(min_size=1), weights))
def test_ballots_survive_the_frame(ballots):
    frame = make_answers("r", ballots)
    assert ballots_from_answers(frame) == ballots
    assert list(ballots_from_answers(frame)) == list(ballots)


def test_answers_survive_the_disk_and_unread_stays_a_row(tmp_path):
    frame = make_answers("r", {"q1": {"A": 0.7, "B": 0.3}, "q2": {}})
    write_answers(frame, tmp_path / "deep" / "answers.parquet")
    assert read_answers(tmp_path / "deep" / "answers.parquet").equals(frame)
    assert frame.filter(pl.col("id") == "q2").rows() == [("r", "q2", None, 0.0)]


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_an_invalid_weight_is_refused_with_its_question(weight):
    with pytest.raises(BadInput, match="r/q1: A"):
        make_answers("r", {"q1": {"A": weight}})


@pytest.mark.parametrize(
    "rows", [[("r", "q", "A", 1.0), ("r", "q", "A", 1.0)], [("r", "q", "A", 1.0), ("r", "q", None, 0.0)]]
)
def test_a_label_twice_or_read_and_unread_at_once_is_refused(rows):
    with pytest.raises(BadInput, match="r/q"):
        check_answers(pl.DataFrame(rows, schema=ANSWERS, orient="row"), "here")


def test_a_file_that_is_not_answers_is_refused(tmp_path):
    (tmp_path / "a").write_text("id,label")
    with pytest.raises(BadInput, match="not a Parquet file"):
        read_answers(tmp_path / "a")
    pl.DataFrame({"id": ["q"]}).write_parquet(tmp_path / "b")
    with pytest.raises(BadInput, match="expected are"):
        read_answers(tmp_path / "b")


def test_ranked_breaks_a_tie_by_the_alphabet():
    assert rank_labels({"C": 0.4, "A": 0.2, "B": 0.4}) == ["B", "C", "A"]
