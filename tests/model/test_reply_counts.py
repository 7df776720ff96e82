"""What a run reports about its replies: cut ones, scores that are not finite, labels of little probability."""

import math
import time
from pathlib import Path

import pytest

from quorum.ask.reply import ballot_from_reply
from quorum.ballot import Ballot
from quorum.engine.scores import make_scored_reply
from quorum.files.answers import make_answers
from quorum.model.managed import ManagedBackend
from quorum.model.simulated import ScriptedModel
from quorum.question import Prompt, Reply
from tests.support.bench import Bench, account, made

ABCD = ("A", "B", "C", "D")
PROMPTS = [Prompt(question_id=f"q{i}", content=f"question {i}", labels=ABCD) for i in range(10)]
NAN, INFINITE = math.nan, math.inf


class Overflows:
    """A model in half precision: the scores of question q7 are not finite."""

    def __init__(self, *scores: float) -> None:
        self.scores, self.asked = scores, list[str]()

    def answer(self, prompts: list[Prompt]) -> list[Reply]:
        self.asked += [prompt.question_id for prompt in prompts]
        return [
            make_scored_reply(each.labels, self.scores if each.question_id == "q7" else [-1.0, -2.0, -3.0, -4.0])
            for each in prompts
        ]


def managed(model: Overflows | ScriptedModel, journal: Path | None = None) -> ManagedBackend:
    return ManagedBackend(model, {"name": "fake"}, clock=time.monotonic, journal=journal, most=4)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "scores",
    [[NAN] * 4, [-1.0, NAN, -1.0, -1.0], [INFINITE, 0.0, 0.0, 0.0], [-INFINITE] * 4, [-INFINITE, 0.0, 0.0, 0.0]],
)
def test_a_question_whose_scores_are_not_finite_is_unread_and_asked_again_by_the_next_run(
    tmp_path: Path, scores: list[float]
) -> None:
    for run in (1, 2):
        model = Overflows(*scores)
        backend = managed(model, tmp_path / "journal.sqlite")
        replies = backend.answer(PROMPTS)
        ballots: dict[str, Ballot] = {
            prompt.question_id: ballot_from_reply(reply, prompt) for prompt, reply in zip(PROMPTS, replies, strict=True)
        }
        assert [id for id, ballot in ballots.items() if not ballot] == ["q7"]
        assert len(make_answers("run", ballots)) > 0
        assert model.asked == ([prompt.question_id for prompt in PROMPTS] if run == 1 else ["q7"])
        assert backend.counts.record["not_finite"] == 1
        (note,) = backend.notes
        assert note.startswith("1 of 10 replies have scores that are NaN or infinite and stay unread (q7);")


def test_log_probabilities_of_another_backend_that_are_nan_are_unread_without_a_journal_too() -> None:
    backend = managed(ScriptedModel(lambda prompt: Reply(text="A", label_logprobs=dict.fromkeys(ABCD, NAN))))
    (reply,) = backend.answer(PROMPTS[:1])
    assert ballot_from_reply(reply, PROMPTS[0]) == {}
    assert backend.counts.not_finite == 1


def test_a_label_of_probability_zero_is_no_overflow() -> None:
    certain = {"A": 0.0, "B": -INFINITE}
    backend = managed(ScriptedModel(lambda prompt: Reply(text="A", label_logprobs=certain)))
    assert backend.answer(PROMPTS[:1]) == [Reply(text="A", label_logprobs=certain)]
    assert backend.notes == []


def test_the_mass_of_labels_is_the_sum_of_their_probabilities_over_the_vocabulary() -> None:
    scores = [math.log(each) for each in (0.2, 0.1, 0.05, 0.05)]
    assert make_scored_reply(ABCD, scores, over_vocabulary=True).label_mass == pytest.approx(0.4)
    assert make_scored_reply(ABCD, [0.0, -50.0, -50.0, -50.0], over_vocabulary=True).label_mass == 1.0
    assert make_scored_reply(ABCD, scores).label_mass is None


@pytest.mark.parametrize(
    ("masses", "line"),
    [
        ([0.2, 0.4, 0.9], "median 0.40, below 0.5 for 67% of 3 replies"),
        ([0.9] * 9 + [0.1], "median 0.90, below 0.5 for 10% of 10 replies"),
        ([0.9] * 10 + [0.1], ""),
        ([0.5], ""),
        ([], ""),
    ],
)
def test_little_label_mass_is_reported_by_median_and_share_below_a_half(masses: list[float], line: str) -> None:
    replies = [Reply(text="A", label_logprobs={"A": 0.0}, label_mass=mass) for mass in masses]
    backend = managed(ScriptedModel(lambda prompt: replies[int(prompt.question_id)]))
    backend.answer([Prompt(question_id=str(n), content="?", labels=("A",)) for n in range(len(masses))])
    assert len(backend.notes) == bool(line)
    assert line in " ".join(backend.notes)
    assert ("label_mass" in backend.counts.record) == bool(masses)


def test_a_run_reports_its_cut_replies_and_writes_the_counts_to_its_manifest(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut(prompt: Prompt) -> Reply:
        return Reply(
            text="Let me think about", finish="length" if prompt.question_id in ("q0", "q2") else "stop", tokens=4
        )

    bench.ask(made(3), {"answerer": ScriptedModel(cut)})
    assert "r: 2 of 3 replies were cut by the length limit (max_new_tokens)" in capsys.readouterr().err
    assert account(bench).replies == {"answerer": {"cut": 2, "not_finite": 0}}


def test_a_run_reports_little_label_mass_and_goes_on_after_nan(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    def scored(prompt: Prompt) -> Reply:
        score = NAN if prompt.question_id == "q1" else math.log(0.1)
        return make_scored_reply(prompt.labels, [score] * len(prompt.labels), over_vocabulary=True)

    ballots = bench.ask(made(3), {"answerer": ScriptedModel(scored)})
    assert [id for id, ballot in ballots.items() if not ballot] == ["q1"]
    told = capsys.readouterr().err
    assert "r: 1 of 3 replies have scores that are NaN or infinite and stay unread (q1)" in told
    assert "median 0.40, below 0.5 for 100% of 2 replies" in told
    mass = {"median": 0.4, "share_below_half": 1.0}
    assert account(bench).replies == {"answerer": {"cut": 0, "not_finite": 1, "label_mass": mass}}


def test_a_letter_that_was_scored_is_not_cut_although_its_server_stopped_writing() -> None:
    backend = managed(ScriptedModel(lambda prompt: Reply(text="A", label_logprobs={"A": 0.0}, finish="length")))
    backend.answer(PROMPTS)
    assert backend.counts.cut == 0
