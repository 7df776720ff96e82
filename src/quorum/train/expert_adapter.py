"""An adapter for chosen experts of a mixture, which the sft trainer takes in place of ordinary LoRA."""

from typing import Any, Literal

from quorum.errors import BadInput
from quorum.train.experts.choice import choose_experts, read_profile
from quorum.train.experts.weights import add_expert_adapter, check_others_unchanged
from quorum.train.settings import CausalTuning, ExpertAdapterSettings


class ExpertAdapter:
    """Attaches LoRA matrices to chosen experts, and checks afterwards that no other expert has changed.

    Raises:
        BadInput: the profile cannot be read or has too few experts, or the trainer's settings do not go with it.
    """

    def __init__(self, settings: ExpertAdapterSettings, tuning: CausalTuning) -> None:
        self.settings = settings
        allowed = {"engine": ("auto", "trl"), "method": ("lora",), "dropout": (0.0,), "targets": ((),)}
        if wrong := [name for name, values in allowed.items() if getattr(tuning, name) not in values]:
            raise BadInput(
                f"trainer 'sft': experts needs engine auto or trl, method lora (bitsandbytes has no 4 bits for fused"
                f" experts), dropout 0 and no targets; change {', '.join(wrong)}"
            )
        chosen: Literal["super", "random"] = "random" if settings.adapt == "random" else "super"
        self.experts = choose_experts(read_profile(settings.profile), chosen, settings.draw)

    def attach(self, model: Any, tuning: CausalTuning) -> tuple[Any, str]:
        """Return the model with the adapter, and a line about what it trains."""
        return add_expert_adapter(model, self.experts, self.settings.adapt, rank=tuning.rank, alpha=tuning.alpha)

    def check(self, model: Any) -> None:
        """Refuse a trained model in which other experts have changed.

        Raises:
            BadInput: the optimizer changed them without a gradient.
        """
        check_others_unchanged(model, self.experts)
