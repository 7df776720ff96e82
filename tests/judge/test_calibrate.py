"""Letter bias undone, and probabilities as sure as they are right."""

import io
import math
import random
import zipfile
from collections.abc import Sequence

import numpy as np
import pytest

from quorum.ask.prompt import render_prompt
from quorum.ask.shuffle import ShuffledQuestion, make_cyclic_orders, make_random_orders
from quorum.ballot import Ballot, average_ballots, compute_negative_log_likelihood, find_heaviest
from quorum.errors import BadInput
from quorum.judge.calibrate import expected_calibration_error, reliability_bins
from quorum.judge.letter_prior import (
    CONTENT_FREE,
    LetterPrior,
    count_letter_shares,
    estimate_corpus_prior,
    estimate_pride_prior,
    is_order_sensitive,
    make_content_free_questions,
    remove_known_prior,
    remove_prior,
)
from quorum.model.backend import Backend
from quorum.model.simulated import SimulatedModel, SimulatedSettings
from quorum.question import Question, letters
from tests.support.biased import ACCURACY, BIAS, within_error
from tests.support.real import real_data


def questions(count: int, options: int = 4) -> list[Question]:
    chance = random.Random(1)
    return [
        Question(
            id=f"q{n}",
            text=f"Which of {n}?",
            choices=tuple(f"{n} {o}" for o in range(options)),
            answer=chance.choice(letters(options)),
        )
        for n in range(count)
    ]


def ask(model: Backend, asked: Sequence[Question]) -> list[Ballot]:
    return [dict(reply.label_logprobs or {}) for reply in model.answer([render_prompt(q, "letter") for q in asked])]


def probabilities(model: Backend, asked: Sequence[Question]) -> list[Ballot]:
    return [{label: math.exp(log) for label, log in logs.items()} for logs in ask(model, asked)]


def in_orders(model: Backend, shuffled: Sequence[ShuffledQuestion]) -> list[list[Ballot]]:
    return [probabilities(model, one.list_variants()) for one in shuffled]


def accuracy(ballots: Sequence[Ballot], solved: Sequence[Question]) -> float:
    return sum(find_heaviest(b) == q.answer for b, q in zip(ballots, solved, strict=True)) / len(solved)


def test_a_biased_model_scores_far_below_what_it_knows() -> None:
    solved = questions(600)
    model = SimulatedModel(SimulatedSettings(accuracy=ACCURACY, bias=BIAS), solved=solved)
    assert accuracy(probabilities(model, solved), solved) < ACCURACY - 0.1


@pytest.mark.parametrize("options", [2, 4, 7])
def test_all_rotations_together_recover_what_a_model_knows(options: int) -> None:
    solved = questions(600, options)
    model = SimulatedModel(SimulatedSettings(accuracy=ACCURACY, bias=BIAS), solved=solved)
    shuffled = [make_cyclic_orders(question) for question in solved]
    undone = [one.undo(ballots) for one, ballots in zip(shuffled, in_orders(model, shuffled), strict=True)]
    assert within_error(accuracy([average_ballots(ballots) for ballots in undone], solved), len(solved))
    assert sum(map(is_order_sensitive, undone)) > 0.3 * len(undone)


def test_random_orders_together_recover_what_a_model_knows() -> None:
    solved = questions(600)
    model = SimulatedModel(SimulatedSettings(accuracy=ACCURACY, bias={"A": 1.0}), solved=solved)
    shuffled = [make_random_orders(question, 8) for question in solved]
    undone = [one.undo(ballots) for one, ballots in zip(shuffled, in_orders(model, shuffled), strict=True)]
    assert within_error(accuracy([average_ballots(ballots) for ballots in undone], solved), len(solved))


@pytest.mark.parametrize("options", [2, 4, 7])
def test_the_prior_of_a_twentieth_of_the_questions_recovers_what_a_model_knows(options: int) -> None:
    solved = questions(600, options)
    model = SimulatedModel(SimulatedSettings(accuracy=ACCURACY, bias=BIAS), solved=solved)
    prior = estimate_pride_prior(in_orders(model, [make_cyclic_orders(question) for question in solved[::20]]))
    freed = [remove_prior(ballot, prior) for ballot in probabilities(model, solved)]
    assert within_error(accuracy(freed, solved), len(solved))


def test_questions_without_content_recover_what_a_model_knows() -> None:
    solved = questions(600)
    model = SimulatedModel(SimulatedSettings(accuracy=ACCURACY, bias=BIAS), solved=solved)
    prior = estimate_corpus_prior(probabilities(model, make_content_free_questions(4)))
    freed = [remove_prior(ballot, prior) for ballot in probabilities(model, solved)]
    assert within_error(accuracy(freed, solved), len(solved))
    assert len(make_content_free_questions(4)) == len(CONTENT_FREE)


def test_the_prior_of_the_questions_themselves_brings_letter_shares_nearer_to_the_answers() -> None:
    solved = questions(600)
    model = SimulatedModel(SimulatedSettings(accuracy=ACCURACY, bias=BIAS), solved=solved)
    ballots = probabilities(model, solved)
    freed = [remove_prior(ballot, estimate_corpus_prior(ballots)) for ballot in ballots]
    assert count_letter_shares(ballots, letters(4))["A"] > 0.4
    assert count_letter_shares(freed, letters(4))["A"] == pytest.approx(0.25, abs=0.05)
    assert within_error(accuracy(freed, solved), len(solved))


def test_no_bias_means_an_even_prior() -> None:
    solved = questions(100)
    prior = estimate_pride_prior(
        in_orders(SimulatedModel(solved=solved), [make_cyclic_orders(question) for question in solved])
    )
    assert prior.by_count[4] == pytest.approx(dict.fromkeys("ABCD", 0.25))


def test_each_number_of_options_has_a_prior_of_its_own() -> None:
    prior = estimate_corpus_prior([{"A": 0.5, "B": 0.5}, {"A": 0.6, "B": 0.2, "C": 0.2}, {}])
    assert prior.by_count == {2: pytest.approx({"A": 0.5, "B": 0.5}), 3: pytest.approx({"A": 0.6, "B": 0.2, "C": 0.2})}
    with pytest.raises(BadInput, match="no letter prior for 4 options; known are 2, 3"):
        remove_prior(dict.fromkeys("ABCD", 0.25), prior)


def test_an_empty_ballot_stays_empty_without_the_prior() -> None:
    assert remove_prior({}, LetterPrior({})) == {}
    assert remove_known_prior({}, LetterPrior({})) == {}


def test_the_calibration_error_is_the_mean_gap_by_bin() -> None:
    ballots = [{"A": 0.9, "B": 0.1}] * 10 + [{"A": 0.6, "B": 0.4}] * 10
    answers = ["A"] * 8 + ["B"] * 2 + ["A"] * 6 + ["B"] * 4
    assert expected_calibration_error(ballots, answers) == pytest.approx(0.5 * 0.1 + 0.5 * 0.0)
    assert [(bin.count, round(bin.accuracy, 2)) for bin in reliability_bins(ballots, answers)] == [(10, 0.6), (10, 0.8)]
    assert expected_calibration_error([], []) == 0.0


def test_real_probabilities_of_ten_prompts_have_their_known_accuracy_and_error() -> None:
    ballots: list[Ballot] = []
    answers: list[str] = []
    with zipfile.ZipFile(real_data("llama13b_option_probs") / "llm_probs_gpt.zip") as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith("_scores.npy")):
            scores = np.load(io.BytesIO(archive.read(name)), allow_pickle=False).mean(axis=0)
            targets = np.load(io.BytesIO(archive.read(name.replace("_scores", "_targets"))), allow_pickle=False)
            ballots += [dict(zip("ABCD", map(float, row), strict=True)) for row in scores]
            answers += ["ABCD"[target] for target in targets]
    right = sum(find_heaviest(ballot) == answer for ballot, answer in zip(ballots, answers, strict=True))
    loss = sum(compute_negative_log_likelihood(ballot, answer) for ballot, answer in zip(ballots, answers, strict=True))
    assert len(ballots) == 2886
    assert right / len(ballots) == pytest.approx(0.4210, abs=5e-5)
    assert expected_calibration_error(ballots, answers) == pytest.approx(0.0338, abs=5e-5)
    assert loss / len(ballots) == pytest.approx(1.2498, abs=5e-5)
