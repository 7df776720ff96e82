"""A model that is a function: deterministic, for tests and dry runs."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from quorum.errors import BadInput
from quorum.question import Prompt, Question, Reply


class ScriptedModel:
    """A backend whose replies a function makes."""

    def __init__(self, reply: Callable[[Prompt], Reply]) -> None:
        self.reply = reply

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """The function's reply to each prompt."""
        return [self.reply(prompt) for prompt in prompts]


@dataclass(frozen=True)
class SimulatedSettings:
    """What a simulated model is like.

    Raises:
        BadInput: the accuracy is not within 0 and 1.
    """

    accuracy: float = field(default=0.6, metadata={"help": "Probability of believing in the right choice."})
    bias: Mapping[str, float] = field(default_factory=dict, metadata={"help": "Logits added by label."})
    sureness: float = field(default=4.0, metadata={"help": "Largest logit of the choice it believes in."})
    seed: int = field(default=42, metadata={"help": "Another seed, another model."})

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy <= 1:
            raise BadInput(f"fake backend: accuracy is {self.accuracy}; allowed is 0 to 1")


class SimulatedModel:
    """A model of known accuracy and letter bias, for tests and dry runs.

    It believes in one choice of each question, the right one with probability `accuracy` and another one otherwise (any
    one, where the answer is not known). Its logit for a label is how sure it is, drawn from 0 to `sureness`, if that
    label stands for the choice it believes in, plus `bias[label]`. The belief hangs on the choice's text and not on its
    place: so the accuracy after a perfect debiasing is known to be `accuracy`, up to the luck of the draw.
    """

    def __init__(self, settings: SimulatedSettings | None = None, solved: Sequence[Question] = ()) -> None:
        self.settings = settings or SimulatedSettings()
        self.solved = {question.id: question for question in solved}

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Each prompt's likeliest label, and the probability of each."""
        return [self._believe(prompt) for prompt in prompts]

    def _believe(self, prompt: Prompt) -> Reply:
        chance = random.Random(f"{self.settings.seed}/{prompt.question_id}")
        right, sure, pick = (
            chance.random() < self.settings.accuracy,
            chance.random() * self.settings.sureness,
            chance.random(),
        )
        if not prompt.labels:
            return Reply("")
        options = prompt.options or prompt.labels
        gold = self._gold(prompt)
        # other choices in an order of their own, so that a belief survives a shuffle of the prompt's options
        others = sorted(option for option in options if option != gold) or list(options)
        belief = gold if right and gold is not None else others[int(pick * len(others))]
        logits = {
            label: sure * (option == belief) + self.settings.bias.get(label, 0.0)
            for label, option in zip(prompt.labels, options, strict=True)
        }
        total = math.log(sum(map(math.exp, logits.values())))
        best = max(logits, key=lambda label: logits[label])
        return Reply(best, {label: logit - total for label, logit in logits.items()})

    def _gold(self, prompt: Prompt) -> str | None:
        """The right option as it stands in the prompt, or None where it is not known."""
        question = self.solved.get(prompt.question_id)
        if question is None or question.answer is None:
            return None
        gold = question.choice(question.answer) if prompt.options else question.answer
        return gold if gold in (prompt.options or prompt.labels) else None
