"""The second reader: it is shown what stays unread, and may say that nothing was chosen."""

from quorum.ask.judge_prompt import reading_prompt
from quorum.judge.reread import reread
from quorum.model.fake import Fake
from quorum.question import Prompt, Reply, letters

PROMPT = Prompt("q", "Which?", ("A", "B"), ("iron", "gold"))


def shown(*replies: str, answer: str, prompt: Prompt = PROMPT) -> tuple[list[dict[str, float]], list[str]]:
    """The ballots, and the texts that the second reader was shown."""
    seen: list[str] = []

    def reply(prompt: Prompt) -> Reply:
        seen.append(str(prompt.content))
        return Reply(answer)

    return reread([prompt] * len(replies), [Reply(text) for text in replies], Fake(reply)).ballots, seen


def test_only_what_stays_unread_is_shown() -> None:
    ballots, seen = shown("The answer is A.", "The yellow one, of course.", "", answer="B")
    assert ballots == [{"A": 1.0}, {"B": 1.0}, {}]
    assert len(seen) == 1
    assert "The yellow one, of course." in seen[0]


def test_the_last_letter_says_that_nothing_was_chosen() -> None:
    assert shown("Hard to say.", answer="C")[0] == [{}]


def test_a_second_reader_that_cannot_be_read_changes_nothing() -> None:
    assert shown("Hard to say.", answer="Well, A or B.")[0] == [{}]


def test_its_share_is_of_all_replies() -> None:
    replies = [Reply("A"), Reply("the yellow one"), Reply("the red one"), Reply("B")]
    found = reread([PROMPT] * 4, replies, Fake(lambda prompt: Reply("B" if "yellow" in str(prompt.content) else "C")))
    assert (found.places, found.shown, found.share) == ((1,), 2, 0.25)


def test_open_questions_and_26_choices_are_not_shown() -> None:
    assert reading_prompt(Prompt("q", "How many?", ()), "some") is None
    assert reading_prompt(Prompt("q", "Which?", letters(26)), "some") is None
    assert reading_prompt(Prompt("q", "Is it?", ("TRUE", "FALSE")), "some") is None


def test_a_reading_prompt_keeps_braces_as_they_are() -> None:
    prompt = reading_prompt(PROMPT, "{choices} {0}")
    assert prompt is not None
    assert prompt.content == (
        "Somebody replied to a multiple-choice question. Which choice does the reply settle on? Do not judge whether "
        "it is right. Answer with one letter and nothing else.\n\nReply:\n{choices} {0}\n\nA. iron\nB. gold\n"
        "C. none of these, several of these, or not clear\nAnswer:"
    )
    assert prompt.labels == ("A", "B", "C")
