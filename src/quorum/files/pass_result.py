"""The result of one pass over questions: ballots, and what was noticed on the way."""

from dataclasses import dataclass, field

from quorum.ballot import Ballot
from quorum.files.verifier_log import Verdict


@dataclass(frozen=True, slots=True)
class PassResult:
    """Ballots by question id, and what is worth reporting about them.

    `order_sensitive` says of each question asked in several option orders whether its answer changes with the order;
    `reread` holds the ids of questions with a reply that only the second reader could parse.
    """

    ballots: dict[str, Ballot] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    order_sensitive: dict[str, bool] = field(default_factory=dict)
    reread: set[str] = field(default_factory=set)

    def update(self, later: "PassResult") -> None:
        """Merge a later result into this one; later ballots win."""
        self.ballots.update(later.ballots)
        self.verdicts.extend(later.verdicts)
        self.order_sensitive.update(later.order_sensitive)
        self.reread.update(later.reread)

    @property
    def summary(self) -> list[str]:
        """Return what is worth a line in a log."""
        count, unread = len(self.ballots), list(self.ballots.values()).count({})
        changing = sum(self.order_sensitive.values())
        lines = [f"{len(self.reread)} of {count} questions were read by the second reader only"] if self.reread else []
        if changing:
            lines.append(f"{changing} of {len(self.order_sensitive)} answers depend on the order of the options")
        return lines + ([f"{unread} of {count} questions are unread"] if unread else [])
