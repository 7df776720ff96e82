"""The built-in stages of the ladder: their settings, and why some do not apply to some members."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorum.model.backend import KINDS, backend_name

_WITHOUT_LETTERS = ("option", "bare")  # styles of prompts that show no letter
_REASONING_TOKENS = 512
_VOTING_TEMPERATURE = 0.7  # of self-consistency, Wang et al. (2023), arXiv:2203.11171


@dataclass(frozen=True)
class Stage:
    """A step of the ladder: settings on top of a member's; `not_for` is the reason why it cannot be tried, if any."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)  # by dotted names
    not_for: str = ""


def list_stages(
    member: Mapping[str, Any],
    background: Path | None = None,
    passages: int = 1,
    examples: int = 3,
    rehearse: int = 200,
    verifier: Mapping[str, Any] | None = None,
    metric: str = "accuracy",
    verdict: Mapping[str, Any] | None = None,
) -> list[Stage]:
    """The named stages for the member whose TOML table this is, in the order in which they are climbed.

    Retrieval shows background where the competition has some, else solved examples. The verifier is the member's own
    model where no other backend's table is given, and is asked in the words of the table `verdict` where there is one.
    For log-loss a temperature is fitted too: it changes no answer.
    Nothing is fitted on train for a model with an adapter, which has probably learnt from it.
    """
    pooled = member["backend"].get("name") == "ray"
    backend = backend_name(member["backend"])
    kind, model = KINDS[backend], "backend.inner" if pooled else "backend"
    writes = "" if kind.generates else f"the {backend} backend writes no text"
    learnt = "adapter" in member["backend"]
    judges = "" if verifier or kind.reads_prompt else f"the {backend} backend calls nothing TRUE: name a verifier"
    by_heart = "an adapter may know train by heart" if learnt else ""
    if learnt:
        judges = f"{by_heart}: add a stage with a verify.weight of your own"
    alone = not kind.reads_prompt or member.get("prompt", {}).get("style") in _WITHOUT_LETTERS
    letters = "the model sees no letters: it scores each option on its own" if alone else ""
    calibrated: dict[str, Any] = {"refine.calibrate.prior": "pride"}
    if metric == "log-loss" and not learnt:
        calibrated |= {"refine.calibrate.temperature": 0.0, "refine.rehearse": rehearse}
    shown: dict[str, Any] = {"retrieval.examples": examples}
    if background:
        shown = {"retrieval.background": str(background), "retrieval.passages": passages}
    reasoning = {f"{model}.method": "generate", f"{model}.max_new_tokens": _REASONING_TOKENS}
    named = {f"refine.verify.backend.{setting}": value for setting, value in (verifier or {}).items()}
    named |= {f"refine.verdict.{setting}": value for setting, value in (verdict or {}).items()}
    return [
        Stage("calibrated", calibrated, letters),
        Stage("shuffled", {"refine.shuffle.orders": "cyclic"}, letters),
        Stage("retrieval", shown, "the member retrieves already" if member.get("retrieval") else ""),
        Stage("chain-of-thought", {"prompt.style": "cot", "refine.reason": False, **reasoning}, writes),
        Stage(
            "chain-of-thought, where it pays",
            {"prompt.style": "letter", "refine.reason": True, "refine.rehearse": rehearse, **reasoning},
            writes or by_heart,
        ),
        Stage(
            "votes",
            {"refine.votes.most": 10, f"{model}.method": "generate", f"{model}.temperature": _VOTING_TEMPERATURE},
            writes,
        ),
        Stage("verify", {"refine.verify.method": "rescore", "refine.rehearse": rehearse, **named}, judges),
    ]
