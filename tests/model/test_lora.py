"""Which of several fold adapters answers a question, and the mean of several replies."""

from math import exp, log
from pathlib import Path

import pytest

from quorum.data.learned import write_learned
from quorum.errors import BadInput
from quorum.model.lora import FoldAdapters, average_replies
from quorum.question import Prompt, Question, Reply
from tests.support.folds import make_folds
from tests.support.replies import logprobs_of

ASKED = Prompt(question_id="q", content="?", labels=("A", "B", "C"))
OPEN = Prompt(question_id="q", content="?", labels=())


def scored(*shares: float, mass: float | None = None) -> Reply:
    best = max(range(len(shares)), key=shares.__getitem__)
    logs = {label: log(share) for label, share in zip(ASKED.labels, shares, strict=True)}
    return Reply(text=ASKED.labels[best], label_logprobs=logs, label_mass=mass)


def test_a_question_is_answered_by_the_adapters_that_saw_nothing_of_its_cluster(tmp_path: Path) -> None:
    questions = [Question(id=f"n{number}", text=str(number), answer="1") for number in range(6)]
    folds = {"n0": 1, "n1": 1, "n2": 2, "n3": 2, "n4": 3, "n5": 0}
    split = make_folds(questions[:5], {"n0": 7, "n1": 7}, folds).split
    for fold in (1, 2, 3):
        others = [id for id, own in folds.items() if own not in (fold, 0) and id != "n1"]  # n0's family by n0 alone
        write_learned(tmp_path / str(fold), split, others)
    adapters = FoldAdapters([tmp_path / "1", tmp_path / "2", tmp_path / "3"])
    chosen = {
        id: adapters.choose(Prompt(question_id=id, content="?", labels=("A",)))
        for id in ("n0", "n1", "n2", "n4", "n5", "new")
    }
    assert chosen == {"n0": [0], "n1": [0], "n2": [1], "n4": [2], "n5": [0, 1, 2], "new": [0, 1, 2]}


def test_adapters_that_all_know_a_question_and_one_without_a_record_are_refused(tmp_path: Path) -> None:
    split = make_folds([Question(id="q", text="?", answer="1")]).split
    for name in ("a", "b"):
        write_learned(tmp_path / name, split, ["q"])
    with pytest.raises(BadInput, match="all 2 adapters were trained on it or on a near-duplicate"):
        FoldAdapters([tmp_path / "a", tmp_path / "b"]).choose(ASKED)
    with pytest.raises(BadInput, match="does not record which questions the adapter was trained on"):
        FoldAdapters([tmp_path / "a", tmp_path])


def test_the_mean_of_scored_replies_is_that_of_their_probabilities() -> None:
    reply = average_replies(ASKED, [scored(0.7, 0.2, 0.1, mass=0.9), scored(0.1, 0.8, 0.1, mass=0.5)])
    shares = {label: exp(each) for label, each in logprobs_of(reply).items()}
    assert shares == pytest.approx({"A": 0.4, "B": 0.5, "C": 0.1})
    assert (reply.text, reply.label_mass) == ("B", pytest.approx(0.7))


def test_written_replies_vote_and_one_without_an_answer_has_no_share() -> None:
    replies = [
        Reply(text="Answer: A", finish="stop"),
        Reply(text="Who knows?", finish="stop"),
        Reply(text="It is B.\nAnswer: B", finish="stop"),
        Reply(text="Answer: B", finish="stop"),
    ]
    reply = average_replies(ASKED, replies)
    assert exp(logprobs_of(reply)["B"]) == pytest.approx(2 / 3)
    assert reply.text == "It is B.\nAnswer: B"
    assert average_replies(ASKED, [replies[1], replies[1]]).label_logprobs is None


def test_an_open_question_gets_a_reply_of_the_majority() -> None:
    replies = [Reply(text=f"The answer is {number}.") for number in (4, 7, 7)]
    assert average_replies(OPEN, replies) == replies[1]


def test_one_reply_is_returned_as_it_is() -> None:
    reply = scored(0.7, 0.2, 0.1)
    assert average_replies(ASKED, [reply]) is reply
