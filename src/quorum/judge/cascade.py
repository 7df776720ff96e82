"""A cascade: take a cheap run's answers where it is confident, and ask an expensive model the other questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quorum.ballot import Ballot, is_right, is_unread
from quorum.data.duplicates import cluster_duplicates
from quorum.errors import BadInput
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.run_folder import RunFolder
from quorum.judge.settings import CascadeSettings
from quorum.question import Question

TOLERANCE = 0.01  # of accuracy: the most that a cascade may lose against the expensive model alone
GATE_ERRORS = 2.0  # standard errors between the measured difference and that loss
CROSS_FITTED_PARTS = 5

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeRule:
    """From which confidence on a cheap answer is taken, and what that is worth on labelled questions.

    Attributes:
        sure: the confidence; infinite where no cheap answer may be taken.
        labelled: how many labelled questions the rule was fitted on.
        asked: the share of them that the expensive model is asked, cross-fitted like `accuracy`.
        accuracy: of the cascade, each question by a rule fitted without it.
        alone: accuracy of the expensive model alone.
        cheap: accuracy of the cheap run alone.
        error: standard error of `accuracy - alone`.
    """

    sure: float
    labelled: int
    asked: float
    accuracy: float
    alone: float
    cheap: float
    error: float

    @property
    def summary(self) -> str:
        """What the rule does and what it is worth, in one line."""
        taken = "takes no answer" if np.isinf(self.sure) else f"takes answers from probability {self.sure:.3f} on"
        return (
            f"the cascade {taken}: out of fold it asks {self.asked:.1%} of {self.labelled} labelled questions"
            f" and scores {self.accuracy:.4f}, the model alone {self.alone:.4f} (difference ± {self.error:.4f}),"
            f" the cheap run {self.cheap:.4f}"
        )


class Cascade:
    """The cheap run's answers to question files, and which questions are asked; without a run all questions are.

    Raises:
        BadInput: the run has no answers to a file, or `gold` is the answers of none of the files.
    """

    def __init__(self, settings: CascadeSettings, files: Mapping[str, Sequence[Question]]) -> None:
        self._settings, self._sure = settings, settings.sure
        self._gold_file = settings.gold.stem if settings.gold else ""
        if self._gold_file and self._gold_file not in files:
            raise BadInput(
                f"limits.cascade.gold: {settings.gold} holds answers of none of the question files {', '.join(files)};"
                " name it like the file that it belongs to"
            )
        self.cheap: dict[str, dict[str, Ballot]] = {
            stem: _read_cheap(settings, stem, questions) for stem, questions in files.items()
        }

    def order_files(self) -> list[str]:
        """Return the names of the question files in the order in which they are asked: labelled questions first."""
        return sorted(self.cheap, key=lambda stem: stem != self._gold_file)

    def list_asked(self, file: str, questions: Sequence[Question]) -> list[Question]:
        """Return the questions to ask, those with the least confident cheap answer first."""
        if self._settings.run is None or file == self._gold_file or self._sure is None:
            return list(questions)
        own = self.cheap[file]
        unsure = [question for question in questions if compute_confidence(own.get(question.id, {})) < self._sure]
        unsure.sort(key=lambda question: compute_confidence(own.get(question.id, {})))
        return unsure[: int(self._settings.share * len(questions))]

    def fit(
        self, file: str, questions: Sequence[Question], expensive: Mapping[str, Ballot], gold: Mapping[str, str]
    ) -> CascadeRule | None:
        """Fit the confidence if these are the labelled questions; None if they are not."""
        if not self._gold_file or file != self._gold_file:
            return None
        rule = self._fit(file, questions, expensive, gold)[0]
        self._sure = rule.sure
        return rule

    def cross_fit(
        self, file: str, questions: Sequence[Question], expensive: Mapping[str, Ballot], gold: Mapping[str, str]
    ) -> dict[str, Ballot]:
        """Return the cheap ballots that are taken, each by a rule fitted without its question and near-duplicates."""
        if not self._gold_file or file != self._gold_file:
            return {}
        return {id: self.cheap[file][id] for id in self._fit(file, questions, expensive, gold)[1]}

    def _fit(
        self, file: str, questions: Sequence[Question], expensive: Mapping[str, Ballot], gold: Mapping[str, str]
    ) -> tuple[CascadeRule, list[str]]:
        known = [question for question in questions if question.id in gold]
        ids = [question.id for question in known]
        own = self.cheap[file]
        confidence = np.array([compute_confidence(own.get(id, {})) for id in ids])
        cheap, alone = (np.array([is_right(run.get(id, {}), gold[id]) for id in ids]) for run in (own, expensive))
        rule, taken = fit_cascade(confidence, cheap, alone, np.array(cluster_duplicates(known)))
        return rule, [id for id, took in zip(ids, taken, strict=True) if took]


def compute_confidence(ballot: Ballot) -> float:
    """Return the probability of the heaviest label; 0 for an unread ballot."""
    return max(ballot.values()) / sum(ballot.values()) if not is_unread(ballot) else 0.0


def fit_cascade(
    confidence: Numbers, cheap: npt.NDArray[np.bool_], expensive: npt.NDArray[np.bool_], clusters: npt.NDArray[np.intp]
) -> tuple[CascadeRule, npt.NDArray[np.bool_]]:
    """Return the rule for labelled questions, and which cheap answers are taken by rules fitted without the question.

    Args:
        confidence: of each cheap answer, [question].
        cheap: whether the cheap run is right, [question].
        expensive: whether the expensive model is right.
        clusters: questions of one cluster are in one fold.

    Raises:
        BadInput: there is no labelled question.
    """
    if not len(confidence):
        raise BadInput("limits.cascade.gold: none of its questions is in the question file of the same name")
    gain = cheap.astype(np.float64) - expensive
    taken = np.zeros(len(gain), dtype=np.bool_)
    for part in range(CROSS_FITTED_PARTS):
        held = clusters % CROSS_FITTED_PARTS == part
        taken[held] = confidence[held] >= find_sure(confidence[~held], gain[~held])
    difference = np.where(taken, gain, 0.0)
    rule = CascadeRule(
        sure=find_sure(confidence, gain),
        labelled=len(gain),
        asked=float(1 - taken.mean()),
        accuracy=float(expensive.mean() + difference.mean()),
        alone=float(expensive.mean()),
        cheap=float(cheap.mean()),
        error=float(difference.std() / np.sqrt(len(gain))),
    )
    return rule, taken


def find_sure(confidence: Numbers, gain: Numbers) -> float:
    """Return the confidence from which on cheap answers are taken, so that most questions are answered right.

    Of equal ones the lowest. Only those count whose difference from the expensive model alone is, by two standard
    errors, not a loss of more than a point; infinite if there is none. The error counts one question more than
    disagree, because a few questions without a disagreement prove nothing.

    Args:
        gain: 1 where only the cheap answer is right, -1 where only the expensive one is, else 0.
    """
    order = np.argsort(-confidence, kind="stable")
    values, sums, disagreeing = confidence[order], np.cumsum(gain[order]), np.cumsum(np.abs(gain[order]))
    last = np.append(values[1:] < values[:-1], True)[: len(values)] & (values > 0)
    error = np.sqrt(disagreeing + 1) / max(1, len(gain))
    allowed = last & (sums / max(1, len(gain)) - GATE_ERRORS * error >= -TOLERANCE)
    if not allowed.any():
        return float("inf")
    best = sums[allowed].max()
    return float(values[np.flatnonzero(allowed & (sums == best))[-1]]) if best >= 0 else float("inf")


def _read_cheap(settings: CascadeSettings, file: str, questions: Sequence[Question]) -> dict[str, Ballot]:
    """Read the cheap run's ballots on a file's questions, without labels that a question lacks."""
    if settings.run is None:
        return {}
    path = RunFolder(settings.run).answers(file)
    if not path.exists():
        raise BadInput(f"limits.cascade.run: {path} does not exist; the run has not answered {file}")
    found = ballots_from_answers(read_answers(path))
    known = {question.id: question for question in questions if question.id in found}
    if not known:
        raise BadInput(f"limits.cascade.run: {path} has no answer to any question of {file}")
    return {
        id: {label: weight for label, weight in found[id].items() if not question.choices or label in question.labels}
        for id, question in known.items()
    }
