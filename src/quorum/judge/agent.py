"""Answer questions with one model: once, and then refined as the settings say."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from quorum.ask.asker import Ask
from quorum.ask.judge_prompt import render_verdict_prompt
from quorum.ask.reply import ballot_from_reply
from quorum.ask.shuffle import ShuffledQuestion, shuffle_options
from quorum.ballot import Ballot, apply_temperature, average_ballots, fit_temperature
from quorum.data.duplicates import cluster_duplicates
from quorum.files.pass_result import PassResult
from quorum.files.verifier_log import Verdict
from quorum.judge.keep import PassName, ignore_pass
from quorum.judge.letter_prior import LetterPrior, estimate_prior, is_order_sensitive, remove_known_prior
from quorum.judge.llm_reader import read_with_llm
from quorum.judge.reason import ReasoningRule, fit_reasoning
from quorum.judge.settings import RefineSettings
from quorum.judge.verifier_scores import AskVerdict, VerifierWeight, combine, fit_verifier_weight, score_options
from quorum.judge.verify import eliminate_false
from quorum.judge.votes import vote_adaptively
from quorum.model.backend import Backend
from quorum.question import Prompt, Question

_FOLDS = 5  # of rehearsed questions, over which a verifier's weight and reasoning are cross-fitted


@dataclass(frozen=True, kw_only=True)
class FittedSettings:
    """Settings fitted on `count` rehearsed questions, or given by the user.

    `verifier` holds the cross-fitted evidence for `weight` (None: the weight was given). `reasoning` decides which
    questions are reasoned about (None: all are asked alike).
    """

    temperature: float
    weight: float
    count: int = 0
    verifier: VerifierWeight | None = None
    reasoning: ReasoningRule | None = None

    @property
    def summary(self) -> str:
        """Return the temperature and the verifier's weight in one line."""
        line = f"temperature {self.temperature:.3g}, verifier weight {self.weight:g}, from {self.count} rehearsed"
        fit = self.verifier
        if fit is None:
            return line
        return f"{line} (out of fold {fit.alone:.3f} alone, {fit.combined:.3f} combined, ± {fit.error:.3f} paired)"


@dataclass(frozen=True)
class Rewording:
    """Another wording of the prompts: asks for an answer, or for reasoning first."""

    ask: Ask
    ask_reasoned: Ask


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A model, how it is asked, and how its answers are refined, in batches of questions.

    An unreadable or missing reply never overwrites an existing answer.
    """

    answerer: Backend
    ask: Ask
    settings: RefineSettings
    verifier: Backend
    reader: Backend | None = None  # parses replies that the rules leave unread
    batch: int = 256
    ask_verdict: AskVerdict = render_verdict_prompt
    ask_reasoned: Ask | None = None  # asks for reasoning first
    rewordings: Sequence["Rewording"] = ()  # other wordings, whose answers are averaged with those of `ask`
    in_pass: Callable[[Backend, PassName], Backend] = ignore_pass  # a backend that keeps the replies of a pass

    def first_answers(
        self, questions: Sequence[Question], given: Mapping[str, Ballot] | None = None
    ) -> Iterator[PassResult]:
        """Ask every question once, and yield each batch's result; an unread reply leaves the given answer, if any."""
        return self._ask_once(questions, self.ask, given or {}, "first")

    def refine(
        self, questions: Sequence[Question], first: Mapping[str, Ballot], fitted: FittedSettings
    ) -> Iterator[PassResult]:
        """Yield what becomes of first answers: reasoning where it pays, option orders and votes without the letter
        prior, the same in other wordings, the temperature, and last the verifier."""
        current, agent = dict(first), self._with_reasoning(fitted.reasoning)
        paying = [question for question in questions if fitted.reasoning and fitted.reasoning.applies_to(question)]
        for result in self._ask_once(paying, agent.ask, first, "reason"):
            current |= result.ballots
            yield result
        for result in agent._ask_in_wordings(questions, dict(current)):
            current |= result.ballots
            yield result
        if fitted.temperature != 1:
            current = {id: apply_temperature(ballot, fitted.temperature) for id, ballot in current.items()}
            yield PassResult(current)
        for batch in self._batches(questions if self.settings.verify.method != "none" else []):
            yield agent._verify(batch, current, fitted.weight)

    def rehearse(self, solved: Sequence[Question]) -> FittedSettings:
        """Fit what has to be fitted, on solved questions that the model did not learn from and is not scored on.

        Reasoning and the verifier's weight are cross-fitted over folds that keep near-duplicates together. When nothing
        has to be fitted, nothing is asked.
        """
        weight, temperature = self.settings.verify.weight or 0.0, self.settings.calibrate.temperature
        if not self.settings.to_fit:
            return FittedSettings(temperature=temperature, weight=weight)
        answers = {question.id: question.answer for question in solved if question.answer is not None}
        current = _merge_ballots(self.first_answers(solved))
        reasoning = self._fit_reasoning(solved, current, answers) if self.settings.reason else None
        fitted = FittedSettings(temperature=temperature, weight=weight, count=len(solved), reasoning=reasoning)
        if self.settings.to_fit == ["reason"]:
            return fitted
        current |= reasoning.ballots if reasoning else {}
        current |= _merge_ballots(self._with_reasoning(reasoning)._ask_in_wordings(solved, current))
        if temperature == 0:
            temperature = fit_temperature([current[id] for id in answers], list(answers.values()))
        if "verify.weight" not in self.settings.to_fit:
            return replace(fitted, temperature=temperature)
        current = {id: apply_temperature(ballot, temperature) for id, ballot in current.items()}
        scores: dict[str, Ballot] = {}
        for batch in self._batches(solved):
            scores |= score_options(batch, self._verifier, self.ask_verdict)
        found = fit_verifier_weight(current, scores, answers, _cluster_folds(solved))
        return replace(fitted, temperature=temperature, weight=found.weight, verifier=found)

    def _fit_reasoning(
        self, solved: Sequence[Question], plain: Mapping[str, Ballot], answers: Mapping[str, str]
    ) -> ReasoningRule:
        """Ask solved questions both ways and decide where reasoning pays."""
        assert self.ask_reasoned is not None, "settings.reason needs ask_reasoned"
        reasoned = _merge_ballots(self._ask_once(solved, self.ask_reasoned, plain, "reason"))
        subjects = {question.id: question.subject or "" for question in solved}
        return fit_reasoning(plain, reasoned, answers, subjects, _cluster_folds(solved))

    def _with_reasoning(self, reasoning: ReasoningRule | None) -> "Agent":
        """Return the agent that asks for reasoning where the rule says so."""
        if reasoning is None or self.ask_reasoned is None:
            return self
        rule = reasoning

        def choose(plain: Ask, reasoned: Ask) -> Ask:
            return lambda question: (reasoned if rule.applies_to(question) else plain)(question)

        others = [replace(each, ask=choose(each.ask, each.ask_reasoned)) for each in self.rewordings]
        return replace(self, ask=choose(self.ask, self.ask_reasoned), rewordings=others)

    @property
    def _verifier(self) -> Backend:
        return self.in_pass(self.verifier, "verify")

    def _batches(self, questions: Sequence[Question]) -> Iterator[Sequence[Question]]:
        for first in range(0, len(questions), self.batch):
            yield questions[first : first + self.batch]

    def _ask_once(
        self, questions: Sequence[Question], ask: Ask, current: Mapping[str, Ballot], name: PassName
    ) -> Iterator[PassResult]:
        """Yield an answer to each question; an unread reply leaves the current one."""
        for batch in self._batches(questions):
            ballots, reread = self._read_answers([ask(question) for question in batch], name)
            found = {q.id: ballot or current.get(q.id, {}) for q, ballot in zip(batch, ballots, strict=True)}
            yield PassResult(found, reread=reread)

    def _read_answers(self, prompts: Sequence[Prompt], name: PassName) -> tuple[list[Ballot], set[str]]:
        """Return a ballot for each prompt, and the ids of those that the second reader parsed."""
        replies = self.in_pass(self.answerer, name).answer(prompts) if prompts else []
        if self.reader is None:
            return [ballot_from_reply(reply, prompt) for reply, prompt in zip(replies, prompts, strict=True)], set()
        found = read_with_llm(prompts, replies, self.in_pass(self.reader, "reader"))
        return found.ballots, {prompts[index].question_id for index in found.indices}

    def _ask_in_wordings(self, questions: Sequence[Question], first: Mapping[str, Ballot]) -> Iterator[PassResult]:
        """Yield first answers joined by votes and other option orders, and then averaged with those in each further
        wording; an unread one does not count."""
        own = dict(first)
        for result in self._ask_again(questions, first):
            own |= result.ballots
            yield result
        found = [own]
        for rewording in self.rewordings:
            agent = replace(self, ask=rewording.ask, rewordings=())
            answers = _merge_ballots(agent._ask_once(questions, agent.ask, {}, "wording"))
            found.append(answers | _merge_ballots(agent._ask_again(questions, answers)))
            yield PassResult({id: average_ballots([each[id] for each in found]) or own[id] for id in own})

    def _ask_again(self, questions: Sequence[Question], first: Mapping[str, Ballot]) -> Iterator[PassResult]:
        """Yield first answers joined by votes and other option orders, all without the letter prior."""
        settings = self.settings
        if settings.votes is None and settings.shuffle.orders == "none" and settings.calibrate.prior == "none":
            return

        def read(asked: Sequence[Question]) -> list[Ballot]:
            return self._read_answers([self.ask(question) for question in asked], "prior")[0]

        prior = estimate_prior(settings.calibrate, questions, first, read)
        for batch in self._batches(questions):
            yield self._ask_in_orders([shuffle_options(question, settings.shuffle) for question in batch], first, prior)

    def _ask_in_orders(
        self, asked: Sequence[ShuffledQuestion], first: Mapping[str, Ballot], prior: LetterPrior
    ) -> PassResult:
        prompts = [self.ask(question) for one in asked for question in one.list_variants()]
        given = [None if place else first[one.question.id] for one in asked for place in range(len(one.orders))]
        found, reread = self._vote_or_read(prompts, given)
        ballots, result = iter(found), PassResult(reread=reread)
        for one in asked:
            id = one.question.id
            undone = one.undo([remove_known_prior(next(ballots), prior) for _ in one.orders])
            result.ballots[id] = average_ballots(undone) or first[id]
            if len(undone) > 1:
                result.order_sensitive[id] = is_order_sensitive(undone)
        return result

    def _vote_or_read(self, prompts: Sequence[Prompt], given: Sequence[Ballot | None]) -> tuple[list[Ballot], set[str]]:
        """Return a ballot for each prompt: its votes, of which the given one is the first; without votes the given one
        or the model's. And the ids of those that the second reader parsed."""
        if self.settings.votes:
            votes = vote_adaptively(self.in_pass(self.answerer, "vote"), prompts, self.settings.votes, first=given)
            return [each.ballot for each in votes], set()
        missing = [prompt for prompt, ballot in zip(prompts, given, strict=True) if ballot is None]
        found, reread = self._read_answers(missing, "order")
        answers = iter(found)
        return [next(answers) if ballot is None else ballot for ballot in given], reread

    def _verify(self, questions: Sequence[Question], current: Mapping[str, Ballot], weight: float) -> PassResult:
        settings = self.settings.verify
        if settings.method == "eliminate":
            done = eliminate_false(
                questions,
                self.in_pass(self.answerer, "eliminate"),
                verifier=self._verifier,
                ask=self.ask,
                ask_verdict=self.ask_verdict,
                max_rounds=settings.rounds,
                first=current,
            )
            return PassResult(done.ballots, done.verdicts)
        if weight == 0:
            return PassResult()
        scores = score_options(questions, self._verifier, self.ask_verdict)
        verdicts = [
            Verdict(question_id=id, round=1, label=label, p_true=true)
            for id, each in scores.items()
            for label, true in each.items()
        ]
        return PassResult({q.id: combine(current[q.id], scores[q.id], weight) for q in questions}, verdicts)


def draw_rehearsal(solved: Sequence[Question], count: int, seed: int = 42) -> list[Question]:
    """Draw at most `count` of the solved questions with choices. The order in the file does not matter."""
    known = sorted((q for q in solved if q.choices and q.answer is not None), key=lambda question: question.id)
    return random.Random(seed).sample(known, min(count, len(known)))


def _cluster_folds(solved: Sequence[Question]) -> dict[str, int]:
    """Return a fold for each question; near-duplicates share one."""
    return {question.id: number % _FOLDS for question, number in zip(solved, cluster_duplicates(solved), strict=True)}


def _merge_ballots(results: Iterable[PassResult]) -> dict[str, Ballot]:
    return {id: ballot for result in results for id, ballot in result.ballots.items()}
