"""Scripted models that judge whether a proposed answer is right."""

from collections.abc import Sequence
from math import log

from quorum.model.simulated import ScriptedModel
from quorum.question import Prompt, Question, Reply


def proposed(prompt: Prompt) -> str:
    assert isinstance(prompt.content, str)
    return prompt.content.split("Proposed answer: ")[1].split("\n")[0].partition(". ")[2]


def knowing(solved: Sequence[Question], sure: float) -> ScriptedModel:
    """A verifier whose P(TRUE) is `sure` for the right option and 1 - sure for others."""
    right = {question.id: question.choice(question.answer or "") for question in solved}

    def reply(prompt: Prompt) -> Reply:
        true = sure if proposed(prompt) == right[prompt.question_id] else 1 - sure
        return Reply(text="", label_logprobs={"TRUE": log(true), "FALSE": log(1 - true)})

    return ScriptedModel(reply)
