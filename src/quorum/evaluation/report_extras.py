"""Hold what the report shows besides scores: ladders, loss curves, findings, submissions left, views of questions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from quorum.evaluation.question_view import ViewPart

# Returns the views of questions with these ids in a run, by id; a question without a view is left out.
LoadViews = Callable[[str, Sequence[str]], Mapping[str, Sequence[ViewPart]]]


@dataclass(frozen=True, slots=True)
class LadderStage:
    """A stage that was tried, its value of the metric, and whether it was kept.

    `gain` is the difference from the stages kept before it, with its 95 % interval (gain, low, high), above 0 if it is
    better; None for the base, and in a ladder of an older version.
    """

    stage: str
    value: float
    kept: bool
    gain: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderTable:
    """The ladder of a member as `quorum ladder` prints it: headings, rows and lines below.

    `total` is the cross-fitted gain of all kept stages with its 95 % interval; None if it was not cross-fitted.
    """

    name: str
    metric: str
    n: int
    stages: tuple[LadderStage, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    total: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class LossCurve:
    """The mean loss of a training since the entry before, by step."""

    name: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFinding:
    """One of the doctor's findings: how many rows of a file have it, and the first of them."""

    file: str
    severity: str
    count: int
    what: str
    first: str


@dataclass(frozen=True, slots=True)
class SubmissionsLeft:
    """How many submissions Kaggle still allowed at the time (ISO, UTC) of the last `quorum send`."""

    left: int
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What the report shows besides scores; empty where the workspace has none."""

    ladders: tuple[LadderTable, ...] = ()
    losses: tuple[LossCurve, ...] = ()
    findings: tuple[FileFinding, ...] = ()
    kaggle: SubmissionsLeft | None = None
