"""Simulate models by functions: deterministic, for tests and dry runs."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from quorum.errors import BadInput
from quorum.question import Prompt, Question, Reply


class ScriptedModel:
    """A backend that calls a function for each reply."""

    def __init__(self, reply: Callable[[Prompt], Reply]) -> None:
        self.reply = reply

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return the function's reply to each prompt."""
        return [self.reply(prompt) for prompt in prompts]


@dataclass(frozen=True)
class SimulatedSettings:
    """Settings of a simulated model.

    Raises:
        BadInput: the accuracy is not between 0 and 1.
    """

    accuracy: float = field(default=0.6, metadata={"help": "Probability of preferring the right choice."})
    bias: Mapping[str, float] = field(default_factory=dict, metadata={"help": "Logits added by label."})
    sureness: float = field(default=4.0, metadata={"help": "Largest logit of the preferred choice."})
    seed: int = field(default=42, metadata={"help": "Each seed makes another model."})

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy <= 1:
            raise BadInput(f"fake backend: accuracy is {self.accuracy}; allowed is 0 to 1")


class SimulatedModel:
    """A model of known accuracy and letter bias, for tests and dry runs.

    It prefers one choice of each question: the right one with probability `accuracy`, otherwise another one (any one,
    if the answer is not known). A label's logit is `bias[label]`, plus a confidence drawn from 0 to `sureness` if the
    label belongs to the preferred choice. The preference depends on the choice's text and not on its position, so the
    accuracy after a perfect removal of the bias is known to be `accuracy`, up to sampling noise.
    """

    def __init__(self, settings: SimulatedSettings | None = None, solved: Sequence[Question] = ()) -> None:
        self.settings = settings or SimulatedSettings()
        self.solved = {question.id: question for question in solved}

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return the likeliest label of each prompt, with the probability of every label."""
        return [self._answer_one(prompt) for prompt in prompts]

    def _answer_one(self, prompt: Prompt) -> Reply:
        rng = random.Random(f"{self.settings.seed}/{prompt.question_id}")
        right, confidence, pick = (
            rng.random() < self.settings.accuracy,
            rng.random() * self.settings.sureness,
            rng.random(),
        )
        if not prompt.labels:
            return Reply(text="")
        options = prompt.options or prompt.labels
        gold = self._gold_option(prompt)
        # sorted, so that the preferred choice survives a shuffle of the prompt's options
        others = sorted(option for option in options if option != gold) or list(options)
        preferred = gold if right and gold is not None else others[int(pick * len(others))]
        logits = {
            label: confidence * (option == preferred) + self.settings.bias.get(label, 0.0)
            for label, option in zip(prompt.labels, options, strict=True)
        }
        total = math.log(sum(map(math.exp, logits.values())))
        best = max(logits, key=lambda label: logits[label])
        return Reply(text=best, label_logprobs={label: logit - total for label, logit in logits.items()})

    def _gold_option(self, prompt: Prompt) -> str | None:
        """Return the right option as the prompt words it, or None if it is not known."""
        question = self.solved.get(prompt.question_id)
        if question is None or question.answer is None:
            return None
        gold = question.choice(question.answer) if prompt.options else question.answer
        return gold if gold in (prompt.options or prompt.labels) else None
