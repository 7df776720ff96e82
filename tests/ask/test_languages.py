"""Answers in languages other than English: sentences as models write them."""

import pytest

from quorum.ask.reply import parse_reply
from tests.support.sentences import CASES, SENTENCES


@pytest.mark.parametrize(("language", "text", "label"), CASES)
def test_an_answer_is_read_in_its_language(language: str, text: str, label: str | None) -> None:
    assert parse_reply(text, ("A", "B", "C", "D")).label == label, language


def test_every_language_has_answers_denials_and_choices_between_two() -> None:
    assert len(SENTENCES) == 9
    for language, rows in SENTENCES.items():
        assert sum(label is not None for _, label in rows) >= 7, language
        assert sum(label is None for _, label in rows) >= 2, language
