"""A second reader for replies that stay unread: a model that must name one choice, or none."""

from collections.abc import Sequence
from dataclasses import dataclass

from quorum.ask.judge_prompt import render_reading_prompt
from quorum.ask.reply import ballot_from_reply
from quorum.ballot import Ballot, heaviest
from quorum.model.backend import Backend
from quorum.question import Prompt, Reply


@dataclass(frozen=True, slots=True)
class LlmReadings:
    """Each reply's ballot, and which of them the second reader read: their places, and how many it was shown."""

    ballots: list[Ballot]
    places: tuple[int, ...]
    shown: int


def read_with_llm(prompts: Sequence[Prompt], replies: Sequence[Reply], reader: Backend) -> LlmReadings:
    """Reads replies by the rules, and shows those that stay unread to a second reader, in one batch.

    What it names counts in full (weight 1), however sure it is. It may say that no choice was made; where it does, or
    can't be read itself, the reply stays unread, as do empty ones and those of open questions.
    """
    ballots = [ballot_from_reply(reply, prompt) for prompt, reply in zip(prompts, replies, strict=True)]
    asked: dict[int, Prompt] = {}
    for place, (prompt, reply, ballot) in enumerate(zip(prompts, replies, ballots, strict=True)):
        if not ballot and reply.text.strip() and (question := render_reading_prompt(prompt, reply.text)) is not None:
            asked[place] = question
    questions = list(asked.values())
    places = []
    for (place, question), answer in zip(asked.items(), reader.answer(questions) if asked else (), strict=True):
        named = ballot_from_reply(answer, question)
        if named and (label := heaviest(named)) != question.labels[-1]:
            ballots[place] = {label: 1.0}
            places.append(place)
    return LlmReadings(ballots, tuple(places), len(asked))
