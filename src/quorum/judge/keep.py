"""Keep what a model was shown and what it replied: a backend around a backend that writes to the run's log."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from quorum.ask.reply import ballot_from_reply, parse_answer_to
from quorum.ask.retrieve import RetrievedContext
from quorum.ballot import Ballot, find_heaviest
from quorum.files.kept_replies import ReplyLog
from quorum.model.backend import Backend
from quorum.question import Prompt, Question, Reply

PassName = Literal["first", "reason", "prior", "order", "vote", "wording", "eliminate", "verify", "reader"]
SCORED = "scores"  # the reason of a reply whose labels have probabilities of their own
UNSCORED = "scores are not finite"
_OTHER_OPTION = "-"  # in an order: an option that is none of the question's own


def ignore_pass(backend: Backend, name: PassName) -> Backend:
    """Return the backend itself: nothing is kept."""
    return backend


@dataclass
class ReplyRecorder:
    """Records prompts and replies of one question file in its log; a prompt that is asked again is stored once."""

    log: ReplyLog
    questions: Mapping[str, Question]
    _numbers: dict[bytes, int] = field(default_factory=dict)

    def in_pass(self, backend: Backend, name: PassName) -> Backend:
        """Return a backend around `backend` that records its replies under this pass."""
        return RecordingBackend(backend, self, name)

    def record(
        self, name: PassName, prompts: Sequence[Prompt], replies: Sequence[Reply], seconds: Sequence[float | None]
    ) -> None:
        """Add replies to the log, with what is parsed from them; `seconds` of each are None for a stored reply."""
        new: list[dict[str, Any]] = []
        rows = []
        for prompt, reply, taken in zip(prompts, replies, seconds, strict=True):
            key = _hash_prompt(prompt)
            if key not in self._numbers:
                self._numbers[key] = len(self._numbers)
                new.append(_make_prompt_row(self._numbers[key], prompt))
            order = find_option_order(self.questions.get(prompt.question_id), prompt)
            rows.append(
                {"id": prompt.question_id, "pass": name, "repeat": prompt.repeat, "order": order}
                | {"prompt": self._numbers[key], "seconds": taken, **_make_reply_row(prompt, reply)}
            )
        self.log.add(rows, new)

    def record_background(self, questions: Sequence[Question], found: Sequence[RetrievedContext]) -> None:
        """Write which examples and passages the questions are shown, in the order of the prompt."""
        rows: list[dict[str, Any]] = []
        for question, context in zip(questions, found, strict=True):
            texts = [("example", each.id) for each in context.examples]
            texts += [("passage", each.source) for each in context.passages]
            hits = (*context.example_hits, *context.passage_hits)
            rows += [
                {"id": question.id, "kind": kind, "source": source, "score": hit.score, "similarity": hit.similarity}
                for (kind, source), hit in zip(texts, hits, strict=True)
            ]
        self.log.add_background(rows)


@dataclass(frozen=True)
class RecordingBackend:
    """A backend around a backend that records each prompt with its reply; it is outermost, so that replies from the
    journal are recorded like any other, without seconds."""

    inner: Backend
    recorder: ReplyRecorder
    name: PassName

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return one reply for each prompt, in the same order."""
        begun = time.monotonic()
        replies = self.inner.answer(prompts)
        stored = getattr(self.inner, "stored", ()) or [False] * len(prompts)
        each = (time.monotonic() - begun) / max(1, stored.count(False))  # of a batch, every prompt took its share
        self.recorder.record(self.name, prompts, replies, [None if kept else each for kept in stored])
        return replies


def find_option_order(question: Question | None, prompt: Prompt) -> str:
    """Return the question's own labels in the order in which the prompt shows their options; "" if it shows none."""
    if question is None or not question.choices or not prompt.options:
        return ""
    left = list(zip(question.labels, question.choices, strict=True))
    order = ""
    for option in prompt.options:
        own = next((pair for pair in left if pair[1] == option), None)
        order += own[0] if own else _OTHER_OPTION
        if own:
            left.remove(own)
    return order


def _make_reply_row(prompt: Prompt, reply: Reply) -> dict[str, Any]:
    ballot = ballot_from_reply(reply, prompt)
    return {
        "text": _encodable(reply.text),
        "finish": reply.finish,
        "label": find_heaviest(ballot) if ballot else None,
        "ballot": [{"label": label, "weight": weight} for label, weight in ballot.items()],
        "reason": _explain_reading(prompt, reply, ballot),
        "mass": reply.label_mass,
        "tokens": reply.tokens,
    }


def _explain_reading(prompt: Prompt, reply: Reply, ballot: Ballot) -> str:
    """Return the rule that read a reply, or why it is unread."""
    if reply.label_logprobs is None:
        return parse_answer_to(prompt, reply).reason
    return SCORED if ballot else UNSCORED


def _make_prompt_row(number: int, prompt: Prompt) -> dict[str, Any]:
    turns = _list_turns(prompt)
    return {
        "prompt": number,
        "turns": [{"role": role, "content": _encodable(content)} for role, content in turns],
        "labels": prompt.labels,
        "options": [_encodable(option) for option in prompt.options],
    }


def _hash_prompt(prompt: Prompt) -> bytes:
    parts = (*(part for turn in _list_turns(prompt) for part in turn), "", *prompt.labels, "", *prompt.options)
    return hashlib.blake2b("\0".join(parts).encode(errors="replace"), digest_size=16).digest()


def _list_turns(prompt: Prompt) -> list[tuple[str, str]]:
    """Return role and text of each turn; the role of a prompt that is one text is empty."""
    if isinstance(prompt.content, str):
        return [("", prompt.content)]
    return [(turn.role, turn.content) for turn in prompt.content]


def _encodable(text: str) -> str:
    """Return the text with lone surrogates, which UTF-8 has no bytes for, as "?"."""
    return text if text.isascii() else text.encode(errors="replace").decode()
