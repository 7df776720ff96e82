"""The agent: every question answered once, and then looked at again, as its settings say."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from quorum.ask.asker import Ask
from quorum.ask.judge_prompt import verdict_prompt
from quorum.ask.reply import ballot_from_reply
from quorum.ask.shuffle import ShuffledQuestion, shuffle_options
from quorum.ballot import Ballot, fit_temperature, mean_ballot, tempered
from quorum.data.duplicates import cluster_duplicates
from quorum.files.pass_result import PassResult
from quorum.files.verifier_log import Verdict
from quorum.judge.letter_prior import LetterPrior, estimate_prior, is_order_sensitive, remove_known_prior
from quorum.judge.llm_reader import read_with_llm
from quorum.judge.reason import ReasoningRule, fit_reasoning
from quorum.judge.refine import RefineSettings
from quorum.judge.verifier_scores import AskVerdict, VerifierWeight, combine, fit_verifier_weight, score_options
from quorum.judge.verify import eliminate_false
from quorum.judge.votes import vote_adaptively
from quorum.model.backend import Backend
from quorum.question import Prompt, Question

_FOLDS = 5  # of rehearsed questions, in which a verifier's weight and reasoning are tried


@dataclass(frozen=True, slots=True)
class FittedSettings:
    """What was fitted on `count` rehearsed questions, or given: the temperature, the verifier's weight, why that weight
    (None: it was given), and which questions are reasoned about (None: as all are asked)."""

    temperature: float
    weight: float
    count: int = 0
    verifier: VerifierWeight | None = None
    reasoning: ReasoningRule | None = None

    @property
    def told(self) -> str:
        """The temperature and the verifier's weight in one line for whoever watches."""
        line = f"temperature {self.temperature:.3g}, verifier's weight {self.weight:g}, of {self.count} rehearsed"
        found = self.verifier
        if found is None:
            return line
        return f"{line} (out of fold {found.alone:.3f} alone, {found.joined:.3f} joined, ± {found.error:.3f} paired)"


@dataclass(frozen=True)
class Agent:
    """A model, how it is asked, and what it is asked again; whatever it does, it does in batches of questions.

    A reply that comes to nothing (it can't be read, or the time is over) takes nothing from what stands.
    """

    answerer: Backend
    ask: Ask
    looks: RefineSettings
    verifier: Backend
    reader: Backend | None = None  # the second reader of replies that stay unread
    batch: int = 256
    ask_verdict: AskVerdict = verdict_prompt
    ask_reasoned: Ask | None = None  # to reason first, where that may pay

    def first_answers(self, questions: Sequence[Question]) -> Iterator[PassResult]:
        """Every question asked once, as it stands."""
        return self._asked_once(questions, self.ask, {})

    def second_looks(
        self, questions: Sequence[Question], first: Mapping[str, Ballot], fitted: FittedSettings
    ) -> Iterator[PassResult]:
        """What becomes of first answers, look after look: reasoning where it pays, other orders and votes, the letters'
        prior, the temperature, and last the verifier."""
        standing, agent = dict(first), self._deciding(fitted.reasoning)
        paying = [question for question in questions if fitted.reasoning and fitted.reasoning.wants(question)]
        for look in self._asked_once(paying, agent.ask, first):
            standing |= look.ballots
            yield look
        for look in agent._asked_again(questions, dict(standing)):
            standing |= look.ballots
            yield look
        if fitted.temperature != 1:
            standing = {id: tempered(ballot, fitted.temperature) for id, ballot in standing.items()}
            yield PassResult(standing)
        for some in self._batches(questions if self.looks.verification.way != "none" else []):
            yield agent._verified(some, standing, fitted.weight)

    def rehearsed(self, solved: Sequence[Question]) -> FittedSettings:
        """What is to be fitted, fitted on solved questions that the model has not learnt from and is not scored on.

        Reasoning and the verifier's weight are tried across folds in which near-duplicates stay together. Without
        anything to fit nobody is asked, and what is given stands.
        """
        weight, temperature = self.looks.verification.weight or 0.0, self.looks.debias.temperature
        if not self.looks.to_fit:
            return FittedSettings(temperature, weight)
        answers = {question.id: question.answer for question in solved if question.answer is not None}
        standing = _merged(self.first_answers(solved))
        reasoning = self._weighed_reasoning(solved, standing, answers) if self.looks.reason else None
        if self.looks.to_fit == ["reason"]:
            return FittedSettings(temperature, weight, len(solved), reasoning=reasoning)
        standing |= reasoning.ballots if reasoning else {}
        standing |= _merged(self._deciding(reasoning)._asked_again(solved, standing))
        if temperature == 0:
            temperature = fit_temperature([standing[id] for id in answers], list(answers.values()))
        if "verify.weight" not in self.looks.to_fit:
            return FittedSettings(temperature, weight, len(solved), reasoning=reasoning)
        standing = {id: tempered(ballot, temperature) for id, ballot in standing.items()}
        belief: dict[str, Ballot] = {}
        for some in self._batches(solved):
            belief |= score_options(some, self.verifier, self.ask_verdict)
        found = fit_verifier_weight(standing, belief, answers, _cluster_folds(solved))
        return FittedSettings(temperature, found.weight, len(solved), found, reasoning)

    def _weighed_reasoning(
        self, solved: Sequence[Question], plain: Mapping[str, Ballot], answers: Mapping[str, str]
    ) -> ReasoningRule:
        """Where it pays to reason, as solved questions asked both ways say."""
        assert self.ask_reasoned is not None, "reasoning is wanted, and nothing says how it is asked for"
        reasoned = _merged(self._asked_once(solved, self.ask_reasoned, plain))
        subjects = {question.id: question.subject or "" for question in solved}
        return fit_reasoning(plain, reasoned, answers, subjects, _cluster_folds(solved))

    def _deciding(self, reasoning: ReasoningRule | None) -> "Agent":
        """The agent that reasons about the questions that are to be reasoned about."""
        reasoned = self.ask_reasoned
        if reasoning is None or reasoned is None:
            return self
        return replace(self, ask=lambda question: (reasoned if reasoning.wants(question) else self.ask)(question))

    def _batches(self, questions: Sequence[Question]) -> Iterator[Sequence[Question]]:
        for first in range(0, len(questions), self.batch):
            yield questions[first : first + self.batch]

    def _asked_once(
        self, questions: Sequence[Question], ask: Ask, standing: Mapping[str, Ballot]
    ) -> Iterator[PassResult]:
        """An answer to each question; where it can't be read, what stands."""
        for some in self._batches(questions):
            ballots, reread_ids = self._asked([ask(question) for question in some])
            found = {q.id: ballot or standing.get(q.id, {}) for q, ballot in zip(some, ballots, strict=True)}
            yield PassResult(found, reread=reread_ids)

    def _asked(self, prompts: Sequence[Prompt]) -> tuple[list[Ballot], set[str]]:
        """A ballot for each prompt, and the ids of those that the second reader read."""
        replies = self.answerer.answer(prompts) if prompts else []
        if self.reader is None:
            return [ballot_from_reply(reply, prompt) for reply, prompt in zip(replies, prompts, strict=True)], set()
        found = read_with_llm(prompts, replies, self.reader)
        return found.ballots, {prompts[place].question_id for place in found.places}

    def _asked_again(self, questions: Sequence[Question], first: Mapping[str, Ballot]) -> Iterator[PassResult]:
        """Votes beside the first answers, other orders, and all of them freed of the letters' prior."""
        looks = self.looks
        if looks.votes is None and looks.orders.orders == "none" and looks.debias.prior == "none":
            return

        def answered(asked: Sequence[Question]) -> list[Ballot]:
            return self._asked([self.ask(question) for question in asked])[0]

        prior = estimate_prior(looks.debias, questions, first, answered)
        for some in self._batches(questions):
            yield self._in_orders([shuffle_options(question, looks.orders) for question in some], first, prior)

    def _in_orders(
        self, asked: Sequence[ShuffledQuestion], first: Mapping[str, Ballot], prior: LetterPrior
    ) -> PassResult:
        prompts = [self.ask(question) for one in asked for question in one.asked()]
        given = [None if place else first[one.question.id] for one in asked for place in range(len(one.orders))]
        found, reread_ids = self._decided(prompts, given)
        ballots, look = iter(found), PassResult(reread=reread_ids)
        for one in asked:
            id = one.question.id
            undone = one.undo([remove_known_prior(next(ballots), prior) for _ in one.orders])
            look.ballots[id] = mean_ballot(undone) or first[id]
            if len(undone) > 1:
                look.torn[id] = is_order_sensitive(undone)
        return look

    def _decided(self, prompts: Sequence[Prompt], given: Sequence[Ballot | None]) -> tuple[list[Ballot], set[str]]:
        """A ballot for each prompt: its votes, of which the given one is the first; or, without votes, the given one or
        the model's. And the ids of those that the second reader read."""
        if self.looks.votes:
            return [v.ballot for v in vote_adaptively(self.answerer, prompts, self.looks.votes, first=given)], set()
        missing = [prompt for prompt, ballot in zip(prompts, given, strict=True) if ballot is None]
        found, reread_ids = self._asked(missing)
        answers = iter(found)
        return [next(answers) if ballot is None else ballot for ballot in given], reread_ids

    def _verified(self, questions: Sequence[Question], standing: Mapping[str, Ballot], weight: float) -> PassResult:
        verification = self.looks.verification
        if verification.way == "strike":
            done = eliminate_false(
                questions, self.answerer, self.verifier, self.ask, self.ask_verdict, verification.rounds, standing
            )
            return PassResult(done.ballots, done.verdicts)
        if weight == 0:
            return PassResult()
        belief = score_options(questions, self.verifier, self.ask_verdict)
        verdicts = [Verdict(id, 1, label, true) for id, each in belief.items() for label, true in each.items()]
        return PassResult({q.id: combine(standing[q.id], belief[q.id], weight) for q in questions}, verdicts)


def draw_rehearsal(solved: Sequence[Question], count: int, seed: int = 42) -> list[Question]:
    """`count` of the solved questions, drawn by chance; fewer where there are not so many. File order plays no part."""
    known = sorted((q for q in solved if q.choices and q.answer is not None), key=lambda question: question.id)
    return random.Random(seed).sample(known, min(count, len(known)))


def _cluster_folds(solved: Sequence[Question]) -> dict[str, int]:
    """A fold for each question, near-duplicates in one."""
    return {question.id: number % _FOLDS for question, number in zip(solved, cluster_duplicates(solved), strict=True)}


def _merged(looks: Iterable[PassResult]) -> dict[str, Ballot]:
    return {id: ballot for look in looks for id, ballot in look.ballots.items()}
