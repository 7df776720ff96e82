"""What a pass over a batch of questions came to."""

from dataclasses import dataclass, field

from quorum.ballot import Ballot
from quorum.files.verifier_log import Verdict


@dataclass(frozen=True, slots=True)
class PassResult:
    """What a batch of questions came to.

    `torn` says of each question that was shown in several orders whether its answer hangs on them; `reread` are those
    with a reply that the second reader alone could read.
    """

    ballots: dict[str, Ballot] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    torn: dict[str, bool] = field(default_factory=dict)
    reread: set[str] = field(default_factory=set)

    def take(self, later: "PassResult") -> None:
        """Adds what a later look came to; of two ballots the later stands."""
        self.ballots.update(later.ballots)
        self.verdicts.extend(later.verdicts)
        self.torn.update(later.torn)
        self.reread.update(later.reread)

    @property
    def told(self) -> list[str]:
        """What is worth a line to whoever watches."""
        count, unread, torn = len(self.ballots), list(self.ballots.values()).count({}), sum(self.torn.values())
        lines = [f"{len(self.reread)} of {count} questions were read by the second reader alone"] if self.reread else []
        lines += [f"{torn} of {len(self.torn)} answers hang on the order of the options"] if torn else []
        return lines + ([f"{unread} of {count} questions stay unread"] if unread else [])
