"""Finding words by their beginnings gives what one search for all of them gives."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.parse.claim import _ANNOUNCED, _BEST, _CHOICE_WORD, _CHOSEN, _DECIDED
from quorum.ask.parse.clean import strip_markup
from quorum.ask.parse.ending import read_ending
from quorum.ask.parse.places import Alternatives, PlaceFinder, list_stems
from quorum.ask.parse.quantity import _PLACE
from quorum.ask.reply import _parse_plain

FINDERS = [_ANNOUNCED, _CHOICE_WORD, _CHOSEN, _DECIDED, _BEST, _PLACE]
FILES = [Path(__file__).with_name(name) for name in ("hard_replies.jsonl", "reply_cases.jsonl")]
TEXTS = [json.loads(line)["text"] for file in FILES for line in file.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("finder", FINDERS)
def test_the_places_are_those_of_the_pattern(finder: PlaceFinder) -> None:
    found = {text: [match.span() for match in finder.find_all(text)] for text in TEXTS}
    assert sum(map(len, found.values())) > 5
    assert found == {text: [match.span() for match in finder.pattern.finditer(text)] for text in TEXTS}


def test_stems_are_the_literal_beginnings_of_alternatives() -> None:
    assert list_stems(r"answers?|ans\.?|(?:that|it) is|đáp án|mak(?:es?|ing)") == [
        *("answer", "ans", "that", "it", "đáp án", "mak")
    ]
    with pytest.raises(ValueError, match="no literal beginning"):
        list_stems(r"yes|\d")


def test_words_with_a_capital_that_becomes_two_letters_are_found() -> None:
    words = Alternatives("answer")
    finder = PlaceFinder(re.compile(rf"(?i){words}"), words.stems)
    assert [match.start() for match in finder.find_all("İİİ answer")] == [4]


PIECES = [
    "The answer is ",
    "the correct answer is ",
    "(B)",
    "C",
    "(I)",
    ". ",
    "\n\n",
    "Final Answer: ",
    "so ",
    "not ",
    "if ",
]
PIECES += [
    "Answer: ",
    "A",
    "wait, ",
    "\nQuestion: ",
    "wrong ",
    '{"answer": ',
    '"D"}',
    "**",
    "II",
    " and ",
    "<eoa>",
    "x² ",
    "정답은 ",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=9).map("".join))
@settings(deadline=None, max_examples=400)
def test_the_quick_reading_of_an_ending_is_that_of_the_rules(text: str) -> None:
    labels = tuple("ABCDEFGHIJ")
    quick = read_ending(text, labels, ())
    if quick is not None:
        assert _parse_plain(strip_markup(text), labels, ()).label == quick


def test_the_quick_reading_reads_the_usual_endings() -> None:
    for text in ("So the answer is (C).", "It is a river. The answer is (C).\n\n", "Final Answer: The answer is C"):
        assert read_ending(text, tuple("ABCD"), ()) == "C"
    assert read_ending("C. The answer is A", tuple("ABCD"), ("x", "y", "The answer is A", "z")) is None
