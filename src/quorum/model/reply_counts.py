"""Count what a model's replies show about how well it was asked: cut replies, unusable scores, little label mass."""

from array import array
from collections.abc import Sequence
from statistics import median
from typing import Any

from quorum.engine.scores import drop_unusable_scores
from quorum.errors import list_some
from quorum.question import Prompt, Reply

_HALF = 0.5  # below this total probability of its labels, a model was about to write something else
_LOW_SHARE = 0.1  # share of replies below it from which the mass is reported


class ReplyCounts:
    """Counts over all replies of a model, those from a journal included.

    Attributes:
        cut: replies that the limit of new tokens ended.
        not_finite: replies whose scores are NaN or infinite; they are unread.
    """

    def __init__(self) -> None:
        self.cut = 0
        self.not_finite = 0
        self._total = 0
        self._question_ids: dict[str, None] = {}  # those of `not_finite`, in order
        self._masses = array("d")

    def add(self, prompts: Sequence[Prompt], replies: Sequence[Reply]) -> list[Reply]:
        """Count the replies to these prompts, and return them without scores that are NaN or infinite."""
        usable = [drop_unusable_scores(reply) for reply in replies]
        for prompt, reply in zip(prompts, usable, strict=True):
            self.cut += reply.label_logprobs is None and reply.finish == "length"
            if reply.label_logprobs == {}:
                self.not_finite += 1
                self._question_ids[prompt.question_id] = None
            if reply.label_mass is not None:
                self._masses.append(reply.label_mass)
        self._total += len(usable)
        return usable

    @property
    def record(self) -> dict[str, Any]:
        """Return the counts for the run manifest; `label_mass` is left out if no reply has one."""
        counts: dict[str, Any] = {"cut": self.cut, "not_finite": self.not_finite}
        if self._masses:
            middle, share = self._summarise_mass()
            counts["label_mass"] = {"median": round(middle, 4), "share_below_half": round(share, 4)}
        return counts

    @property
    def notes(self) -> list[str]:
        """Return lines for the log about cut replies, unusable scores and little label mass."""
        notes = []
        if self.cut:
            notes.append(f"{self.cut} of {self._total} replies were cut by the length limit (max_new_tokens)")
        if self.not_finite:
            notes.append(
                f"{self.not_finite} of {self._total} replies have scores that are NaN or infinite and stay unread"
                f" ({list_some(list(self._question_ids))}); in half precision large values overflow: dtype bfloat16 or"
                " float32 avoids it"
            )
        if self._masses:
            middle, share = self._summarise_mass()
            if middle < _HALF or share >= _LOW_SHARE:
                notes.append(
                    f"the labels have little of the model's probability before it is normalised: median {middle:.2f},"
                    f" below {_HALF} for {share:.0%} of {len(self._masses)} replies; the model was about to write"
                    " something else (check the prompt's style, the chat template, or use method generate)"
                )
        return notes

    def _summarise_mass(self) -> tuple[float, float]:
        """Return the median label mass, and the share of replies whose mass is below a half."""
        return median(self._masses), sum(mass < _HALF for mass in self._masses) / len(self._masses)
