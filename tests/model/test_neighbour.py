from math import exp

import numpy as np
import pytest

from quorum.ask.prompt import render_prompt
from quorum.ask.reply import ballot_from_reply
from quorum.ballot import rank_labels
from quorum.errors import BadInput
from quorum.model.backend import open_backend
from quorum.model.neighbour import Neighbour, NeighbourSettings
from quorum.question import Message, Prompt, Question
from tests.support.replies import logprobs_of

SKY = Question(id="sky", text="What colour is the sky at noon?", choices=("Blue", "green", "red"), answer="A")
SUM = Question(id="sum", text="How much is seven and five?", choices=("ten", "eleven", "twelve"), answer="C")
SOLVED = [SKY, SUM]


def _ballot(question, **settings):
    prompt = render_prompt(question, "bare")
    (reply,) = Neighbour(NeighbourSettings(**settings), solved=SOLVED).answer([prompt])
    return ballot_from_reply(reply, prompt)


def test_the_answer_is_copied_by_the_option_s_text_not_by_its_letter():
    asked = Question(id="q", text="What colour is the sky at dawn?", choices=("red", "grey", "BLUE "))
    assert rank_labels(_ballot(asked))[0] == "C"
    assert rank_labels(_ballot(asked, by="letter"))[0] == "A"


@pytest.mark.parametrize("choices", [("red", "green"), ("blue", "Blue", "red")])
def test_without_one_equal_option_the_ballot_is_uniform(choices):
    ballot = _ballot(Question(id="q", text="What colour is the sky at dawn?", choices=choices))
    assert list(ballot.values()) == pytest.approx([1 / len(choices)] * len(choices))


def test_a_letter_that_the_prompt_lacks_leaves_the_ballot_uniform():
    ballot = _ballot(Question(id="q", text="How much is seven and six?", choices=("twelve", "thirteen")), by="letter")
    assert ballot == pytest.approx({"A": 0.5, "B": 0.5})


def test_the_weight_of_the_copy_grows_with_similarity_but_stays_below_1():
    far, near, same = (
        _ballot(Question(id="q", text=text, choices=("red", "blue")))["B"]
        for text in ("Is the sky here?", "What colour is the sky at dawn?", SKY.text.upper())
    )
    assert 0.5 < far < near < same
    assert same == pytest.approx(0.97 + 0.03 / 2, abs=1e-4)


def test_without_similarity_the_ballot_is_uniform():
    assert _ballot(Question(id="q", text="@@@@@@@@", choices=("blue", "red"))) == pytest.approx({"A": 0.5, "B": 0.5})


def test_probabilities_sum_to_one_for_2_and_26_choices():
    for count in (2, 26):
        asked = Question(
            id="q", text="What colour is the sky?", choices=("blue", *(f"no {n}" for n in range(count - 1)))
        )
        (reply,) = Neighbour(solved=SOLVED).answer([render_prompt(asked, "bare")])
        assert sum(exp(logprob) for logprob in logprobs_of(reply).values()) == pytest.approx(1)


def test_replies_keep_the_order_of_a_batch_of_any_length():
    backend = Neighbour(solved=SOLVED)
    prompts = [render_prompt(question, "bare") for question in SOLVED * 100]
    assert [reply.text for reply in backend.answer(prompts)] == ["A", "C"] * 100
    assert backend.answer([]) == []


def test_the_last_message_of_the_user_is_the_question():
    turns = (Message("user", SKY.text), Message("assistant", "A"), Message("user", SUM.text))
    (reply,) = Neighbour(solved=SOLVED).answer(
        [Prompt(question_id="q", content=turns, labels=("A", "B"), options=("Twelve", "blue"))]
    )
    assert reply.text == "A"


def test_labels_without_options_leave_the_ballot_uniform():
    (reply,) = Neighbour(solved=SOLVED).answer([Prompt(question_id="q", content=SKY.text, labels=("TRUE", "FALSE"))])
    assert exp(logprobs_of(reply)["TRUE"]) == pytest.approx(0.5)


def test_an_open_question_is_given_the_number_of_its_neighbour():
    solved = [Question(id="a", text="How many legs have two cats?", answer="8"), SKY]
    backend = Neighbour(solved=solved)
    prompt = Prompt(question_id="q", content="How many legs have three cats?", labels=())
    assert ballot_from_reply(backend.answer([prompt])[0], prompt) == {"8": 1.0}
    assert backend.answer([Prompt(question_id="q", content=SKY.text, labels=())])[0].text == ""


def test_a_tie_goes_to_the_first_solved_question():
    twin = Question(id="twin", text=SKY.text, choices=SKY.choices, answer="B")
    (reply,) = Neighbour(solved=[twin, SKY]).answer([render_prompt(SKY, "bare")])
    assert reply.text == "B"


def test_unsolved_questions_are_never_the_neighbour():
    unsolved = Question(id="u", text="What colour is the sky at dawn?", choices=("red", "blue"))
    (reply,) = Neighbour(solved=[unsolved, *SOLVED]).answer([render_prompt(unsolved, "bare")])
    assert reply.text == "B"
    with pytest.raises(BadInput, match="none of 1 questions has an answer"):
        Neighbour(solved=[unsolved])


def test_an_unknown_way_to_copy_is_refused_with_the_allowed_ones():
    with pytest.raises(BadInput, match="text, letter"):
        open_backend({"name": "neighbour", "by": "colour"}, SOLVED)


def test_open_backend_passes_it_the_solved_questions():
    backend = open_backend({"name": "neighbour", "by": "letter"}, SOLVED)
    assert backend.answer([render_prompt(SUM, "bare")])[0].text == "C"


@pytest.mark.parametrize("text", ["?", "\x00", "٣", "e\u0301" * 3000])
def test_any_text_gets_a_reply(text):
    (reply,) = Neighbour(solved=SOLVED).answer(
        [Prompt(question_id="q", content=text, labels=("A", "B"), options=("blue", "red"))]
    )
    assert np.isfinite(list(logprobs_of(reply).values())).all()
