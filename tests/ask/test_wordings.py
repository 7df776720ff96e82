"""Several wordings of a prompt: they ask the same question, and the answers to all of them are averaged."""

from math import log
from pathlib import Path

import pytest

from quorum.ask.paraphrase import PARAPHRASE_COUNT
from quorum.ask.prompt import Style, render_prompt
from quorum.ask.settings import PromptSettings
from quorum.ask.template import Template
from quorum.errors import BadInput
from quorum.model.backend import Backend
from quorum.model.simulated import ScriptedModel
from quorum.question import Prompt, Question, Reply, letters
from tests.support.bench import Bench, account, made

QUESTION = Question(id="q", text="What floats?", choices=("a stone", "a cork", "an anvil"), answer="B")
OPEN = Question(id="q", text="How many legs has a spider?", choices=(), answer="8")


def sure_of(label: str, prompt: Prompt, share: float) -> Reply:
    """A reply that gives one label this probability, and the rest to the others alike."""
    rest = (1 - share) / (len(prompt.labels) - 1)
    return Reply(text=label, label_logprobs={each: log(share if each == label else rest) for each in prompt.labels})


@pytest.mark.parametrize("style", ["letter", "cot"])
@pytest.mark.parametrize("question", [QUESTION, OPEN])
def test_every_wording_asks_the_same_question_in_other_words(style: Style, question: Question) -> None:
    prompts = [
        str(render_prompt(question, style, template=template).content)
        for template in PromptSettings(style=style, wordings=PARAPHRASE_COUNT).list_templates()
    ]
    assert len(set(prompts)) == PARAPHRASE_COUNT
    for prompt in prompts:
        assert question.text in prompt
        assert [choice for choice in question.choices if choice not in prompt] == []
        assert '"Answer:"' in prompt or style != "cot", "the reply parser looks for this line"
    assert prompts[0] == render_prompt(question, style).content


def test_a_language_without_paraphrases_keeps_its_words_and_lists_the_choices_differently() -> None:
    standard, other = (
        str(render_prompt(QUESTION, "letter", template=Template(language="de", paraphrase=number)).content)
        for number in (0, 1)
    )
    assert other == standard.replace("A. a stone", "(A) a stone").replace("B. a c", "(B) a c").replace(
        "C. an", "(C) an"
    )


def test_texts_of_the_users_own_are_kept_in_every_wording() -> None:
    own = Template(instruction="Pick {labels}.", choice="{label} -> {choice}\n")
    settings = PromptSettings(template=own, wordings=2, instructions=("Choose among {labels}!",))
    first, second, third = (
        str(render_prompt(QUESTION, "letter", template=template).content) for template in settings.list_templates()
    )
    assert first == second, "nothing is left to reword"
    assert third == first.replace("Pick A, B, C.", "Choose among A, B, C!")


def test_wordings_that_cannot_be_are_refused() -> None:
    for count in (0, PARAPHRASE_COUNT + 1):
        with pytest.raises(BadInput, match=f"allowed are 1 to {PARAPHRASE_COUNT}"):
            PromptSettings(wordings=count)
    with pytest.raises(BadInput, match="style 'bare' has no instruction"):
        PromptSettings(style="bare", wordings=2)
    with pytest.raises(BadInput, match="allowed are 0 to 3"):
        Template(paraphrase=4)


def test_the_answers_in_all_wordings_are_averaged_and_an_unread_one_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, questions = Bench(tmp_path, monkeypatch), made(3)

    def answer(prompt: Prompt) -> Reply:
        text = str(prompt.content)
        if "with the letter of the right choice" in text:  # the standard wording
            return sure_of("A", prompt, 0.7)
        if "exam question" in text:
            return Reply(text="I do not know.")
        return sure_of("B", prompt, 0.7)

    models: dict[str, Backend] = {"answerer": ScriptedModel(answer)}
    alone = bench.ask(questions, models)
    assert {id: max(ballot, key=lambda label: ballot[label]) for id, ballot in alone.items()} == dict.fromkeys(
        alone, "A"
    )
    found = bench.ask(questions, models, prompt={"wordings": PARAPHRASE_COUNT})
    for ballot in found.values():
        assert ballot == pytest.approx({"A": (0.7 + 0.1 + 0.1) / 3, "B": (0.1 + 0.7 + 0.7) / 3, "C": 0.1, "D": 0.1})
    assert bench.calls == {"answerer": 3 * PARAPHRASE_COUNT}
    assert account(bench).prompt["wordings"] == PARAPHRASE_COUNT


def test_each_wording_is_asked_in_every_order_and_loses_its_own_letter_prior(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, questions = Bench(tmp_path, monkeypatch), made(40)
    answers = {question.id: question.choice(question.answer or "") for question in questions}

    def answer(prompt: Prompt) -> Reply:
        favourite = "A" if "with the letter of the right choice" in str(prompt.content) else "D"  # each its own bias
        right = letters(len(prompt.options))[prompt.options.index(answers[prompt.question_id])]
        weights = {
            label: (3.0 if label == right else 1.0) * (9 if label == favourite else 1) for label in prompt.labels
        }
        from math import log

        total = sum(weights.values())
        return Reply(text=favourite, label_logprobs={label: log(each / total) for label, each in weights.items()})

    found = bench.ask(
        questions,
        {"answerer": ScriptedModel(answer)},
        prompt={"wordings": 2},
        calibrate={"prior": "pride", "share": 1.0},
        shuffle={"orders": "cyclic"},
    )
    for question in questions:
        right = question.answer or ""
        assert found[question.id][right] == pytest.approx(0.5, abs=0.01), "3 : 1 : 1 : 1 without any bias"
