"""Hold the result of one pass over questions: ballots, verdicts and statistics."""

from dataclasses import dataclass, field

from quorum.ballot import Ballot
from quorum.files.verifier_log import Verdict


@dataclass(frozen=True, slots=True)
class PassResult:
    """Ballots by question id, and statistics about them.

    `order_sensitive` holds, for each question asked in several option orders, whether its answer depends on the order;
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
        """Return lines for the log: how many questions were reread, depend on the order, or are unread."""
        count, unread = len(self.ballots), list(self.ballots.values()).count({})
        changing = sum(self.order_sensitive.values())
        lines = [f"{len(self.reread)} of {count} questions were read by the second reader only"] if self.reread else []
        if changing:
            lines.append(f"{changing} of {len(self.order_sensitive)} answers depend on the order of the options")
        return lines + ([f"{unread} of {count} questions are unread"] if unread else [])
