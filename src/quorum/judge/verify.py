"""The agent's loop: answer, ask whether it is TRUE, strike what is FALSE, answer again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from quorum.ask.reply import ballot_of
from quorum.judge.belief import AskVerdict, verdicts_on
from quorum.judge.calibrate import heaviest
from quorum.model.backend import Backend
from quorum.question import Ballot, Prompt, Question

Ask = Callable[[Question], Prompt]


@dataclass(frozen=True, slots=True)
class Verified:
    """Each question's last ballot, and every round that led to it, as runs for an answers file.

    `rounds` are runs by name, "round 1 answer", "round 1 verdict", "round 2 answer" …: question id -> ballot, over the
    question's own letters, or over TRUE and FALSE; each holds the questions that were still asked then.
    """

    ballots: dict[str, Ballot]
    rounds: dict[str, dict[str, Ballot]] = field(default_factory=dict)


def strike_false(
    questions: Sequence[Question],
    answerer: Backend,
    verifier: Backend,
    ask: Ask,
    ask_verdict: AskVerdict,
    most_rounds: int = 25,
) -> Verified:
    """Asks; asks whether the answer is TRUE; on FALSE strikes that option and asks again, until TRUE or one is left.

    What is left last stands without a verdict, and so does an answer on which the verdict can't be read, or that is
    given in the last round. An open question has nothing to strike: its first answer stands. An answer that is not read
    ends the loop unread. Each round is one batch to each model.
    """
    done = Verified({question.id: {} for question in questions})
    standing = {question.id: question.labels for question in questions}
    active = list(questions)
    for number in range(1, most_rounds + 1):
        if not active:
            break
        answers = _answers(active, standing, answerer, ask)
        done.rounds[f"round {number} answer"] = answers
        done.ballots.update(answers)
        doubtful = [question for question in active if answers[question.id] and len(standing[question.id]) > 1]
        if number == most_rounds or not doubtful:
            break
        tops = {question.id: heaviest(answers[question.id]) for question in doubtful}
        replies = verdicts_on(verifier, [ask_verdict(question, tops[question.id]) for question in doubtful])
        verdicts = {question.id: verdict for question, verdict in zip(doubtful, replies, strict=True)}
        done.rounds[f"round {number} verdict"] = verdicts
        active = [question for question in doubtful if verdicts[question.id].get("FALSE", 0) > 0.5]
        for question in active:
            standing[question.id] = tuple(label for label in standing[question.id] if label != tops[question.id])
        active = _settle_the_last(active, standing, done)
    return done


def _answers(
    active: Sequence[Question], standing: Mapping[str, Sequence[str]], answerer: Backend, ask: Ask
) -> dict[str, Ballot]:
    """Ballots over the questions' own letters, where only the options that stand are shown, lettered anew."""
    shown = [_only(question, standing[question.id]) for question in active]
    prompts = [ask(question) for question in shown]
    found = {}
    for question, prompt, reply in zip(active, prompts, answerer.answer(prompts), strict=True):
        own = dict(zip(prompt.labels, standing[question.id], strict=True))
        found[question.id] = {own.get(label, label): weight for label, weight in ballot_of(reply, prompt).items()}
    return found


def _only(question: Question, labels: Sequence[str]) -> Question:
    if len(labels) == len(question.choices):
        return question
    return replace(question, choices=tuple(question.choice(label) for label in labels), answer=None)


def _settle_the_last(
    active: Sequence[Question], standing: Mapping[str, Sequence[str]], done: Verified
) -> list[Question]:
    """The questions that can be asked again; where one option is left, it is the answer."""
    for question in active:
        if len(standing[question.id]) == 1:
            done.ballots[question.id] = {standing[question.id][0]: 1.0}
    return [question for question in active if len(standing[question.id]) > 1]
