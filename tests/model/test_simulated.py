import math
from collections import Counter

import pytest

from quorum.errors import BadInput
from quorum.model.backend import open_backend
from quorum.model.simulated import ScriptedModel, SimulatedModel, SimulatedSettings
from quorum.question import Prompt, Question, Reply
from tests.support.replies import logprobs_of

N = 2000
QUESTIONS = [
    Question(id=f"q{i}", text="?", choices=(f"a{i}", f"b{i}", f"c{i}", f"d{i}"), answer="ABCD"[i % 4]) for i in range(N)
]
PROMPTS = [Prompt(question_id=q.id, content=q.text, labels=q.labels, options=q.choices) for q in QUESTIONS]


def accuracy(replies, questions=QUESTIONS):
    return sum(reply.text == q.answer for reply, q in zip(replies, questions, strict=True)) / len(questions)


def test_a_scripted_model_answers_by_its_function_in_order():
    fake = ScriptedModel(lambda prompt: Reply(text=prompt.question_id))
    assert [reply.text for reply in fake.answer(PROMPTS[:3])] == ["q0", "q1", "q2"]


def test_the_accuracy_matches_its_setting_within_error():
    found = accuracy(SimulatedModel(SimulatedSettings(accuracy=0.7), solved=QUESTIONS).answer(PROMPTS))
    assert abs(found - 0.7) < 4 * math.sqrt(0.7 * 0.3 / N)


def test_a_letter_bias_shifts_answers_to_that_letter_and_costs_accuracy():
    fair = SimulatedModel(SimulatedSettings(accuracy=0.7), solved=QUESTIONS).answer(PROMPTS)
    biased = SimulatedModel(SimulatedSettings(accuracy=0.7, bias={"A": 2.0}), solved=QUESTIONS).answer(PROMPTS)
    assert Counter(r.text for r in biased)["A"] > 1.5 * Counter(r.text for r in fair)["A"]
    assert accuracy(biased) < accuracy(fair) - 0.1


def test_the_preferred_choice_depends_on_the_text_and_survives_a_shuffle():
    fake = SimulatedModel(SimulatedSettings(accuracy=0.5), solved=QUESTIONS)
    turned = [
        Prompt(question_id=p.question_id, content=p.content, labels=p.labels, options=p.options[::-1]) for p in PROMPTS
    ]
    for before, after, prompt in zip(fake.answer(PROMPTS), fake.answer(turned), PROMPTS, strict=True):
        place = prompt.labels.index(before.text)
        assert after.text == prompt.labels[::-1][place]


def test_replies_are_the_same_every_time_and_their_probabilities_sum_to_one():
    first, again = (SimulatedModel(SimulatedSettings(accuracy=0.5, seed=1)).answer(PROMPTS[:50]) for _ in range(2))
    assert first == again
    assert all(math.isclose(sum(math.exp(logprob) for logprob in logprobs_of(r).values()), 1) for r in first)


def test_questions_without_labels_or_gold_get_a_reply_all_the_same():
    replies = SimulatedModel().answer(
        [Prompt(question_id="open", content="?", labels=()), Prompt(question_id="q", content="?", labels=("A", "B"))]
    )
    assert replies[0] == Reply(text="")
    assert replies[1].text in "AB"


def test_an_accuracy_outside_its_range_and_an_unknown_backend_are_refused():
    with pytest.raises(BadInput, match="accuracy is 1.5"):
        open_backend({"name": "fake", "accuracy": 1.5})
    with pytest.raises(BadInput, match="backend 'vlm' is unknown; allowed are fake, encoder"):
        open_backend({"name": "vlm"})
    with pytest.raises(BadInput, match="unknown setting 'acuracy'; allowed are accuracy, bias, sureness, seed"):
        open_backend({"name": "fake", "acuracy": 0.5})
