"""List the built-in stages of the ladder: their settings, and to which members they do not apply."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorum.model.backend import KINDS, backend_name

_WITHOUT_LETTERS = ("option", "bare")  # prompt styles without letters
_REASONING_TOKENS = 512
_VOTING_TEMPERATURE = 0.7  # of self-consistency, Wang et al. (2023), arXiv:2203.11171


@dataclass(frozen=True)
class Stage:
    """A step of the ladder: overrides of a member's settings; `not_for` is the reason not to try it, if any."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)  # by dotted name
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
    """Return the built-in stages for a member, in the order in which they are tried.

    Retrieval adds passages of background if the competition has some, otherwise solved examples. For log-loss the
    calibrated stage also fits a temperature, which changes no answer. Nothing is fitted on train for a model with an
    adapter, because it was probably trained on these questions.

    Args:
        member: the member's TOML table.
        verifier: the table of the backend that verifies; by default the member's own model verifies.
        verdict: the settings of the verifier's prompts.
    """
    pooled = member["backend"].get("name") == "ray"
    backend = backend_name(member["backend"])
    kind, model = KINDS[backend], "backend.inner" if pooled else "backend"
    no_text = "" if kind.generates else f"the {backend} backend writes no text"
    trained = "adapter" in member["backend"]
    no_verdict = "" if verifier or kind.reads_prompt else f"the {backend} backend cannot verify: name a verifier"
    memorised = "an adapter may have memorised train" if trained else ""
    if trained:
        no_verdict = f"{memorised}: add a stage with your own verify.weight"
    prompt = member.get("prompt", {})
    style = prompt.get("style") if isinstance(prompt, Mapping) else None  # the kernel refuses any other prompt
    alone = not kind.reads_prompt or style in _WITHOUT_LETTERS
    no_letters = "the model sees no letters: it scores each option on its own" if alone else ""
    calibrated: dict[str, Any] = {"refine.calibrate.prior": "pride"}
    if metric == "log-loss" and not trained:
        calibrated |= {"refine.calibrate.temperature": 0.0, "refine.rehearse": rehearse}
    retrieval: dict[str, Any] = {"retrieval.examples": examples}
    if background:
        retrieval = {"retrieval.background": str(background), "retrieval.passages": passages}
    reasoning = {f"{model}.method": "generate", f"{model}.max_new_tokens": _REASONING_TOKENS}
    named = {f"refine.verify.backend.{setting}": value for setting, value in (verifier or {}).items()}
    named |= {f"refine.verdict.{setting}": value for setting, value in (verdict or {}).items()}
    return [
        Stage("calibrated", calibrated, no_letters),
        Stage("shuffled", {"refine.shuffle.orders": "cyclic"}, no_letters),
        Stage("retrieval", retrieval, "the member retrieves already" if member.get("retrieval") else ""),
        Stage("chain-of-thought", {"prompt.style": "cot", "refine.reason": False, **reasoning}, no_text),
        Stage(
            "chain-of-thought, where it pays",
            {"prompt.style": "letter", "refine.reason": True, "refine.rehearse": rehearse, **reasoning},
            no_text or memorised,
        ),
        Stage(
            "votes",
            {"refine.votes.most": 10, f"{model}.method": "generate", f"{model}.temperature": _VOTING_TEMPERATURE},
            no_text,
        ),
        Stage("verify", {"refine.verify.method": "rescore", "refine.rehearse": rehearse, **named}, no_verdict),
    ]
