"""The agent's loop: answer, ask whether it is TRUE, strike what is FALSE, answer again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from quorum.ask.asker import Ask
from quorum.ask.reply import ballot_from_reply
from quorum.ballot import Ballot, heaviest, normalised
from quorum.files.verifier_log import Verdict
from quorum.judge.verifier_scores import AskVerdict, ask_verdicts
from quorum.model.backend import Backend
from quorum.question import Question


@dataclass(frozen=True, slots=True)
class VerifiedBallots:
    """Each question's last ballot, over its own letters, and every answer that stood for a while, with its verdict."""

    ballots: dict[str, Ballot]
    verdicts: list[Verdict] = field(default_factory=list)


def eliminate_false(
    questions: Sequence[Question],
    answerer: Backend,
    verifier: Backend,
    ask: Ask,
    ask_verdict: AskVerdict,
    most_rounds: int = 25,
    first: Mapping[str, Ballot] | None = None,
) -> VerifiedBallots:
    """Asks; asks whether the answer is TRUE; on FALSE strikes that option and asks again, until TRUE or one is left.

    What is left last stands without a verdict, and so does an answer on which the verdict can't be read, or that is
    given in the last round. An open question has nothing to strike: its first answer stands. An answer that is not read
    ends the loop: the last that was read stands. Each round is one batch to each model; the first has `first`, where
    that is given, for its answers.
    """
    done = VerifiedBallots({question.id: {} for question in questions})
    standing = {question.id: question.labels for question in questions}
    active = list(questions)
    for number in range(1, most_rounds + 1):
        known = first if number == 1 else None
        answers = _answers(active, standing, answerer, ask) if known is None else {q.id: known[q.id] for q in active}
        done.ballots.update({id: ballot for id, ballot in answers.items() if ballot})
        read = [question for question in active if answers[question.id]]
        tops = {question.id: heaviest(answers[question.id]) for question in read}
        doubtful = [question for question in read if question.choices and number < most_rounds]
        true = _believed(doubtful, tops, verifier, ask_verdict)
        active = [question for question in doubtful if question.id in true and true[question.id] < 0.5]
        struck = {question.id for question in active}
        done.verdicts.extend(Verdict(q.id, number, tops[q.id], true.get(q.id), q.id in struck) for q in read)
        for question in active:
            standing[question.id] = tuple(label for label in standing[question.id] if label != tops[question.id])
        active = _settle_the_last(active, standing, done, number + 1)
        if not active:
            break
    return done


def _believed(
    questions: Sequence[Question], tops: Mapping[str, str], verifier: Backend, ask_verdict: AskVerdict
) -> dict[str, float]:
    """P(TRUE) of each question's answer, where the verdict can be read."""
    if not questions:
        return {}
    verdicts = ask_verdicts(verifier, [ask_verdict(question, tops[question.id]) for question in questions])
    return {
        question.id: normalised(verdict).get("TRUE", 0.0)
        for question, verdict in zip(questions, verdicts, strict=True)
        if verdict
    }


def _answers(
    active: Sequence[Question], standing: Mapping[str, Sequence[str]], answerer: Backend, ask: Ask
) -> dict[str, Ballot]:
    """Ballots over the questions' own letters, where only the options that stand are shown, lettered anew."""
    shown = [_only(question, standing[question.id]) for question in active]
    prompts = [ask(question) for question in shown]
    found = {}
    for question, prompt, reply in zip(active, prompts, answerer.answer(prompts), strict=True):
        own = dict(zip(prompt.labels, standing[question.id], strict=True))
        found[question.id] = {
            own.get(label, label): weight for label, weight in ballot_from_reply(reply, prompt).items()
        }
    return found


def _only(question: Question, labels: Sequence[str]) -> Question:
    if len(labels) == len(question.choices):
        return question
    return replace(question, choices=tuple(question.choice(label) for label in labels), answer=None)


def _settle_the_last(
    active: Sequence[Question], standing: Mapping[str, Sequence[str]], done: VerifiedBallots, number: int
) -> list[Question]:
    """The questions that can be asked again; where one option is left, it is the answer of round `number`."""
    for question in active:
        if len(standing[question.id]) == 1:
            done.ballots[question.id] = {standing[question.id][0]: 1.0}
            done.verdicts.append(Verdict(question.id, number, standing[question.id][0], None))
    return [question for question in active if len(standing[question.id]) > 1]
