"""The second looks that a kernel's tables want; none of them by default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quorum.ask.shuffle import ShuffleSettings
from quorum.config import from_table
from quorum.errors import BadInput
from quorum.judge.letter_prior import CalibrateSettings
from quorum.judge.verify import VerifySettings
from quorum.judge.votes import VoteSettings
from quorum.question import Question

WRITERS = ("transformers", "seq2seq", "endpoint", "vllm")  # backends that write free text
SCORERS = ("encoder", "neighbour")  # backends that compare texts and write none


@dataclass(frozen=True)
class RefineSettings:
    """What is done about a question besides asking it once; by default nothing."""

    orders: ShuffleSettings = field(default_factory=ShuffleSettings)
    debias: CalibrateSettings = field(default_factory=CalibrateSettings)
    votes: VoteSettings | None = None
    verification: VerifySettings = field(default_factory=VerifySettings)
    reason: bool = False  # reasoning first, where it pays

    @property
    def to_fit(self) -> list[str]:
        """What has to be fitted on rehearsed questions."""
        weight = self.verification.way == "soft" and self.verification.weight is None
        fitted = {"reason": self.reason, "calibrate.temperature": self.debias.temperature == 0, "verify.weight": weight}
        return [name for name, wanted in fitted.items() if wanted]

    def check_rehearsal(self, count: int, solved: Sequence[Question], backend: str | None) -> None:
        """Refuses to fit on nothing, or on questions that the backend knows by heart.

        Raises:
            BadInput: there is something to fit, and no rehearsed question to fit it on.
        """
        if self.to_fit and not (count > 0 and solved):
            raise BadInput(
                f"{' and '.join(self.to_fit)}: to be fitted; that takes train, and rehearse, how many of it to ask"
            )
        if self.to_fit and backend == "neighbour":
            raise BadInput("rehearse: the neighbour knows the answers of train; nothing can be fitted on them")

    def check_votes(self, backend: Mapping[str, Any]) -> None:
        """Refuses to vote with a backend, of this TOML table, that would say the same each time.

        Raises:
            BadInput: votes are wanted, and the backend scores labels or options, or writes at temperature 0.
        """
        inner = backend.get("inner")  # of ray
        sampled = inner if isinstance(inner, Mapping) else backend
        name, method = sampled.get("name"), sampled.get("method", "letter")
        found = ""
        if name in SCORERS:
            found = f"the {name} backend writes no text"
        elif name in WRITERS and method != "generate":
            found = f"the {name} backend's method is {method!r}, which scores"
        elif name in WRITERS and sampled.get("temperature", 0) == 0:  # "" is the server's own
            found = f"the {name} backend's temperature is 0"
        if self.votes and found:
            raise BadInput(
                f"votes: {found}, and every sample would be the same; allowed are {', '.join(WRITERS)}, with"
                ' method = "generate" and a temperature above 0 in [backend]'
            )


def make_refine_settings(
    shuffle: Mapping[str, Any],
    calibrate: Mapping[str, Any],
    votes: Mapping[str, Any],
    verify: Mapping[str, Any],
    reason: bool = False,
) -> RefineSettings:
    """The looks that a kernel's tables want.

    Raises:
        BadInput: a setting is unknown or out of range.
    """
    return RefineSettings(
        from_table(ShuffleSettings, shuffle, "shuffle"),
        from_table(CalibrateSettings, calibrate, "calibrate"),
        from_table(VoteSettings, votes, "votes") if votes else None,
        from_table(VerifySettings, verify, "verify"),
        reason,
    )
