"""Collect the numbers that the report shows about runs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from quorum.ballot import Ballot, find_heaviest, is_right
from quorum.evaluation.compare import Comparison, PairedDifference, compare_runs
from quorum.evaluation.ledger import Board, Entry
from quorum.evaluation.metrics import Score, SubjectScore, score_answers
from quorum.evaluation.report_extras import Extras
from quorum.evaluation.shakeup import Parts, Shakeup, estimate_shakeup
from quorum.files.solution import make_solution
from quorum.judge.calibrate import Bin, expected_calibration_error, reliability_bins
from quorum.judge.letter_prior import count_letter_shares
from quorum.question import Question

MAX_RUNS = 20  # the best runs, which are analysed question by question


@dataclass(frozen=True, slots=True)
class RunAnswers:
    """One run's answers to the held-out questions, by question id.

    `sent` are the answers of its submission, where unread ones were filled with the prior: these are scored. `ballots`
    are its own answers; an empty ballot is unread.
    """

    entry: Entry
    sent: Mapping[str, Ballot]
    ballots: Mapping[str, Ballot]

    @property
    def name(self) -> str:
        return self.entry.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ShakeupRow:
    """One submission's held-out, public and private score, and the shake-up to expect by chance alone."""

    run: str
    held_out: Score
    public: float | None
    private: float | None
    expected: Shakeup | None


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """The scores of all runs on one subject, in the order of the runs."""

    subject: str
    n: int
    scores: tuple[SubjectScore, ...]


@dataclass(frozen=True, slots=True)
class LetterShare:
    """The share of questions whose answer is this letter, and the share for which each run answers it."""

    letter: str
    gold: float
    runs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """The share of the `n` questions that two members both read for which they give the same answer."""

    one: str
    other: str
    share: float
    n: int


@dataclass(frozen=True, slots=True)
class VoteGain:
    """The gain of a vote: its difference from each member.

    `oracle` is the share of questions that at least one member has right: no vote over them can reach more.
    """

    vote: str
    pairs: tuple[PairedDifference, ...]
    oracle: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """A run's reliability diagram, over the `n` questions it read; `error` is the expected calibration error."""

    run: str
    n: int
    bins: tuple[Bin, ...]
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAnswers:
    """A held-out question and the answers of the runs, in their order.

    Attributes:
        sent: the label that each run sent; "" for none.
        read: whether it is the run's own answer (False: filled with the prior).
        hits: number of runs whose own answer is right.
        rival: the most frequent wrong label among own answers; "" for none.
        rival_votes: number of runs that answered it.
    """

    question: Question
    sent: tuple[str, ...]
    read: tuple[bool, ...]
    hits: int
    rival: str
    rival_votes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The numbers that the report shows about one board.

    Attributes:
        others: the other boards of the ledger.
        parts: the sizes of the public and the private part of the test; None: not known.
        shakeup: one row for each submission of the board.
        runs: the runs whose answers are available, best first.
        comparison: the best of them minus each other; None for fewer than two.
        subjects: largest subject first.
        agreements: pairs of members, those that agree most first.
        gains: one for each vote.
        reliabilities: one for each run that gives probabilities.
        answering: number of runs that read at least one question.
        questions: hardest first.
        extras: what the workspace holds besides scores.
    """

    competition: str
    board: Board
    others: tuple[Board, ...]
    parts: Parts | None
    shakeup: tuple[ShakeupRow, ...]
    runs: tuple[str, ...]
    comparison: Comparison | None
    subjects: tuple[SubjectRow, ...]
    letters: tuple[LetterShare, ...]
    agreements: tuple[Agreement, ...]
    gains: tuple[VoteGain, ...]
    reliabilities: tuple[Reliability, ...]
    answering: int
    questions: tuple[QuestionAnswers, ...]
    extras: Extras = field(default_factory=Extras)

    @property
    def evaluations(self) -> int:
        """The number of submissions that were evaluated on the held-out questions."""
        return max(row.evaluations for row in self.board.standings)


def collect_facts(
    competition: str,
    boards: Sequence[Board],
    questions: Sequence[Question],
    answers: Sequence[RunAnswers],
    parts: Parts | None,
) -> Facts:
    """Return the facts of the first board.

    Only the 20 best runs are analysed question by question.

    Args:
        competition: name of the competition.
        boards: the boards of the ledger.
        questions: the board's held-out questions with their answers; empty if they are not available.
        answers: the answers of runs to these questions.
        parts: the sizes of the public and the private part of the test; None: not known.

    Raises:
        BadInput: a question has no answer, or a run lacks a question.
    """
    board, *others = boards
    order = [row.entry for row in board.standings]
    runs = sorted(answers, key=lambda run: order.index(run.entry))[:MAX_RUNS] if questions else []
    members = [run for run in runs if not run.entry.members and any(run.ballots.values())]
    sent = {run.name: run.sent for run in runs}
    gains = [_measure_vote_gain(run, members, questions, board.metric) for run in runs]
    reliabilities = [_measure_reliability(run, questions) for run in runs]
    return Facts(
        competition=competition,
        board=board,
        others=tuple(others),
        parts=parts,
        shakeup=tuple(_make_shakeup_row(row.entry, parts) for row in board.standings),
        runs=tuple(sent),
        comparison=compare_runs(sent, make_solution(questions), board.metric) if len(runs) > 1 else None,
        subjects=_make_subject_rows(runs, questions, board.metric),
        letters=_make_letter_rows(runs, questions),
        agreements=_measure_agreements(members),
        gains=tuple(gain for gain in gains if gain),
        reliabilities=tuple(reliability for reliability in reliabilities if reliability),
        answering=sum(any(run.ballots.values()) for run in runs),
        questions=tuple(sorted((_collect_answers(runs, question) for question in questions), key=_rank_difficulty)),
    )


def _make_shakeup_row(entry: Entry, parts: Parts | None) -> ShakeupRow:
    expected = estimate_shakeup(entry.held_out, parts) if parts else None
    return ShakeupRow(
        run=entry.name, held_out=entry.held_out, public=entry.public, private=entry.private, expected=expected
    )


def _make_subject_rows(
    runs: Sequence[RunAnswers], questions: Sequence[Question], metric: str
) -> tuple[SubjectRow, ...]:
    """Return a row for each subject, the largest first; none if there are fewer than two subjects."""
    if len({question.subject for question in questions}) < 2:
        return ()
    solution = make_solution(questions)
    columns = [score_answers(run.sent, solution, metric).subjects for run in runs]
    rows = [SubjectRow(scores[0].subject, scores[0].score.n, scores) for scores in zip(*columns, strict=True)]
    return tuple(sorted(rows, key=lambda row: (-row.n, row.subject)))


def _make_letter_rows(runs: Sequence[RunAnswers], questions: Sequence[Question]) -> tuple[LetterShare, ...]:
    """Return a row for each letter, over the questions with choices; answers filled with the prior count too."""
    closed = [question for question in questions if question.choices]
    letters = max((question.labels for question in closed), key=len, default=())
    gold = count_letter_shares([{question.answer: 1.0} for question in closed if question.answer], letters)
    shares = [count_letter_shares([run.sent[question.id] for question in closed], letters) for run in runs]
    return tuple(LetterShare(letter, gold[letter], tuple(share[letter] for share in shares)) for letter in letters)


def _measure_agreements(members: Sequence[RunAnswers]) -> tuple[Agreement, ...]:
    """Return every pair of members, those that agree most first."""
    answers = {run.name: {id: find_heaviest(ballot) for id, ballot in run.ballots.items() if ballot} for run in members}
    agreements = []
    for one, other in combinations(answers, 2):
        both = answers[one].keys() & answers[other].keys()
        same = sum(answers[one][id] == answers[other][id] for id in both)
        agreements.append(Agreement(one, other, same / len(both) if both else 0.0, len(both)))
    return tuple(sorted(agreements, key=lambda pair: -pair.share))


def _measure_vote_gain(
    run: RunAnswers, members: Sequence[RunAnswers], questions: Sequence[Question], metric: str
) -> VoteGain | None:
    own = [member for member in members if member.name in run.entry.members]
    if not own:
        return None
    solution = make_solution(questions)
    pairs = [compare_runs({run.name: run.sent, one.name: one.sent}, solution, metric).pairs[0] for one in own]
    reachable = [any(is_right(one.sent[question.id], question.answer or "") for one in own) for question in questions]
    return VoteGain(run.name, tuple(pairs), sum(reachable) / len(reachable))


def _measure_reliability(run: RunAnswers, questions: Sequence[Question]) -> Reliability | None:
    """Return a run's reliability; None if it gives labels without probabilities."""
    read = [(run.ballots[q.id], q.answer) for q in questions if q.answer is not None and run.ballots.get(q.id)]
    if all(len(ballot) == 1 for ballot, _ in read):
        return None
    ballots, golds = [ballot for ballot, _ in read], [gold for _, gold in read]
    return Reliability(
        run.name, len(read), tuple(reliability_bins(ballots, golds)), expected_calibration_error(ballots, golds)
    )


def _collect_answers(runs: Sequence[RunAnswers], question: Question) -> QuestionAnswers:
    sent = tuple(find_heaviest(ballot) if (ballot := run.sent[question.id]) else "" for run in runs)
    read = tuple(bool(run.ballots.get(question.id)) for run in runs)
    own = [label for label, is_own in zip(sent, read, strict=True) if is_own]
    wrong = Counter(label for label in own if label != question.answer)
    rival, votes = min(wrong.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
    return QuestionAnswers(
        question=question, sent=sent, read=read, hits=own.count(question.answer or ""), rival=rival, rival_votes=votes
    )


def _rank_difficulty(one: QuestionAnswers) -> tuple[int, int, str]:
    """Return the sort key: fewest hits first, then most votes for one wrong label (gold may be wrong)."""
    return one.hits, -one.rival_votes, one.question.id
