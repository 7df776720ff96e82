"""Read replies that the rules cannot parse with a second model, which names one option or none."""

from collections.abc import Sequence
from dataclasses import dataclass

from quorum.ask.judge_prompt import render_reading_prompt
from quorum.ask.reply import ballot_from_reply
from quorum.ballot import Ballot, find_heaviest
from quorum.model.backend import Backend
from quorum.question import Prompt, Reply


@dataclass(frozen=True, slots=True)
class LlmReadings:
    """The ballot of each reply, the indices of those that the second reader read, and how many it was asked to read."""

    ballots: list[Ballot]
    indices: tuple[int, ...]
    asked: int


def read_with_llm(prompts: Sequence[Prompt], replies: Sequence[Reply], reader: Backend) -> LlmReadings:
    """Read replies by the rules, and send those without a single claim to a second reader, in one batch.

    The option that the reader names gets weight 1, regardless of its probability. A reply keeps its ballot if the
    reader says that no option was chosen, or cannot be read itself. Empty replies and those to open questions are not
    sent.
    """
    ballots = [ballot_from_reply(reply, prompt) for prompt, reply in zip(prompts, replies, strict=True)]
    reading_prompts: dict[int, Prompt] = {}
    for index, (prompt, reply, ballot) in enumerate(zip(prompts, replies, ballots, strict=True)):
        if (not ballot or (reply.label_logprobs is None and len(ballot) > 1)) and reply.text.strip():
            reading_prompt = render_reading_prompt(prompt, reply.text)
            if reading_prompt is not None:
                reading_prompts[index] = reading_prompt
    readings = reader.answer(list(reading_prompts.values())) if reading_prompts else []
    indices = []
    for (index, reading_prompt), reading in zip(reading_prompts.items(), readings, strict=True):
        named = ballot_from_reply(reading, reading_prompt)
        if named and (label := find_heaviest(named)) != reading_prompt.labels[-1]:  # the last label is "none"
            ballots[index] = {label: 1.0}
            indices.append(index)
    return LlmReadings(ballots, tuple(indices), len(reading_prompts))
