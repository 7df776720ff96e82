"""Verify answers: ask whether each is TRUE, remove the options that are FALSE, and ask again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from quorum.ask.asker import Ask
from quorum.ask.reply import ballot_from_reply
from quorum.ballot import Ballot, find_heaviest, normalise_ballot
from quorum.files.verifier_log import Verdict
from quorum.judge.verifier_scores import AskVerdict, ask_verdicts
from quorum.model.backend import Backend
from quorum.question import Question


@dataclass(frozen=True, slots=True)
class VerifiedBallots:
    """Each question's last ballot, over its own letters, and the verdict on every answer that was verified."""

    ballots: dict[str, Ballot]
    verdicts: list[Verdict] = field(default_factory=list)


def eliminate_false(
    questions: Sequence[Question],
    answerer: Backend,
    verifier: Backend,
    ask: Ask,
    ask_verdict: AskVerdict,
    max_rounds: int = 25,
    first: Mapping[str, Ballot] | None = None,
) -> VerifiedBallots:
    """Ask each question; if the verifier calls its answer FALSE, remove that option and ask again.

    The loop of a question ends when its answer is TRUE, when its verdict or its answer is unread (the last readable
    answer is kept), after `max_rounds`, or when one option is left, which is then the answer. The last option, and an
    answer given in the last round, are not verified. An open question has no options to remove: its first answer is
    kept. A round is one batch to each model.

    Args:
        first: ballots that are used as the answers of the first round, by question id; None: the answerer is asked.
    """
    result = VerifiedBallots({question.id: {} for question in questions})
    remaining = {question.id: question.labels for question in questions}
    active = list(questions)
    for number in range(1, max_rounds + 1):
        known = first if number == 1 else None
        ballots = (
            _ask_remaining(active, remaining, answerer, ask) if known is None else {q.id: known[q.id] for q in active}
        )
        result.ballots.update({id: ballot for id, ballot in ballots.items() if ballot})
        read = [question for question in active if ballots[question.id]]
        answers = {question.id: find_heaviest(ballots[question.id]) for question in read}
        verifiable = [question for question in read if question.choices and number < max_rounds]
        p_true = _verify_answers(verifiable, answers, verifier, ask_verdict)
        active = [question for question in verifiable if question.id in p_true and p_true[question.id] < 0.5]
        false = {question.id for question in active}
        result.verdicts.extend(
            Verdict(
                question_id=q.id, round=number, label=answers[q.id], p_true=p_true.get(q.id), eliminated=q.id in false
            )
            for q in read
        )
        for question in active:
            remaining[question.id] = tuple(label for label in remaining[question.id] if label != answers[question.id])
        active = _settle_single_options(active, remaining, result, number + 1)
        if not active:
            break
    return result


def _verify_answers(
    questions: Sequence[Question], answers: Mapping[str, str], verifier: Backend, ask_verdict: AskVerdict
) -> dict[str, float]:
    """Return P(TRUE) of each question's answer; questions whose verdict is unread are left out."""
    if not questions:
        return {}
    verdicts = ask_verdicts(verifier, [ask_verdict(question, answers[question.id]) for question in questions])
    return {
        question.id: normalise_ballot(verdict).get("TRUE", 0.0)
        for question, verdict in zip(questions, verdicts, strict=True)
        if verdict
    }


def _ask_remaining(
    questions: Sequence[Question], remaining: Mapping[str, Sequence[str]], answerer: Backend, ask: Ask
) -> dict[str, Ballot]:
    """Ask each question with its remaining options only, with new letters; return ballots over its own letters."""
    prompts = [ask(_restrict_options(question, remaining[question.id])) for question in questions]
    ballots = {}
    for question, prompt, reply in zip(questions, prompts, answerer.answer(prompts), strict=True):
        own = dict(zip(prompt.labels, remaining[question.id], strict=True))
        ballots[question.id] = {
            own.get(label, label): weight for label, weight in ballot_from_reply(reply, prompt).items()
        }
    return ballots


def _restrict_options(question: Question, labels: Sequence[str]) -> Question:
    if len(labels) == len(question.choices):
        return question
    return replace(question, choices=tuple(question.choice(label) for label in labels), answer=None)


def _settle_single_options(
    questions: Sequence[Question], remaining: Mapping[str, Sequence[str]], result: VerifiedBallots, number: int
) -> list[Question]:
    """Answer questions that have one option left, as of round `number`; return those that can be asked again."""
    for question in questions:
        if len(remaining[question.id]) == 1:
            result.ballots[question.id] = {remaining[question.id][0]: 1.0}
            result.verdicts.append(
                Verdict(question_id=question.id, round=number, label=remaining[question.id][0], p_true=None)
            )
    return [question for question in questions if len(remaining[question.id]) > 1]
