"""Texts that are too long for an encoder keep their beginning and their end, and are counted."""

import random
import time
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from quorum.ask.retrieve import Retriever
from quorum.ask.settings import RetrievalSettings
from quorum.model.backend import open_backend
from quorum.model.choice_head import ChoiceHeadScorer
from quorum.model.embed import load_embedder
from quorum.model.encoder import Encoder
from quorum.model.managed import ManagedBackend
from quorum.model.shorten import shorten_pairs, shorten_texts
from quorum.model.similarity import find_packaged_weights
from quorum.question import Message, Prompt, Question, letters
from tests.support.replies import logprobs_of
from tests.support.tiny import headless

PREFACE = "This log tells of the weather on a northern island where little happens. " * 40
ENDS = [
    ("Which animal barks and guards a house?", ("a teapot", "a dog", "a violin")),
    ("What do you use to cut bread?", ("a teapot", "a knife", "a violin")),
    ("Which is a fruit?", ("a violin", "a knife", "an apple")),
]
WORDS = [
    "the",
    "weather",
    "Unbelievable",
    "naïve",
    "東京",
    "island-ship",
    "3.14",
    "\n\n",
    "😀",
    "supercalifragilistic",
    "x",
    "[SEP]",
]


def ask(text: str, options: tuple[str, ...], *before: str) -> Prompt:
    turns = (*(Message("system", passage) for passage in before), Message("user", text))
    return Prompt(question_id=text[-20:], content=turns, labels=letters(len(options)), options=options)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(find_packaged_weights())


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    backend = open_backend({"name": "encoder"})
    assert isinstance(backend, Encoder)
    return backend


def draw_text(chance: random.Random, most: int) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(chance.randrange(1, most)))


def count_tokens(tokenizer: Any, *texts: str) -> int:
    return sum(len(tokenizer(text, add_special_tokens=False).input_ids) for text in texts)


def test_a_long_text_keeps_its_beginning_and_its_end(tokenizer: Any) -> None:
    (kept,) = shorten_texts(tokenizer, ["Read the log. " + PREFACE + "What is the capital?"], 12)
    assert kept.startswith("Read the")
    assert kept.endswith("What is the capital?")
    assert count_tokens(tokenizer, kept) <= 12


def test_no_text_is_longer_than_the_limit_and_one_that_fits_is_not_changed(tokenizer: Any) -> None:
    chance, used = random.Random(0), []
    for _ in range(150):
        text, limit = draw_text(chance, 400), chance.choice([1, 2, 3, 5, 8, 16, 100, 254])
        (kept,) = shorten_texts(tokenizer, [text], limit)
        if count_tokens(tokenizer, text) <= limit:
            assert kept == text
        else:
            assert count_tokens(tokenizer, kept) <= limit
            used.append(limit - count_tokens(tokenizer, kept))
    assert len(used) > 50
    assert max(used) <= 2, "the room is used"


def test_of_a_pair_the_longer_text_is_cut_and_both_only_if_both_are_long(tokenizer: Any) -> None:
    chance = random.Random(1)
    for _ in range(100):
        pair, limit = (draw_text(chance, 200), draw_text(chance, 200)), chance.choice([2, 3, 8, 33, 100])
        ((first, second),) = shorten_pairs(tokenizer, [pair], limit)
        assert count_tokens(tokenizer, first, second) <= limit
        lengths = [count_tokens(tokenizer, text) for text in pair]
        if sum(lengths) <= limit:
            assert (first, second) == pair
        elif lengths[0] <= limit // 2:
            assert first == pair[0]
        elif lengths[1] <= limit // 2:
            assert second == pair[1]


def test_a_tokenizer_without_offsets_keeps_both_ends_too(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    (kept,) = shorten_texts(tokenizer, ["Read the log. " + PREFACE + "What is the capital?"], 12)
    assert kept.startswith("read the log")
    assert kept.endswith("what is the capital?")


def test_questions_behind_a_long_preface_are_told_apart_and_counted(encoder: Encoder) -> None:
    before = encoder.shortened
    replies = encoder.answer([ask(PREFACE + text, options) for text, options in ENDS])
    assert [reply.text for reply in replies] == ["B", "B", "C"]
    assert len({tuple(logprobs_of(reply).values()) for reply in replies}) == 3
    assert encoder.shortened - before == 3
    replies = encoder.answer([ask(text, options) for text, options in ENDS])
    assert encoder.shortened - before == 3


def test_an_option_after_a_long_question_is_compared_with_the_passage(encoder: Encoder) -> None:
    prompt = ask(PREFACE + "Where does the Ostrel end?", ("Varnik", "Dolun"), "The Ostrel ends at Dolun.")
    assert encoder.answer([prompt])[0].text == "B"


def test_a_run_counts_the_prompts_that_an_encoder_shortened(encoder: Encoder) -> None:
    backend = ManagedBackend(encoder, {"name": "encoder"}, clock=time.monotonic)
    before = encoder.shortened
    backend.answer([ask(PREFACE + ENDS[0][0], ENDS[0][1]), ask(*ENDS[1])])
    assert encoder.shortened == before + 1
    assert f"{encoder.shortened} prompts were too long for the model and lost their middle" in backend.notes


def test_a_multiple_choice_head_reads_the_end_of_a_long_question(tmp_path: Path) -> None:
    scorer = ChoiceHeadScorer(headless("Bert", tmp_path), "cpu", 8, new_head=True)
    scorer.module.eval()
    long, short = [ask(PREFACE + text, ("yes", "no")) for text, _ in ENDS], ask("Is it?", ("yes", "no"))
    scores = [tuple(each.tolist()) for each in scorer.scores([*long, short])]
    assert len(set(scores)) == 4
    assert scorer.shortened == scorer.count_shortened([*long, short]) == 3


def test_retrieval_counts_the_texts_that_its_encoder_shortened() -> None:
    solved = [Question(id=f"s{n}", text=PREFACE + text, answer="1") for n, (text, _) in enumerate(ENDS)]
    settings = RetrievalSettings(examples=1, search="dense")
    retriever = Retriever(settings, solved, load_embedder, lambda model: lambda query, passages: [])
    assert retriever.shortened == 3
    (found,) = retriever.retrieve([Question(id="t", text="Which fruit do you eat?")])
    assert [example.text for example in found.examples] == [PREFACE + "Which is a fruit?"]
    assert retriever.shortened == 3
