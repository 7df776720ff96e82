"""What each member's voice is worth, fitted on questions whose answers are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from quorum.judge.ensemble.pool import LOG_DEPTH, SMALLEST_PROBABILITY
from quorum.question import MOST_CHOICES

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.intp]

# How ballots are added up: one vote for the heaviest label; probabilities; log-probabilities.
Pool = Literal["votes", "mean", "log"]

PRIOR_RIGHT, PRIOR_ASKED = 1.0, 4.0  # accuracy of a member before anything is known: 1 right of 4
STACK_PENALTY, STACK_MEMBERS = 3.0, 8
BLEND_QUESTIONS, BLEND_COUNTS = 100, (3, 5, 7)
SUBJECT_PENALTY = 30.0
GREEDY_STEPS, GREEDY_BAGS, GREEDY_MEMBERS, GREEDY_QUESTIONS = 12, 8, 10, 1000


@dataclass(frozen=True, slots=True)
class LabelledBallots:
    """Members' ballots on questions whose answers are known.

    `probability[question, member, label]` sums to 1 over the labels, or is 0 throughout where the member is unread;
    `gold[question]` and `subject[question]` are places in `labels` and in `subjects` (one, "", where none is known).
    """

    members: tuple[str, ...]
    labels: tuple[str, ...]
    subjects: tuple[str, ...]
    probability: Floats
    gold: Whole
    subject: Whole

    def only(self, questions: Whole) -> "LabelledBallots":
        """The same members on some of the questions."""
        return replace(
            self,
            probability=self.probability[questions],
            gold=self.gold[questions],
            subject=self.subject[questions],
        )

    def tempered(self, temperatures: Floats) -> "LabelledBallots":
        """The same ballots, each member's at its own temperature: p^(1/T), normalised; unread ones stay unread."""
        heights = np.log(np.maximum(self.probability, SMALLEST_PROBABILITY)) / temperatures[:, None]
        shares = np.exp(heights - heights.max(axis=2, keepdims=True)) * (self.probability > 0)
        total = shares.sum(axis=2, keepdims=True)
        return replace(self, probability=shares / np.where(total > 0, total, 1.0))

    def evidence(self, pool: Pool) -> Floats:
        """What `weights` multiply under `pool`, [question, member, label]: see `quorum.judge.ensemble.pool`."""
        if pool == "mean":
            return self.probability
        if pool == "log":
            return log_heights(self.probability)
        heaviest = self.probability.argmax(axis=2)
        votes = np.zeros_like(self.probability)
        np.put_along_axis(votes, heaviest[:, :, None], 1.0, axis=2)
        return votes * self.read[:, :, None]

    @property
    def read(self) -> npt.NDArray[np.bool_]:
        """Which ballots are not unread, [question, member]."""
        return np.asarray(self.probability.any(axis=2))

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which members' heaviest label is the answer, [question, member]; unread is wrong."""
        return np.asarray((self.probability.argmax(axis=2) == self.gold[:, None]) & self.read)


def log_heights(probability: Floats) -> Floats:
    """log p above the log of the floor, in units of that floor's depth: 1 for a sure label, 0 for one it rules out."""
    return np.asarray(np.log(np.maximum(probability, SMALLEST_PROBABILITY) / SMALLEST_PROBABILITY) / LOG_DEPTH)


def collect_labelled_ballots(answers: pl.DataFrame, gold: pl.DataFrame) -> LabelledBallots:
    """The ballots of the questions in `gold` (columns id, answer and perhaps subject) that stand in `answers`.

    Where there are more than 26 labels in all (numbers, texts), `labels` are places among those of each question alone.
    """
    known = gold.filter(pl.col("id").is_in(answers["id"].unique().implode()))
    members = tuple(answers["run"].unique(maintain_order=True))
    truth = known.select(pl.lit("").alias("run"), "id", label="answer", weight=pl.lit(1.0))
    own = limit_labels(pl.concat([answers.join(known, on="id", how="semi").select(truth.columns), truth]))
    labels = tuple(own["label"].drop_nulls().unique().sort())
    subject = known["subject"].fill_null("") if "subject" in known.columns else pl.Series([""] * len(known))
    subjects = tuple(subject.unique().sort())
    return LabelledBallots(
        members,
        labels,
        subjects,
        make_ballot_array(own.head(-len(known)), known["id"], members, labels),
        _places(own.tail(len(known))["label"], labels),
        _places(subject, subjects),
    )


def limit_labels(answers: pl.DataFrame) -> pl.DataFrame:
    """The answers, their labels told apart within each question only where there are more than 26 of them in all."""
    if answers["label"].n_unique() <= MOST_CHOICES:
        return answers
    place = pl.col("label").rank("dense").over("id").cast(pl.String).str.zfill(6)
    return answers.with_columns(label=place)


def _places(values: pl.Series, names: Sequence[str]) -> Whole:
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[value] for value in values], dtype=np.intp)


def make_ballot_array(answers: pl.DataFrame, ids: pl.Series, members: Sequence[str], labels: Sequence[str]) -> Floats:
    """The ballots of some questions, [question, member, label], each summing to 1 or, where unread, 0 throughout."""
    rows = answers.filter(pl.col("label").is_not_null(), pl.col("weight") > 0)
    for column, values in (("id", ids), ("run", members), ("label", labels)):
        names = pl.Series(column, values, dtype=pl.String)
        places = pl.DataFrame([names, pl.Series(f"{column}_place", range(len(names)), dtype=pl.Int64)])
        rows = rows.join(places, on=column)
    weight = np.zeros((len(ids), len(members), len(labels)))
    weight[rows["id_place"], rows["run_place"], rows["label_place"]] = rows["weight"]
    total = weight.sum(axis=2, keepdims=True)
    weight /= np.where(total > 0, total, 1.0)
    return weight


@dataclass(frozen=True, slots=True)
class VotingMethod:
    """One way to vote: its name, how ballots are added up, and how weights are found.

    Weights are one a member, [member], or one a subject and member, [subject, member]; none is negative. Where
    `calibrated`, each member's ballots are first brought to the temperature that fits it (`fit_temperatures`).
    """

    name: str
    pool: Pool
    fit: Callable[[LabelledBallots], Floats]
    calibrated: bool = False


def log_odds(ballots: LabelledBallots) -> Floats:
    """log((k - 1) p / (1 - p)) of each member's accuracy p where it is read, at least 0.

    The best weights for members that err independently of each other and alike over the k - 1 wrong labels (Nitzan and
    Paroush 1982; Shapley and Grofman 1984). p is shrunk: it starts from 1 right of 4.
    """
    right = (ballots.right.sum(axis=0) + PRIOR_RIGHT) / (ballots.read.sum(axis=0) + PRIOR_ASKED)
    return np.asarray(np.maximum(0.0, np.log(max(len(ballots.labels) - 1, 1) * right / (1 - right))))


def fit_temperatures(ballots: LabelledBallots) -> Floats:
    """The temperature of each member, [member], that makes the answers likeliest; 1 where it read nothing.

    Guo et al. (2017), arXiv:1706.04599, within 1/20 and 20.
    """
    from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

    heights = np.log(np.maximum(ballots.probability, SMALLEST_PROBABILITY))
    rows = np.arange(len(ballots.gold))

    def fitted(member: int) -> float:
        read = ballots.read[:, member]
        own, gold = heights[read, member], ballots.gold[read]

        def loss(log_temperature: float) -> float:
            cooled = own / np.exp(log_temperature)
            top = cooled.max(axis=1, keepdims=True)
            log_total = (np.log(np.exp(cooled - top).sum(axis=1, keepdims=True)) + top)[:, 0]
            return float((log_total - cooled[rows[: len(gold)], gold]).sum())

        edge = np.log(20.0)
        return float(np.exp(minimize_scalar(loss, bounds=(-edge, edge), method="bounded").x)) if read.any() else 1.0

    return np.array([fitted(member) for member in range(len(ballots.members))])


def equal_weights(ballots: LabelledBallots) -> Floats:
    """One vote a member."""
    return np.ones(len(ballots.members))


def best_weights(count: int) -> Callable[[LabelledBallots], Floats]:
    """One vote for each of the `count` members with most right answers; of equal ones the first."""

    def fit(ballots: LabelledBallots) -> Floats:
        weights = np.zeros(len(ballots.members))
        weights[rank_members(ballots)[:count]] = 1.0
        return weights

    return fit


def best_log_odds(count: int) -> Callable[[LabelledBallots], Floats]:
    """Log-odds for the `count` members with most right answers, 0 for the others."""
    return lambda ballots: best_weights(count)(ballots) * log_odds(ballots)


def greedy_weights(ballots: LabelledBallots) -> Floats:
    """How often forward selection with replacement took each member, over bags of questions.

    Caruana et al., Ensemble Selection from Libraries of Models (2004), with their two cures for overfitting: bags, and
    only the best members as candidates. Each step adds the vote that leaves most questions right, and in a tie the
    better member.
    """
    chance = np.random.default_rng(0)
    candidates = rank_members(ballots)[:GREEDY_MEMBERS]
    votes = ballots.evidence("votes")[:, candidates]
    # half a vote, at most, for the better members: it decides ties and nothing else
    tie_break = np.einsum("qmk,m->qk", votes, 0.25 / 2.0 ** np.arange(1, len(candidates) + 1))
    taken = np.zeros(len(candidates))
    for _ in range(GREEDY_BAGS):
        bag = chance.integers(len(votes), size=min(len(votes), GREEDY_QUESTIONS))
        taken += _forward_selection(votes[bag], ballots.gold[bag], tie_break[bag])
    weights = np.zeros(len(ballots.members))
    weights[candidates] = taken / taken.sum()
    return weights


def _forward_selection(votes: Floats, gold: Whole, tie_break: Floats) -> Floats:
    """How often each member is in the best of the committees met on the way."""
    taken, total = np.zeros(votes.shape[1]), tie_break[:, None, :]
    best, best_taken = -1.0, taken
    for _ in range(GREEDY_STEPS):
        right = ((total + votes).argmax(axis=2) == gold[:, None]).mean(axis=0)
        member = int(right.argmax())
        total = total + votes[:, member : member + 1]
        taken = taken.copy()
        taken[member] += 1
        if right[member] > best:
            best, best_taken = right[member], taken
    return best_taken


def stack_weights(pool: Pool, count: int | None = None) -> Callable[[LabelledBallots], Floats]:
    """Weights under which softmax(sum of weight x evidence) makes the answers likeliest: a conditional logit.

    McFadden (1974), with weights shared by all labels, none negative, and a ridge whose prior spread is a member's
    squared log-odds relative to the best one's: many weak members then cannot drown few strong ones, and how far
    members err together is part of the fit. Only the `count` best members take part, all without it.
    """

    def fit(ballots: LabelledBallots) -> Floats:
        members = rank_members(ballots)[:count]
        odds = log_odds(ballots)[members]
        spread = (odds / max(odds.max(), 1e-12)) ** 2
        evidence = ballots.evidence(pool)[:, members] * spread[:, None]
        weights = np.zeros(len(ballots.members))
        weights[members] = spread * _conditional_logit(evidence, ballots.gold, STACK_PENALTY, np.zeros(len(members)))
        return weights

    return fit


def blend_weights(ballots: LabelledBallots) -> Floats:
    """The stack of the best members, held to the log-odds of the best 3, 5 and 7 as if those were 100 questions' worth.

    The stack wins where it has many questions to learn from, and plain log-odds where it has few.
    """
    stack = stack_weights("log", STACK_MEMBERS)(ballots)
    plain = sum(_shares(best_log_odds(count)(ballots)) for count in BLEND_COUNTS) / len(BLEND_COUNTS)
    trust = len(ballots.gold) / (len(ballots.gold) + BLEND_QUESTIONS)
    mixed = np.asarray(trust * _shares(stack) + (1 - trust) * plain)
    return _shares(mixed) * float(stack.sum() or 1.0)


def _shares(weights: Floats) -> Floats:
    return weights / (weights.sum() or 1.0)


def subject_weights(ballots: LabelledBallots) -> Floats:
    """The blend's weights, bent to each subject's questions, [subject, member]: a ridge holds them to the blend's."""
    overall = blend_weights(ballots)
    weights = np.tile(overall, (len(ballots.subjects), 1))
    for subject in np.unique(ballots.subject):
        own = ballots.only(np.flatnonzero(ballots.subject == subject))
        voiced = np.flatnonzero(overall)
        evidence = own.evidence("log")[:, voiced]
        weights[subject, voiced] = _conditional_logit(evidence, own.gold, SUBJECT_PENALTY, overall[voiced])
    return weights


def _conditional_logit(evidence: Floats, gold: Whole, penalty: float, prior: Floats) -> Floats:
    from scipy.optimize import minimize

    questions, members, labels = evidence.shape
    if members == 0:
        return prior
    flat = np.ascontiguousarray(evidence.transpose(0, 2, 1)).reshape(-1, members)
    of_gold = evidence[np.arange(questions), :, gold].sum(axis=0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = (flat @ weights).reshape(questions, labels)
        top = scores.max(axis=1, keepdims=True)
        shares = np.exp(scores - top)
        total = shares.sum(axis=1, keepdims=True)
        off = weights - prior
        value = float((np.log(total) + top).sum() - of_gold @ weights + penalty / 2 * (off @ off))
        return value, flat.T @ (shares / total).ravel() - of_gold + penalty * off

    start = np.maximum(prior, 0.1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * members)
    return np.asarray(found.x, dtype=np.float64)


def rank_members(ballots: LabelledBallots) -> Whole:
    """Members, those with most right answers first; of equal ones the first."""
    return np.argsort(-ballots.right.sum(axis=0), kind="stable")


BEST = VotingMethod("best member", "votes", best_weights(1))
BLEND = VotingMethod("blend", "log", blend_weights)
VOTE_METHODS: Sequence[VotingMethod] = (
    BEST,
    VotingMethod("majority", "votes", equal_weights),
    VotingMethod("top 3", "votes", best_weights(3)),
    VotingMethod("weighted", "votes", log_odds),
    VotingMethod("weighted top 3", "votes", best_log_odds(3)),
    VotingMethod("weighted top 5", "votes", best_log_odds(5)),
    VotingMethod("greedy", "votes", greedy_weights),
    VotingMethod("stack", "log", stack_weights("log")),
    BLEND,
)
BY_SUBJECT = VotingMethod("blend by subject", "log", subject_weights)
# Only where some ballot holds more than one label; else they are what the methods above are.
PROBABILITY_METHODS: Sequence[VotingMethod] = (
    VotingMethod("mean", "mean", equal_weights),
    VotingMethod("weighted mean", "mean", log_odds),
    VotingMethod("calibrated mean", "mean", equal_weights, calibrated=True),
    VotingMethod("weighted calibrated mean", "mean", log_odds, calibrated=True),
    VotingMethod("geometric mean", "log", equal_weights),
    VotingMethod("calibrated geometric mean", "log", equal_weights, calibrated=True),
    VotingMethod("weighted geometric mean", "log", log_odds),
    VotingMethod("stacked votes", "votes", stack_weights("votes")),
)
