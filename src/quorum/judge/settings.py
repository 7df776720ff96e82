"""Settings of a run: what is asked of whom, and how answers are refined. Imports nothing heavy: `--help` lists them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from quorum.ask.judge_prompt import VerdictTemplate
from quorum.ask.settings import PromptSettings, RetrievalSettings, ShuffleSettings
from quorum.data.layout import Layout
from quorum.errors import BadInput
from quorum.files.form_setting import FORM_HELP, parse_form
from quorum.model.backend import KINDS, backend_name, read_backend_settings
from quorum.question import Question

LEAST_TEMPERATURE = 0.01  # below it the weight of a doubtful vote underflows


@dataclass(frozen=True)
class CalibrateSettings:
    """Which letter prior is removed from ballots, and how their probabilities are tempered.

    Raises:
        BadInput: a setting is out of range.
    """

    prior: Literal["none", "content-free", "pride", "corpus"] = field(
        default="none",
        metadata={
            "help": "Letter prior to remove. content-free: of questions without content. pride: of `share` of the"
            " questions in every rotation. corpus: of the questions themselves."
        },
    )
    share: float = field(default=0.05, metadata={"help": "Share of the questions that pride asks in every rotation."})
    seed: int = field(default=42, metadata={"help": "Seed of the choice of those questions."})
    temperature: float = field(
        default=1.0, metadata={"help": "T in p^(1/T); 0: fitted on rehearsed questions. Changes no answer."}
    )

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or self.temperature < 0:
            raise BadInput(
                f"refine.calibrate: share is {self.share}, temperature {self.temperature}; allowed are above 0 to 1,"
                " and 0 or more"
            )


@dataclass(frozen=True)
class VoteSettings:
    """How often a question is sampled, and how the samples count.

    Raises:
        BadInput: a setting is out of range.
    """

    most: int = field(default=10, metadata={"help": "Most votes a question."})
    sure: float = field(
        default=0.95,
        metadata={
            "help": "Stop when P(the leader beats the runner-up) reaches this; 1: when no further vote can change it."
        },
    )
    alone: float = field(
        default=0.95, metadata={"help": "A first vote with a known probability above this is the only one; 1: never."}
    )
    temperature: float = field(
        default=0.0, metadata={"help": "A vote counts exp(confidence / temperature); 0: all votes count alike."}
    )

    def __post_init__(self) -> None:
        if self.most < 1:
            raise BadInput(f"refine.votes.most is {self.most}; allowed is at least 1")
        if not 0.5 < self.sure <= 1:
            raise BadInput(f"refine.votes.sure is {self.sure}; allowed is above 0.5, and at most 1")
        if not 0 <= self.alone <= 1:
            raise BadInput(f"refine.votes.alone is {self.alone}; allowed is 0 to 1")
        if self.temperature and self.temperature < LEAST_TEMPERATURE:
            raise BadInput(
                f"refine.votes.temperature is {self.temperature}; allowed are 0 and from {LEAST_TEMPERATURE} on"
            )


@dataclass(frozen=True)
class VerifySettings:
    """How answers are verified, and by which model.

    Raises:
        BadInput: a setting is out of range.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"way": "method"}

    method: Literal["none", "eliminate", "rescore"] = field(
        default="none",
        metadata={
            "help": "eliminate: ask whether the answer is TRUE; if FALSE, remove the option and ask again. rescore: ask"
            " about every option, and multiply P(TRUE)^weight into the answer's probabilities."
        },
    )
    rounds: int = field(default=25, metadata={"help": "Most rounds of eliminate."})
    weight: float | None = field(
        default=None,
        metadata={"help": "Of rescore; fitted on rehearsed questions when not set, 0 where it does not help."},
    )
    backend: Mapping[str, Any] = field(
        default_factory=dict, metadata={"help": "[backend] table of the verifier; empty: the answering model itself."}
    )

    def __post_init__(self) -> None:
        if self.rounds < 1 or (self.weight is not None and self.weight < 0):
            raise BadInput(
                f"refine.verify: rounds is {self.rounds}, weight {self.weight}; allowed are at least 1, and 0 or more"
            )


@dataclass(frozen=True, kw_only=True)
class RefineSettings:
    """What is done about a question after its first answer; nothing by default."""

    shuffle: ShuffleSettings = field(default_factory=ShuffleSettings)
    calibrate: CalibrateSettings = field(default_factory=CalibrateSettings)
    votes: VoteSettings | None = None
    verify: VerifySettings = field(default_factory=VerifySettings)
    verdict: VerdictTemplate = field(default_factory=VerdictTemplate)
    reader: Mapping[str, Any] = field(
        default_factory=dict,
        metadata={"help": "[backend] table of a model that reads replies which the rules cannot parse; empty: none."},
    )
    reason: bool = field(
        default=False, metadata={"help": "Reason first (style cot) in the subjects where rehearsal shows a gain."}
    )
    rehearse: int = field(default=0, metadata={"help": "Solved questions asked to fit what has to be fitted."})
    copy_exact: bool = field(
        default=False,
        metadata={"help": "Copy the answers of questions to submit that are in train, word for word."},
    )

    @property
    def to_fit(self) -> list[str]:
        """The settings that have to be fitted on rehearsed questions."""
        weight = self.verify.method == "rescore" and self.verify.weight is None
        fitted = {"reason": self.reason, "calibrate.temperature": self.calibrate.temperature == 0}
        return [name for name, needed in (fitted | {"verify.weight": weight}).items() if needed]


@dataclass(frozen=True)
class CascadeSettings:
    """Which answers of a cheap run are taken, so that the model is asked only the other questions.

    Raises:
        BadInput: a setting is out of range, or settings contradict each other.
    """

    run: Path | None = field(
        default=None,
        metadata={
            "help": "Folder of a run that has answered the same question files (a vote of cheap members): its confident"
            " answers are taken, and the model is asked the other questions, the least certain first."
        },
    )
    sure: float | None = field(
        default=None,
        metadata={"help": "Probability from which an answer is taken; fitted on `gold` when not set."},
    )
    gold: Path | None = field(
        default=None,
        metadata={
            "help": "The answers to one of the question files, which the model is asked whole: `sure` is fitted on it."
        },
    )
    share: float = field(
        default=1.0, metadata={"help": "Share of a file's questions that the model is asked, at most."}
    )

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise BadInput(f"limits.cascade.share is {self.share}; allowed is 0 to 1")
        if self.sure is not None and self.sure < 0:
            raise BadInput(f"limits.cascade.sure is {self.sure}; allowed is 0 or more")
        if self.run is not None and (self.sure is None) == (self.gold is None):
            raise BadInput("limits.cascade: set `sure`, or `gold` to fit it on, and not both")
        if self.run is None and (self.sure is not None or self.gold is not None or self.share < 1):
            raise BadInput("limits.cascade: `run` is not set; name the folder of the run whose answers are taken")


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """How a run survives a kill and keeps to a time limit, what it keeps, and what it does not ask at all.

    Raises:
        BadInput: a setting is out of range.
    """

    batch: int = field(default=256, metadata={"help": "Questions between two writes."})
    journal: Path | None = field(
        default=None, metadata={"help": "File that keeps replies: a killed run repeats nothing that was answered."}
    )
    deadline: float | None = field(
        default=None, metadata={"help": "Minutes after the start from which nothing more is asked."}
    )
    keep: Literal["all", "answers"] = field(
        default="all",
        metadata={
            "help": "all: keep every reply with what was parsed from it (OUT/FILE.replies.parquet), and each prompt"
            " once, for `quorum show` and the report. answers: keep only the answers."
        },
    )
    cascade: CascadeSettings = field(default_factory=CascadeSettings)

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise BadInput(f"limits.batch is {self.batch}; allowed is at least 1")
        if self.deadline is not None and not 0 <= self.deadline < math.inf:
            raise BadInput(f"limits.deadline is {self.deadline}; allowed are minutes, 0 or more")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """One model over question files.

    Raises:
        BadInput: there is no question file, or settings contradict each other.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {
        "prompt as text": "prompt.style",
        "template": "prompt.template",
        "examples": "prompt.examples",
        "transfer": "refine.copy_exact",
        **{name: f"limits.{name}" for name in ("batch", "journal", "deadline", "keep")},
        **{
            name: f"refine.{name}"
            for name in ("shuffle", "calibrate", "votes", "verify", "verdict", "reader", "reason", "rehearse")
        },
    }

    run: str = field(metadata={"help": "Name of the run in its answers."})
    questions: tuple[str, ...] = field(
        metadata={"help": "Question files; the first is the one to submit, any other may be scored."}
    )
    out: Path = field(metadata={"help": "Folder for answers (OUT/FILE.parquet), OUT/submission.csv and OUT/run.json."})
    backend: Mapping[str, Any] = field(metadata={"help": "Which model answers: its name and settings."})
    train: Path | None = field(
        default=None,
        metadata={"help": "Solved questions; when a question file is scored, those of the training folds only."},
    )
    sample: Path | None = field(
        default=None, metadata={"help": "The competition's sample submission; with it OUT/submission.csv is written."}
    )
    form: str | None = field(default=None, metadata={"help": FORM_HELP})
    prompt: PromptSettings = field(default_factory=PromptSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    refine: RefineSettings = field(default_factory=RefineSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    layout: Layout = field(default_factory=Layout)

    def __post_init__(self) -> None:
        if not self.questions:
            raise BadInput("questions is empty; name at least one question file")
        if len({Path(name).stem for name in self.questions}) < len(self.questions):
            raise BadInput("questions: two files have the same name, and answers go to OUT/NAME.parquet")
        if self.form is not None:
            parse_form(self.form)
        if self.refine.reason and self.prompt.style == "cot":
            raise BadInput("refine.reason: prompt.style is cot, which always reasons; allowed are letter, option, bare")
        if self.refine.copy_exact and not self.sample:
            raise BadInput("refine.copy_exact copies answers into the file to submit, and no sample is named")
        read_backend_settings(self.backend)
        for table in filter(None, (self.refine.verify.backend, self.refine.reader)):
            read_backend_settings(table)
        if self.refine.votes:
            check_votes(self.backend)


def check_rehearsal(refine: RefineSettings, solved: Sequence[Question], backend: Mapping[str, Any]) -> None:
    """Refuse to fit settings without rehearsed questions, or on questions whose answers the backend knows.

    Raises:
        BadInput: something has to be fitted, and there is nothing to fit it on.
    """
    needed = " and ".join(f"refine.{name}" for name in refine.to_fit)
    if needed and not (refine.rehearse > 0 and solved):
        raise BadInput(
            f"{needed} has to be fitted: set `train`, and `refine.rehearse` to the number of its questions to ask"
        )
    name = backend_name(backend)
    if needed and KINDS[name].sees_train and not KINDS[name].reads_prompt:
        raise BadInput(f"refine.rehearse: the {name} backend knows the answers of train; nothing can be fitted on them")


def check_votes(backend: Mapping[str, Any]) -> None:
    """Refuse sampled votes of a backend whose samples would all be the same.

    Raises:
        BadInput: the backend scores labels or options, or writes at temperature 0.
    """
    sampled = backend["inner"] if KINDS[str(backend["name"])].wraps else backend
    name = backend_name(backend)
    method, found = sampled.get("method", "letter"), ""
    if not KINDS[name].reads_prompt:
        found = f"the {name} backend writes no text"
    elif KINDS[name].generates and method != "generate":
        found = f"the {name} backend's method is {method!r}, which scores"
    elif KINDS[name].generates and sampled.get("temperature", 0) == 0:  # "" is the server's own
        found = f"the {name} backend's temperature is 0"
    if found:
        writers = ", ".join(each for each, kind in KINDS.items() if kind.generates and not kind.wraps)
        raise BadInput(
            f"refine.votes: {found}, and every sample would be the same; allowed are {writers}, with"
            ' method = "generate" and a temperature above 0 in [backend]'
        )
