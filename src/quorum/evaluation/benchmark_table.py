"""Score the arms of a benchmark overall, by category, by language and by subject, and compare them in pairs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from quorum.ballot import Ballot
from quorum.data.subject_categories import categorise_subjects
from quorum.evaluation.certainty import Values, shrink_means
from quorum.evaluation.compare import PairedDifference, adjust_by_holm, compare_runs
from quorum.evaluation.metrics import Score, score_answers, score_question
from quorum.files.solution import SolvedRow, make_solution
from quorum.question import Question

Level = Literal["all", "category", "language", "subject"]
UNNAMED = "(no subject)"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedBenchmark:
    """The answers to score: questions, and the ballots of each arm, the base first.

    Attributes:
        total: questions in the file; `questions` may be a sample of them.
        language: the language of each question by its id; empty if there is one.
        dropped: rows of the file that cannot be scored.
    """

    benchmark: str
    mode: str
    questions: Sequence[Question]
    ballots: Mapping[str, Mapping[str, Ballot]]
    total: int
    dropped: int = 0
    language: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRow:
    """The scores of all arms on the questions of one part of a benchmark.

    Attributes:
        name: the category, language or subject; empty for all questions.
        scores: of each arm, the base first.
        shrunk: each score shrunk towards the mean of all parts of the level; None for all questions.
        gains: of each other arm over the base; Holm's p is over all rows of the level.
        shrunk_gains: each gain shrunk like the scores.
    """

    benchmark: str
    mode: str
    level: Level
    name: str
    scores: tuple[Score, ...]
    shrunk: tuple[float | None, ...]
    gains: tuple[PairedDifference, ...]
    shrunk_gains: tuple[float | None, ...]

    @property
    def n(self) -> int:
        """The number of questions, unread ones included."""
        return self.scores[0].n


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkTable:
    """All rows, and the mean over subjects of each arm by benchmark and mode, which weighs small subjects alike."""

    arms: tuple[str, ...]
    rows: tuple[BenchmarkRow, ...]
    subject_means: Mapping[tuple[str, str], tuple[float, ...]]
    notes: tuple[str, ...]

    def select(self, level: Level) -> list[BenchmarkRow]:
        """Return the rows of a level."""
        return [row for row in self.rows if row.level == level]


def make_benchmark_table(asked: Sequence[AskedBenchmark]) -> BenchmarkTable:
    """Score and compare the arms; every question counts, and an unread one is wrong."""
    rows = [row for one in asked for row in _score_benchmark(one)]
    means: dict[tuple[str, str], tuple[float, ...]] = {}
    for row in rows:
        if row.level == "subject":
            means.setdefault((row.benchmark, row.mode), ())
    for key in means:
        subjects = [row for row in rows if row.level == "subject" and (row.benchmark, row.mode) == key]
        values = [[score.value for score in row.scores] for row in subjects]
        means[key] = tuple(float(mean) for mean in np.mean(values, axis=0))
    return BenchmarkTable(
        arms=tuple(asked[0].ballots),
        rows=tuple(_adjust_gains(rows)),
        subject_means=means,
        notes=tuple(dict.fromkeys(note for one in asked for note in _list_notes(one))),
    )


def _score_benchmark(one: AskedBenchmark) -> Iterator[BenchmarkRow]:
    subjects = {question.subject for question in one.questions if question.subject is not None}
    category = categorise_subjects(subjects)
    parts: dict[Level, dict[str, list[Question]]] = {"all": {"": list(one.questions)}}
    if category:
        parts["category"] = _divide_questions(
            one.questions, {q.id: category.get(q.subject or "", "no category") for q in one.questions}
        )
    if one.language:
        parts["language"] = _divide_questions(one.questions, one.language)
    if len(subjects) > 1:
        parts["subject"] = _divide_questions(one.questions, {q.id: q.subject or UNNAMED for q in one.questions})
    for level, divided in parts.items():
        yield from _score_level(one, level, divided)


def _divide_questions(questions: Sequence[Question], name_of: Mapping[str, str]) -> dict[str, list[Question]]:
    divided: dict[str, list[Question]] = {}
    for question in questions:
        divided.setdefault(name_of[question.id], []).append(question)
    return dict(sorted(divided.items()))


def _score_level(one: AskedBenchmark, level: Level, parts: Mapping[str, Sequence[Question]]) -> Iterator[BenchmarkRow]:
    base, *others = one.ballots
    solutions = {name: make_solution(questions) for name, questions in parts.items()}
    hits = {arm: {name: _score_all(one.ballots[arm], rows) for name, rows in solutions.items()} for arm in one.ballots}
    shrunk: dict[str, list[float]] = {}
    if level != "all":
        shrunk = {arm: shrink_means(list(own.values())) for arm, own in hits.items()}
        shrunk |= {
            f"{arm} minus base": shrink_means([hits[arm][name] - hits[base][name] for name in parts]) for arm in others
        }
    for place, (name, rows) in enumerate(solutions.items()):
        known = {row.id for row in rows}
        ballots = {arm: {id: own[id] for id in known} for arm, own in one.ballots.items()}
        yield BenchmarkRow(
            benchmark=one.benchmark,
            mode=one.mode,
            level=level,
            name=name,
            scores=tuple(score_answers(own, rows).overall for own in ballots.values()),
            shrunk=tuple(shrunk[arm][place] if shrunk else None for arm in one.ballots),
            gains=tuple(compare_runs({arm: ballots[arm], base: ballots[base]}, rows).pairs[0] for arm in others),
            shrunk_gains=tuple(shrunk[f"{arm} minus base"][place] if shrunk else None for arm in others),
        )


def _score_all(ballots: Mapping[str, Ballot], rows: Sequence[SolvedRow]) -> Values:
    return np.array([score_question(ballots[row.id], row.answer, "accuracy") for row in rows])


def _adjust_gains(rows: Sequence[BenchmarkRow]) -> list[BenchmarkRow]:
    """Return the rows with Holm's p over all gains of their level."""
    adjusted = list(rows)
    for level in {row.level for row in rows}:
        places = [(place, arm) for place, row in enumerate(rows) if row.level == level for arm in range(len(row.gains))]
        values = adjust_by_holm([rows[place].gains[arm].p for place, arm in places]) if places else []
        for (place, arm), p in zip(places, values, strict=True):
            gains = list(adjusted[place].gains)
            gains[arm] = replace(gains[arm], adjusted=p)
            adjusted[place] = replace(adjusted[place], gains=tuple(gains))
    return adjusted


def _list_notes(one: AskedBenchmark) -> Iterator[str]:
    if len(one.questions) < one.total:
        yield f"{one.benchmark}: {len(one.questions):,} of its {one.total:,} questions, the same ones in every run"
    if one.dropped:
        yield f"{one.benchmark}: {one.dropped:,} rows have no usable answer and cannot be scored"
    for arm, own in one.ballots.items():
        if unread := sum(not own[question.id] for question in one.questions):
            yield f"{one.benchmark}, {one.mode}, {arm}: {unread:,} unread answers count as wrong"
