"""What the report says about runs, as numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from quorum.ballot import Ballot, heaviest, is_right
from quorum.evaluation.compare import Comparison, PairedDifference, compare_runs
from quorum.evaluation.ledger import Board, Entry
from quorum.evaluation.metrics import Score, SubjectScore, score_answers
from quorum.evaluation.shakeup import Parts, Shakeup, estimate_shakeup
from quorum.files.solution import make_solution
from quorum.judge.calibrate import Bin, expected_calibration_error, reliability_bins
from quorum.judge.letter_prior import count_letter_shares
from quorum.question import Question

MOST_RUNS = 20  # that are looked at question by question, the best


@dataclass(frozen=True, slots=True)
class RunAnswers:
    """One run's answers to the held-out questions, by question id.

    `sent` are its submission's, gaps filled by the prior: what is scored. `ballots` are its own; empty is unread.
    """

    entry: Entry
    sent: Mapping[str, Ballot]
    ballots: Mapping[str, Ballot]

    @property
    def name(self) -> str:
        return self.entry.name


@dataclass(frozen=True, slots=True)
class ScoredParts:
    """One submission's scores on other questions than the held-out ones, and how far luck alone would take them."""

    run: str
    held_out: Score
    public: float | None
    private: float | None
    expected: Shakeup | None


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """The runs' scores on one subject, in the order of the runs."""

    subject: str
    n: int
    scores: tuple[SubjectScore, ...]


@dataclass(frozen=True, slots=True)
class LetterShare:
    """How often a letter is the answer, and how often each run says it, as shares; the runs in their order."""

    letter: str
    gold: float
    runs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often two members give the same answer, as a share of the `n` questions that both read."""

    one: str
    other: str
    share: float
    n: int


@dataclass(frozen=True, slots=True)
class VoteGain:
    """What a vote gained: it minus each member; `reach` is the share of questions that some member has right."""

    vote: str
    pairs: tuple[PairedDifference, ...]
    reach: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How sure a run is, and how often it is right where it is so sure; `error` is the expected calibration error."""

    run: str
    n: int
    bins: tuple[Bin, ...]
    error: float


@dataclass(frozen=True, slots=True)
class QuestionAnswers:
    """A held-out question and what the runs said, in their order: the label sent, or "" for none.

    `read` tells a run's own answer from one filled by the prior. `hits` runs are right among those that read anything
    at all, and `rival` is the wrong label that most of them give.
    """

    question: Question
    sent: tuple[str, ...]
    read: tuple[bool, ...]
    hits: int
    rival: str
    rival_votes: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the page shows of one board; `runs` are those whose answers are at hand, best first.

    `compared` has the best of them minus each other, `agreements` begin with the pair that agrees most, `asked` runs
    read anything at all, and questions stand hardest first.
    """

    competition: str
    board: Board
    others: tuple[Board, ...]
    parts: Parts | None
    shaken: tuple[ScoredParts, ...]
    runs: tuple[str, ...]
    compared: Comparison | None
    subjects: tuple[SubjectRow, ...]
    letters: tuple[LetterShare, ...]
    agreements: tuple[Agreement, ...]
    gains: tuple[VoteGain, ...]
    reliabilities: tuple[Reliability, ...]
    asked: int
    questions: tuple[QuestionAnswers, ...]

    @property
    def looks(self) -> int:
        """How many different submissions the held-out set was asked about."""
        return max(standing.look for standing in self.board.standings)


def collect_facts(
    competition: str,
    boards: Sequence[Board],
    questions: Sequence[Question],
    answers: Sequence[RunAnswers],
    parts: Parts | None,
) -> Facts:
    """The facts of the first of `boards`: `questions` are its held-out ones, with their answers.

    Of more than 20 runs the best are looked at question by question.

    Raises:
        BadInput: a question without an answer, a run that lacks a question.
    """
    board, *others = boards
    order = [standing.entry for standing in board.standings]
    runs = sorted(answers, key=lambda run: order.index(run.entry))[:MOST_RUNS] if questions else []
    members = [run for run in runs if not run.entry.members and any(run.ballots.values())]
    sent = {run.name: run.sent for run in runs}
    return Facts(
        competition,
        board,
        tuple(others),
        parts,
        tuple(_shaken(standing.entry, parts) for standing in board.standings),
        tuple(sent),
        compare_runs(sent, make_solution(questions), board.metric) if len(runs) > 1 else None,
        _subject_rows(runs, questions, board.metric),
        _letter_rows(runs, questions),
        _agreements(members),
        tuple(gain for run in runs if (gain := _vote_gain(run, members, questions, board.metric))),
        tuple(one for run in runs if (one := _reliability(run, questions))),
        sum(any(run.ballots.values()) for run in runs),
        tuple(sorted((_answered(runs, question) for question in questions), key=_hardest_first)),
    )


def _shaken(entry: Entry, parts: Parts | None) -> ScoredParts:
    expected = estimate_shakeup(entry.held_out, parts) if parts else None
    return ScoredParts(entry.name, entry.held_out, entry.public, entry.private, expected)


def _subject_rows(runs: Sequence[RunAnswers], questions: Sequence[Question], metric: str) -> tuple[SubjectRow, ...]:
    """The subjects, the largest first; none where questions have none."""
    if len({question.subject for question in questions}) < 2:
        return ()
    solution = make_solution(questions)
    columns = [score_answers(run.sent, solution, metric).subjects for run in runs]
    rows = [SubjectRow(scores[0].subject, scores[0].score.n, scores) for scores in zip(*columns, strict=True)]
    return tuple(sorted(rows, key=lambda row: (-row.n, row.subject)))


def _letter_rows(runs: Sequence[RunAnswers], questions: Sequence[Question]) -> tuple[LetterShare, ...]:
    """The letters of the questions that have choices; runs that read nothing are there with their filled answers."""
    closed = [question for question in questions if question.choices]
    letters = max((question.labels for question in closed), key=len, default=())
    gold = count_letter_shares([{question.answer: 1.0} for question in closed if question.answer], letters)
    shares = [count_letter_shares([run.sent[question.id] for question in closed], letters) for run in runs]
    return tuple(LetterShare(letter, gold[letter], tuple(share[letter] for share in shares)) for letter in letters)


def _agreements(members: Sequence[RunAnswers]) -> tuple[Agreement, ...]:
    """Every pair of members, those that agree most first."""
    said = {run.name: {id: heaviest(ballot) for id, ballot in run.ballots.items() if ballot} for run in members}
    found = []
    for one, other in combinations(said, 2):
        both = said[one].keys() & said[other].keys()
        same = sum(said[one][id] == said[other][id] for id in both)
        found.append(Agreement(one, other, same / len(both) if both else 0.0, len(both)))
    return tuple(sorted(found, key=lambda pair: -pair.share))


def _vote_gain(
    run: RunAnswers, members: Sequence[RunAnswers], questions: Sequence[Question], metric: str
) -> VoteGain | None:
    own = [member for member in members if member.name in run.entry.members]
    if not own:
        return None
    solution = make_solution(questions)
    pairs = [compare_runs({run.name: run.sent, one.name: one.sent}, solution, metric).pairs[0] for one in own]
    reached = [any(is_right(one.sent[question.id], question.answer or "") for one in own) for question in questions]
    return VoteGain(run.name, tuple(pairs), sum(reached) / len(reached))


def _reliability(run: RunAnswers, questions: Sequence[Question]) -> Reliability | None:
    """None where a run only names labels: it does not say how sure it is."""
    read = [(run.ballots[q.id], q.answer) for q in questions if q.answer is not None and run.ballots.get(q.id)]
    if all(len(ballot) == 1 for ballot, _ in read):
        return None
    ballots, golds = [ballot for ballot, _ in read], [gold for _, gold in read]
    return Reliability(
        run.name, len(read), tuple(reliability_bins(ballots, golds)), expected_calibration_error(ballots, golds)
    )


def _answered(runs: Sequence[RunAnswers], question: Question) -> QuestionAnswers:
    sent = tuple(heaviest(ballot) if (ballot := run.sent[question.id]) else "" for run in runs)
    read = tuple(bool(run.ballots.get(question.id)) for run in runs)
    own = [label for label, by_itself in zip(sent, read, strict=True) if by_itself]
    wrong = Counter(label for label in own if label != question.answer)
    rival, votes = min(wrong.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
    return QuestionAnswers(question, sent, read, own.count(question.answer or ""), rival, votes)


def _hardest_first(one: QuestionAnswers) -> tuple[int, int, str]:
    """Fewest runs right; of equal ones that on which most runs agree in being wrong: its gold may be what is wrong."""
    return one.hits, -one.rival_votes, one.question.id
