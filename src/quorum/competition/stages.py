"""List the built-in stages of the ladder: their settings, and to which members they do not apply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorum.model.backend import KINDS, backend_name

FOLDS_STAGE = "folds"
CASCADE_STAGE = "cascade"
VOTE_STAGE = "vote of the members"
_FOLD_COUNT = 5  # of the stage of folds
_WORDING_COUNT = 4  # in which the stage of wordings asks each question
_WITHOUT_LETTERS = ("option", "bare")  # prompt styles without letters
_VOTING_TEMPERATURE = 0.7  # of self-consistency, Wang et al. (2023), arXiv:2203.11171
_TRAINABLE = {"encoder": ("encoder",), "sft": ("transformers", "vllm"), "seq2seq": ("seq2seq",)}  # backends by trainer
_MEMORISED = "it is fitted on train, which the trained model may have memorised"


@dataclass(frozen=True)
class Training:
    """A training run of the ladder: settings (TOML) of kernels/train.py, and overrides of them by dotted names."""

    toml: Path
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """A step of the ladder: overrides of a member's settings; `not_for` is the reason not to try it, if any.

    Attributes:
        training: a training whose model or adapter answers instead of the member's.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)  # by dotted name
    not_for: str = ""
    training: Training | None = None

    @property
    def folds(self) -> int:
        """Above 0: the held-out questions are in so many folds, each answered by what learns from all others."""
        return _FOLD_COUNT if self.name == FOLDS_STAGE else 0

    @property
    def combines(self) -> bool:
        """Whether the stage combines answers of the members tried so far; it has no settings then."""
        return self.name in (CASCADE_STAGE, VOTE_STAGE)

    @property
    def rehearses(self) -> bool:
        """Whether the stage fits something on questions of train."""
        return bool(self.settings.get("refine.rehearse"))


@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """What the built-in stages use.

    Attributes:
        background: folder of background texts, if there is one.
        passages: number of passages to retrieve.
        examples: number of solved questions to retrieve.
        rehearse: number of solved questions to fit on.
        votes: most sampled replies per question.
        reply_tokens: longest reply of the stages that let the model write, in tokens.
        verifier: the table of the backend that verifies; by default the member's own model verifies.
        verdict: the settings of the verifier's prompts.
        metric: the competition's metric.
        models: other models, hub ids or folders.
        trainings: trainings by the names of their stages, and the names of their trainers.
        untrained: trainings that cannot run here, with the reason.
    """

    background: Path | None = None
    passages: int = 1
    examples: int = 3
    rehearse: int = 200
    votes: int = 10
    reply_tokens: int = 512
    verifier: Mapping[str, Any] | None = None
    verdict: Mapping[str, Any] | None = None
    metric: str = "accuracy"
    models: Sequence[str] = ()
    trainings: Mapping[str, tuple[str, Training]] = field(default_factory=dict)
    untrained: Mapping[str, str] = field(default_factory=dict)


def list_stages(member: Mapping[str, Any], options: StageOptions | None = None) -> list[Stage]:
    """Return the built-in stages for a member, in the order in which they are tried.

    Models come first, because all else is tuned to the model; then what costs no training: priors, wordings, option
    orders and retrieval; then training, which learns with the retrieved context; then more calls per question; then the
    labels of all other folds; last the cascade and the vote of the members tried. Nothing is fitted on train for a
    trained model, which probably knows these questions.

    Args:
        member: the member's TOML table.
    """
    options = options or StageOptions()
    facts = _MemberFacts(member)
    return [
        *_list_model_stages(facts, options),
        *_list_prompt_stages(facts, options),
        *_list_retrieval_stages(member, options),
        *_list_training_stages(facts, options),
        *_list_reasoning_stages(facts, options),
        _make_verifier_stage(facts, options),
        Stage(FOLDS_STAGE),
        Stage(CASCADE_STAGE),
        Stage(VOTE_STAGE),
    ]


def find_conflict(kept: Sequence[Stage], stage: Stage) -> str:
    """Return why a stage cannot be tried on top of the kept ones; empty if it can."""
    if stage.rehearses and any(each.training for each in kept):
        return _MEMORISED
    if stage.training and any(each.rehearses for each in kept):
        return "a kept stage is fitted on train, which a trained model may memorise"
    return ""


class _MemberFacts:
    """What decides which stages apply to a member."""

    def __init__(self, member: Mapping[str, Any]) -> None:
        backend = member["backend"]
        self.name = backend_name(backend)
        self.kind = KINDS[self.name]
        self.pooled = backend.get("name") == "ray"
        self.table = "backend.inner" if self.pooled else "backend"  # the dotted name of the model's table
        self.adapted = "adapter" in backend
        prompt = member.get("prompt", {})
        self.style = prompt.get("style") if isinstance(prompt, Mapping) else None  # the kernel refuses any other prompt
        self.no_text = "" if self.kind.generates else f"the {self.name} backend writes no text"
        alone = not self.kind.reads_prompt or self.style in _WITHOUT_LETTERS
        self.no_letters = "the model sees no letters: it scores each option on its own" if alone else ""
        self.memorised = "an adapter may have memorised train" if self.adapted else ""


def _list_model_stages(facts: _MemberFacts, options: StageOptions) -> list[Stage]:
    reason = ""
    if facts.adapted:
        reason = "the member's adapter belongs to its own model"
    elif facts.name in ("fake", "neighbour"):
        reason = f"the {facts.name} backend has no model"
    return [Stage(f"model {model}", {f"{facts.table}.model": model}, reason) for model in options.models]


def _list_prompt_stages(facts: _MemberFacts, options: StageOptions) -> list[Stage]:
    """Return the stages of priors, wordings and option orders; for log-loss the prior's stage also fits a temperature,
    which changes no answer."""
    calibrated: dict[str, Any] = {"refine.calibrate.prior": "pride"}
    if options.metric == "log-loss" and not facts.adapted:
        calibrated |= {"refine.calibrate.temperature": 0.0, "refine.rehearse": options.rehearse}
    return [
        Stage("calibrated", calibrated, facts.no_letters),
        Stage("wordings", {"prompt.wordings": _WORDING_COUNT}, facts.no_letters),
        Stage("shuffled", {"refine.shuffle.orders": "cyclic"}, facts.no_letters),
    ]


def _list_retrieval_stages(member: Mapping[str, Any], options: StageOptions) -> list[Stage]:
    """Return a stage of passages, if there is background, and one of solved examples."""
    reason = "the member retrieves already" if member.get("retrieval") else ""
    examples = {"retrieval.examples": options.examples}
    if not options.background:
        return [Stage("retrieval", examples, reason)]
    passages = {"retrieval.background": str(options.background), "retrieval.passages": options.passages}
    return [Stage("retrieval", passages, reason), Stage("retrieved examples", examples, reason)]


def _list_training_stages(facts: _MemberFacts, options: StageOptions) -> list[Stage]:
    stages = [Stage(name, not_for=reason) for name, reason in options.untrained.items()]
    for name, (trainer, training) in options.trainings.items():
        reason = "the member has an adapter already" if facts.adapted else ""
        if facts.name not in _TRAINABLE.get(trainer, ()) or facts.pooled:
            shown = "ray" if facts.pooled else facts.name
            reason = f"the {shown} backend cannot answer with a model of the {trainer} trainer"
        stages.append(Stage(name, not_for=reason, training=training))
    return stages


def _list_reasoning_stages(facts: _MemberFacts, options: StageOptions) -> list[Stage]:
    model = facts.table
    reasoning = {f"{model}.method": "generate", f"{model}.max_new_tokens": options.reply_tokens}
    paying = {"prompt.style": "letter", "refine.reason": True, "refine.rehearse": options.rehearse, **reasoning}
    sampling = {"refine.votes.most": options.votes, f"{model}.temperature": _VOTING_TEMPERATURE, **reasoning}
    return [
        Stage("chain-of-thought", {"prompt.style": "cot", "refine.reason": False, **reasoning}, facts.no_text),
        Stage("chain-of-thought, where it pays", paying, facts.no_text or facts.memorised),
        Stage("votes", sampling, facts.no_text),
    ]


def _make_verifier_stage(facts: _MemberFacts, options: StageOptions) -> Stage:
    able = bool(options.verifier) or facts.kind.reads_prompt
    reason = "" if able else f"the {facts.name} backend cannot verify: name a verifier"
    if facts.memorised:
        reason = f"{facts.memorised}: add a stage with your own verify.weight"
    named = {f"refine.verify.backend.{setting}": value for setting, value in (options.verifier or {}).items()}
    named |= {f"refine.verdict.{setting}": value for setting, value in (options.verdict or {}).items()}
    return Stage("verify", {"refine.verify.method": "rescore", "refine.rehearse": options.rehearse, **named}, reason)
