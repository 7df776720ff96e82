"""A model that is a function: deterministic, for tests and dry runs."""

import math
import random
from collections.abc import Callable, Mapping, Sequence

from quorum.errors import BadInput
from quorum.question import Prompt, Question, Reply


class ScriptedModel:
    """A backend whose replies a function makes."""

    def __init__(self, reply: Callable[[Prompt], Reply]) -> None:
        self.reply = reply

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """The function's reply to each prompt."""
        return [self.reply(prompt) for prompt in prompts]


class SimulatedModel:
    """A fake model of known accuracy and letter bias.

    It believes in one choice of each question, the right one with probability `accuracy` and another one otherwise (any
    one, where the answer is not known). Its logit for a label is how sure it is, drawn from 0 to `sureness`, if that
    label stands for the choice it believes in, plus `bias[label]`. The belief hangs on the choice's text and not on its
    place: so the accuracy after a perfect debiasing is known to be `accuracy`, up to the luck of the draw.
    """

    def __init__(
        self,
        *,
        solved: Sequence[Question] = (),
        accuracy: float = 0.6,
        bias: Mapping[str, float] | None = None,
        sureness: float = 4.0,
        seed: int = 42,
    ) -> None:
        if not 0 <= accuracy <= 1:
            raise BadInput(f"fake backend: accuracy is {accuracy}; allowed is 0 to 1")
        self.solved = {question.id: question for question in solved}
        self.accuracy, self.bias, self.sureness, self.seed = accuracy, bias or {}, sureness, seed

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Each prompt's likeliest label, and the probability of each."""
        return [self._believe(prompt) for prompt in prompts]

    def _believe(self, prompt: Prompt) -> Reply:
        chance = random.Random(f"{self.seed}/{prompt.question_id}")
        right, sure, pick = chance.random() < self.accuracy, chance.random() * self.sureness, chance.random()
        if not prompt.labels:
            return Reply("")
        options = prompt.options or prompt.labels
        gold = self._gold(prompt)
        # other choices in an order of their own, so that a belief survives a shuffle of the prompt's options
        others = sorted(option for option in options if option != gold) or list(options)
        belief = gold if right and gold is not None else others[int(pick * len(others))]
        logits = {
            label: sure * (option == belief) + self.bias.get(label, 0.0)
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
