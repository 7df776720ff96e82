"""Claims of a reply: the cases of reply_cases.jsonl, several claims, and replies that were cut."""

import json
from pathlib import Path
from typing import Any

import pytest

from quorum.ask.reply import ballot_from_reply, parse_reply
from quorum.question import Prompt, ReasoningMarkers, Reply

CASES = [json.loads(line) for line in Path(__file__).with_name("reply_cases.jsonl").read_text("utf-8").splitlines()]
FOUR, TEN = tuple("ABCD"), tuple("ABCDEFGHIJ")


@pytest.mark.parametrize("row", CASES, ids=lambda row: row["item"])
def test_each_case_is_read_as_a_careful_person_reads_it(row: dict[str, Any]) -> None:
    assert parse_reply(row["text"], row["labels"], row.get("options", ())).label == row["label"], row["text"]


def test_every_language_has_answers_and_replies_that_are_none() -> None:
    languages = ("Italian", "Portuguese", "Russian", "Arabic", "Indonesian", "Polish", "Hindi", "Turkish", "Thai")
    for language in languages:
        found = [row["label"] for row in CASES if row["item"] == language]
        assert sum(label is not None for label in found) >= 7, language
        assert found.count(None) >= 2, language


@pytest.mark.parametrize(
    "text",
    [
        "I would choose (C) here.\nFinal answer: 300,000 km/s",
        "(B) is the best choice so far.\nAnswer: E",
        "I would choose B.\n答案: X",
    ],
)
def test_an_announced_answer_that_cannot_be_parsed_is_not_replaced_by_a_weaker_claim_before_it(text: str) -> None:
    assert parse_reply(text, FOUR).reason in ("unclear answer", "no such label")
    assert parse_reply(text, FOUR).label is None


def test_two_claims_share_one_vote() -> None:
    parsed = parse_reply("The answer is (A) or (C).", FOUR)
    assert (parsed.label, parsed.reason, parsed.ballot) == (None, "two claims", {"A": 0.5, "C": 0.5})
    prompt = Prompt(question_id="q", content="?", labels=FOUR)
    assert ballot_from_reply(Reply(text="The answer is (A) or (C)."), prompt) == {"A": 0.5, "C": 0.5}


def test_a_correction_shares_the_vote_with_what_it_corrects() -> None:
    assert parse_reply("The answer is A... no wait, it's C.", FOUR).ballot == {"A": 0.5, "C": 0.5}
    assert parse_reply("Answer: A\n\nWait, that's wrong. Let me recompute:", FOUR).ballot == {}


@pytest.mark.parametrize("text", ["A, B, C, D", "The answer is (A), (B), (C) and (D)."])
def test_a_claim_of_every_label_is_none(text: str) -> None:
    assert parse_reply(text, FOUR).ballot == {}


def test_the_last_claim_counts_where_one_sentence_is_repeated() -> None:
    parsed = parse_reply("The answer is (B).\n\nThe answer is (H).\n\nThe answer is (E).\n", TEN)
    assert (parsed.label, parsed.reason, parsed.ballot) == ("E", "repeated", {"E": 1.0})
    assert parse_reply("The answer is (B).\n\nFinal Answer: The answer is (H).", TEN).ballot == {"B": 0.5, "H": 0.5}


CUT = [
    ("The answer is A\n\nBut wait, I have", {"A": 0.5}),
    ("The answer is (B) because the river", {"B": 0.5}),
    ("B. Rome, which was", {"B": 0.5}),
    ("B\nThe city was", {"B": 0.5}),
    ("B", {"B": 0.5}),
    ("So we see that (C) is correct. Now consider the", {}),
    ("Let us go through the options. The first", {}),
    ("", {}),
    ("The answer is (B).\n\nQuestion: What is the capital of", {"B": 1.0}),
]


@pytest.mark.parametrize(("text", "ballot"), CUT)
def test_a_cut_reply_is_read_only_where_it_announces_an_answer(text: str, ballot: dict[str, float]) -> None:
    prompt = Prompt(question_id="q", content="?", labels=FOUR)
    assert ballot_from_reply(Reply(text=text, finish="length"), prompt) == ballot
    if not ballot and text:
        assert parse_reply(text, FOUR, finish="length").reason == "cut off"


def test_a_finished_reply_is_a_whole_vote() -> None:
    prompt = Prompt(question_id="q", content="?", labels=FOUR)
    for finish in ("", "stop"):
        assert ballot_from_reply(Reply(text="The answer is (B) because of the river", finish=finish), prompt) == {
            "B": 1.0
        }


def test_a_prompts_markers_are_used() -> None:
    markers = ReasoningMarkers(start="<unused94>thought", end="<unused95>")
    prompt = Prompt(question_id="q", content="?", labels=FOUR, markers=markers)
    text = "<unused94>thought\nThe answer is A.<unused95>The answer is B."
    assert ballot_from_reply(Reply(text=text), prompt) == {"B": 1.0}
    assert ballot_from_reply(Reply(text="<unused94>thought\nThe answer is A."), prompt) == {}
