"""Reasoning before an answer is left out, with any marks around it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.prompt import render_prompt
from quorum.ask.reply import parse_reply
from quorum.ask.settings import PromptSettings
from quorum.config import from_table
from quorum.errors import BadInput
from quorum.question import Question, ReasoningMarkers

FOUR = tuple("ABCD")
MARKS = [
    ("<think>", "</think>"),
    ("<reasoning>", "</reasoning>"),
    ("<analysis>", "</analysis>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<think time='3'>", "</think>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
]
THOUGHT = "Perhaps the answer is C. Let me test D too, because A could be a river as well"


@pytest.mark.parametrize(("start", "end"), MARKS)
def test_reasoning_is_left_out(start: str, end: str) -> None:
    assert parse_reply(f"{start}{THOUGHT}{end}B", FOUR).label == "B"
    assert parse_reply(f"{start}{THOUGHT}{end}\n\nThe answer is (B).", FOUR).label == "B"


@pytest.mark.parametrize(("start", "end"), MARKS)
def test_a_reply_that_ends_in_its_reasoning_is_cut_off(start: str, end: str) -> None:
    assert parse_reply(f"{start}{THOUGHT}", FOUR).reason == "cut off"


@pytest.mark.parametrize(("start", "end"), MARKS[:-2])
def test_a_block_that_the_chat_template_opened_is_left_out(start: str, end: str) -> None:
    assert parse_reply(f"{THOUGHT}{end}\nB", FOUR).label == "B"


def test_any_pair_of_tags_around_a_longer_text_is_reasoning_where_an_answer_is_outside() -> None:
    assert parse_reply(f"<step_by_step>{THOUGHT}: the answer is A.</step_by_step>\nB", FOUR).label == "B"
    assert parse_reply("<work>The answer is certainly A, as everyone knows by now.</work> Answer: B", FOUR).label == "B"


@pytest.mark.parametrize(
    "text",
    [
        "<answer>B</answer>",
        "<think>A</think><answer>B</answer>",
        "<analysis>It could be A.\n<answer>B</answer>",
        "<response>After all of this, the answer is clearly (B), not another one.</response>",
        "<output>The answer is <letter>B</letter></output>",
        "The answer is <mark>B</mark>.",
        "<result_block>We go through all of them and so the answer is B.</result_block>",
    ],
)
def test_tags_around_the_answer_are_no_reasoning(text: str) -> None:
    assert parse_reply(text, FOUR).label == "B"


def test_a_heading_in_brackets_is_no_open_block() -> None:
    assert parse_reply("[Reasoning] The river is blue.\n[Answer] B", FOUR).label == "B"


def test_channels_without_their_marks_are_left_out() -> None:
    assert (
        parse_reply("analysisThey ask for a river. A looks good, let me test D tooassistantfinalB", FOUR).label == "B"
    )
    assert parse_reply("analysisPerhaps the answer is C. Let me look at D again: it", FOUR).reason == "cut off"
    assert parse_reply("analysis shows that the answer is B.", FOUR).label == "B"


@pytest.mark.parametrize("kept", ["B", "The answer is (B)."])
def test_kept_special_tokens_separate_a_thought_from_the_answer(kept: str) -> None:
    """The replies of which decoding without special tokens left only "analysis…assistantfinalB"."""
    gpt_oss = (
        "<|channel|>analysis<|message|>A looks good<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>"
    )
    magistral = "[THINK]The answer is A. Hm, I should go through each of them[/THINK]{}</s>"
    for form in (gpt_oss, magistral):
        assert parse_reply(form.format(kept), FOUR).label == "B"


def test_a_models_own_markers_are_a_setting_of_the_prompt() -> None:
    settings = from_table(PromptSettings, {"template": {"markers": {"start": "<unused94>", "end": "<unused95>"}}}, "t")
    question = Question(id="q", text="?", choices=("1", "2"))
    prompt = render_prompt(question, "letter", template=settings.template)
    assert prompt.markers == ReasoningMarkers(start="<unused94>", end="<unused95>")
    text = "<unused94>The answer is A.<unused95>B"
    assert parse_reply(text, FOUR, markers=prompt.markers).label == "B"
    assert parse_reply("<unused94>The answer is A.", FOUR, markers=prompt.markers).reason == "cut off"
    assert parse_reply("The answer is A.<unused95>B", FOUR, markers=prompt.markers).label == "B"


@pytest.mark.parametrize(("start", "end"), [("", "x"), ("x", ""), ("x", "x")])
def test_markers_that_cannot_be_told_apart_are_refused(start: str, end: str) -> None:
    with pytest.raises(BadInput, match="reasoning markers"):
        ReasoningMarkers(start=start, end=end)


@given(st.text("abcdefgh .,;\n", max_size=200), st.sampled_from("ABCD"), st.sampled_from(MARKS))
@settings(deadline=None)
def test_a_thought_changes_nothing(thought: str, label: str, marks: tuple[str, str]) -> None:
    text = f"{marks[0]}{thought} The answer is A.{marks[1]}\nThe answer is {label}."
    assert parse_reply(text, FOUR).label == label
