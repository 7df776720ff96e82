"""The second reader: it is shown what stays unread, and may say that nothing was chosen."""

import pytest

from quorum.ask.judge_prompt import render_reading_prompt
from quorum.judge.llm_reader import read_with_llm
from quorum.model.backend import Backend
from quorum.model.simulated import ScriptedModel
from quorum.question import Prompt, Reply, letters
from tests.support.bench import Bench, account, made

PROMPT = Prompt(question_id="q", content="Which?", labels=("A", "B"), options=("iron", "gold"))


def shown(*replies: str, answer: str, prompt: Prompt = PROMPT) -> tuple[list[dict[str, float]], list[str]]:
    """The ballots, and the texts that the second reader was shown."""
    seen: list[str] = []

    def reply(prompt: Prompt) -> Reply:
        seen.append(str(prompt.content))
        return Reply(text=answer)

    return read_with_llm(
        [prompt] * len(replies), [Reply(text=text) for text in replies], ScriptedModel(reply)
    ).ballots, seen


def test_only_unread_replies_are_sent_to_the_second_reader() -> None:
    ballots, seen = shown("The answer is A.", "The yellow one, of course.", "", answer="B")
    assert ballots == [{"A": 1.0}, {"B": 1.0}, {}]
    assert len(seen) == 1
    assert "The yellow one, of course." in seen[0]


def test_the_last_letter_means_that_no_option_was_chosen() -> None:
    assert shown("Hard to say.", answer="C")[0] == [{}]


def test_a_second_reader_that_cannot_be_read_changes_nothing() -> None:
    assert shown("Hard to say.", answer="Well, A or B.")[0] == [{}]


def test_replies_that_the_second_reader_read_are_given_by_index() -> None:
    replies = [Reply(text="A"), Reply(text="the yellow one"), Reply(text="the red one"), Reply(text="B")]
    found = read_with_llm(
        [PROMPT] * 4, replies, ScriptedModel(lambda prompt: Reply(text="B" if "yellow" in str(prompt.content) else "C"))
    )
    assert (found.indices, found.asked) == ((1,), 2)


def test_open_questions_and_26_choices_are_not_sent_to_the_second_reader() -> None:
    assert render_reading_prompt(Prompt(question_id="q", content="How many?", labels=()), "some") is None
    assert render_reading_prompt(Prompt(question_id="q", content="Which?", labels=letters(26)), "some") is None
    assert render_reading_prompt(Prompt(question_id="q", content="Is it?", labels=("TRUE", "FALSE")), "some") is None


def test_a_reading_prompt_keeps_braces_as_they_are() -> None:
    prompt = render_reading_prompt(PROMPT, "{choices} {0}")
    assert prompt is not None
    assert prompt.content == (
        "Somebody replied to a multiple-choice question. Which choice does the reply settle on? Do not judge whether "
        "it is right. Answer with one letter and nothing else.\n\nReply:\n{choices} {0}\n\nA. iron\nB. gold\n"
        "C. none of these, several of these, or not clear\nAnswer:"
    )
    assert prompt.labels == ("A", "B", "C")


@pytest.mark.parametrize(("said", "share"), [("Well, the yellow one.", 0.5), ("B", 0.0)])
def test_the_second_readers_share_is_in_the_run_manifest_by_file(bench: Bench, said: str, share: float) -> None:
    models: dict[str, Backend] = {
        "answerer": ScriptedModel(lambda prompt: Reply(text="A" if prompt.question_id in ("q0", "q1") else said)),
        "reader": ScriptedModel(lambda prompt: Reply(text="C")),
    }
    bench.ask(made(4), models, reader={"name": "reader"})
    assert account(bench).reread == {"test": share}


def test_without_a_second_reader_the_manifest_has_no_share_of_it(bench: Bench) -> None:
    bench.ask(made(2), {"answerer": ScriptedModel(lambda prompt: Reply(text="Well, the yellow one."))})
    assert account(bench).reread == {}
