"""The eliminating verifier on scripted replies, and the rescoring verifier, which must not lower the accuracy."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.judge_prompt import render_verdict_prompt
from quorum.ask.prompt import render_prompt
from quorum.ask.reply import ballot_from_reply
from quorum.ballot import Ballot, find_heaviest, normalise_ballot
from quorum.files.verifier_log import Verdict
from quorum.judge.verifier_scores import combine, fit_verifier_weight, score_options
from quorum.judge.verify import VerifiedBallots, eliminate_false
from quorum.model.backend import Backend
from quorum.model.simulated import ScriptedModel, SimulatedModel, SimulatedSettings
from quorum.question import Prompt, Question, Reply, letters
from tests.support.verifiers import proposed

METALS = Question(id="metals", text="Which is yellow?", choices=("iron", "zinc", "gold", "tin"))


class Counted:
    """A backend that counts its batches."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.batches: list[int] = []

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        self.batches.append(len(prompts))
        return self.backend.answer(prompts)


def ask(question: Question) -> Prompt:
    return render_prompt(question, "letter")


def likes(*order: str) -> ScriptedModel:
    """A model that answers the first option of `order` that it is shown."""

    def reply(prompt: Prompt) -> Reply:
        first = next((option for option in order if option in prompt.options), None)
        return Reply(
            text="No idea." if first is None else f"The answer is ({prompt.labels[prompt.options.index(first)]})."
        )

    return ScriptedModel(reply)


def believes(*options: str) -> ScriptedModel:
    """A verifier that calls these options TRUE and others FALSE."""
    return ScriptedModel(lambda prompt: Reply(text="TRUE" if proposed(prompt) in options else "This is FALSE."))


def run(answerer: Backend, verifier: Backend, question: Question = METALS, max_rounds: int = 25) -> VerifiedBallots:
    return eliminate_false([question], answerer, verifier, ask, render_verdict_prompt, max_rounds)


def test_an_answer_called_true_is_kept() -> None:
    result = run(likes("zinc"), believes("zinc"))
    assert result.ballots == {"metals": {"B": 1.0}}
    assert result.verdicts == [Verdict(question_id="metals", round=1, label="B", p_true=1.0)]


def test_an_option_called_false_is_removed_and_letters_are_the_questions_own() -> None:
    result = run(likes("iron", "zinc", "gold"), believes("gold"))
    assert result.ballots == {"metals": {"C": 1.0}}
    assert result.verdicts == [
        Verdict(question_id="metals", round=1, label="A", p_true=0.0, eliminated=True),
        Verdict(question_id="metals", round=2, label="B", p_true=0.0, eliminated=True),
        Verdict(question_id="metals", round=3, label="C", p_true=1.0),
    ]


def test_the_last_option_left_is_the_answer() -> None:
    result = run(likes("iron", "zinc", "gold", "tin"), believes())
    assert result.ballots == {"metals": {"D": 1.0}}
    assert [(one.label, one.p_true, one.eliminated) for one in result.verdicts][-2:] == [
        ("C", 0.0, True),
        ("D", None, False),
    ]


def test_the_loop_is_bounded() -> None:
    result = run(likes("iron", "zinc", "gold", "tin"), believes(), max_rounds=2)
    assert result.ballots == {"metals": {"B": 1.0}}
    assert result.verdicts == [
        Verdict(question_id="metals", round=1, label="A", p_true=0.0, eliminated=True),
        Verdict(question_id="metals", round=2, label="B", p_true=None),
    ]


def test_a_given_first_answer_is_not_asked_for_again() -> None:
    answerer = Counted(likes("zinc", "gold"))
    first = {"metals": {"A": 0.6, "B": 0.4}}
    result = eliminate_false([METALS], answerer, believes("gold"), ask, render_verdict_prompt, first=first)
    assert result.ballots == {"metals": {"C": 1.0}}
    assert answerer.batches == [1, 1]


def test_an_unread_later_answer_keeps_the_one_before() -> None:
    result = run(ScriptedModel(lambda prompt: Reply(text="A" if len(prompt.labels) == 4 else "")), believes())
    assert result.ballots == {"metals": {"A": 1.0}}


def test_an_unread_verdict_keeps_the_answer() -> None:
    assert run(likes("zinc"), ScriptedModel(lambda prompt: Reply(text="Hard to say."))).ballots == {
        "metals": {"B": 1.0}
    }


def test_an_answer_that_cannot_be_read_is_not_verified() -> None:
    verifier = Counted(believes("gold"))
    assert run(likes(), verifier).ballots == {"metals": {}}
    assert verifier.batches == []


def test_an_open_question_keeps_its_answer() -> None:
    question = Question(id="sum", text="2 + 2?")
    assert run(ScriptedModel(lambda prompt: Reply(text="#### 4")), believes(), question).ballots == {"sum": {"4": 1.0}}


def test_each_round_is_one_batch_to_each_model() -> None:
    answerer, verifier = Counted(likes("iron", "zinc", "gold")), Counted(believes("gold"))
    questions = [
        METALS,
        Question(id="other", text="Which is dear?", choices=("gold", "salt")),
        Question(id="third", text="?", choices=("zinc", "gold")),
    ]
    result = eliminate_false(questions, answerer, verifier, ask, render_verdict_prompt)
    assert result.ballots == {"metals": {"C": 1.0}, "other": {"A": 1.0}, "third": {"B": 1.0}}
    assert answerer.batches == [3, 1, 1]
    assert verifier.batches == [3, 1, 1]


def test_a_verdict_prompt_shows_the_question_and_one_answer() -> None:
    prompt = render_verdict_prompt(
        Question(id="q", text="Is {this} it?", choices=("yes", "{no}"), context="A passage."), "B"
    )
    assert prompt == Prompt(
        question_id="q",
        content="Is the proposed answer to the question right? Answer TRUE or FALSE and nothing else.\n\n"
        "A passage.\n\nQuestion: Is {this} it?\nA. yes\nB. {no}\nProposed answer: B. {no}\nTRUE or FALSE:",
        labels=("TRUE", "FALSE"),
    )


def test_every_option_is_scored_on_its_own() -> None:
    verifier = Counted(believes("zinc", "gold"))
    assert score_options([METALS], verifier, render_verdict_prompt) == {
        "metals": {"A": 0.0, "B": 1.0, "C": 1.0, "D": 0.0}
    }
    assert verifier.batches == [4]


def test_an_unread_verdict_counts_as_one_half() -> None:
    found = score_options([METALS], ScriptedModel(lambda prompt: Reply(text="Well.")), render_verdict_prompt)
    assert found == {"metals": dict.fromkeys("ABCD", 0.5)}


def test_combining_multiplies_and_weight_0_changes_nothing() -> None:
    ballot, scores = {"A": 0.6, "B": 0.4}, {"A": 0.2, "B": 0.8}
    assert combine(ballot, scores, 0.0) == ballot
    assert combine(ballot, scores, 1.0) == pytest.approx({"A": 0.12 / 0.44, "B": 0.32 / 0.44})
    assert combine({}, scores, 1.0) == {}


def simulated(
    count: int, accuracy: float, skill: float, seed: int
) -> tuple[dict[str, Ballot], dict[str, Ballot], dict[str, str], dict[str, int]]:
    """An answerer's ballots, a verifier's scoress (skill: -1 errs, 1 knows), the answers and the folds."""
    chance = random.Random(seed)
    solved = [
        Question(id=f"q{n}", text="?", choices=tuple(f"{n}{c}" for c in "wxyz"), answer=chance.choice("ABCD"))
        for n in range(count)
    ]
    prompts = [ask(question) for question in solved]
    model = SimulatedModel(SimulatedSettings(accuracy=accuracy, seed=seed), solved=solved)
    ballots = {p.question_id: ballot_from_reply(r, p) for p, r in zip(prompts, model.answer(prompts), strict=True)}
    scores = {
        question.id: {
            label: min(
                0.99, max(0.01, 0.5 + skill * (0.4 if label == question.answer else -0.4) + chance.gauss(0, 0.2))
            )
            for label in letters(4)
        }
        for question in solved
    }
    return ballots, scores, {q.id: q.answer or "" for q in solved}, {q.id: n % 5 for n, q in enumerate(solved)}


@given(st.integers(5, 120), st.floats(0, 1), st.floats(-1, 1), st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_a_rescoring_verifier_never_lowers_out_of_fold_accuracy(
    count: int, accuracy: float, skill: float, seed: int
) -> None:
    ballots, scores, answers, folds = simulated(count, accuracy, skill, seed)
    found = fit_verifier_weight(ballots, scores, answers, folds)
    before = sum(find_heaviest(ballots[id]) == answer for id, answer in answers.items())
    after = sum(find_heaviest(found.ballots[id]) == answer for id, answer in answers.items())
    assert after >= before
    assert found.alone == pytest.approx(before / count)
    assert (found.weight > 0) <= (found.combined > found.alone + found.error)


def test_a_good_verifier_is_turned_on() -> None:
    found = fit_verifier_weight(*simulated(400, 0.5, 0.8, 1))
    assert found.weight > 0
    assert found.combined > found.alone + 0.1


@pytest.mark.parametrize("skill", [0.0, -0.8])
def test_a_verifier_that_knows_nothing_or_errs_is_left_off(skill: float) -> None:
    ballots, scores, answers, folds = simulated(400, 0.7, skill, 1)
    found = fit_verifier_weight(ballots, scores, answers, folds)
    assert found.weight == 0
    assert found.ballots == ballots


def test_a_folds_own_answers_do_not_choose_its_weight() -> None:
    ballots, scores, answers, folds = simulated(200, 0.5, 0.8, 3)
    wrong = {id: "ABCD"["ABCD".index(answer) - 1] if folds[id] == 0 else answer for id, answer in answers.items()}
    found, other = (
        fit_verifier_weight(ballots, scores, answers, folds),
        fit_verifier_weight(ballots, scores, wrong, folds),
    )
    assert found.weight > 0
    assert other.weight > 0
    held = [id for id in answers if folds[id] == 0]
    assert [found.ballots[id] for id in held] == [other.ballots[id] for id in held]


def test_without_questions_the_verifier_is_off() -> None:
    assert fit_verifier_weight({}, {}, {}, {}).weight == 0
    assert normalise_ballot({"A": 0.0, "B": 0.0}) == {"A": 0.5, "B": 0.5}
