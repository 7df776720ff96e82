"""Prompts as a model reads them, and replies as it wrote them: special tokens, reasoning blocks, ends."""

from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from quorum.ask.reply import ballot_from_reply, parse_reply
from quorum.engine.thoughts import begins_with_reasoning, find_opened_tag, make_closing_tag
from quorum.engine.tokens import PromptTokenizer
from quorum.errors import BadInput
from quorum.question import Message, Prompt
from tests.support.tiny import CHATML, tiny_model

CHANNELS = ["<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|return|>", "[THINK]", "[/THINK]"]
ABCD = ("A", "B", "C", "D")


def tokenizer_with(template: str = CHATML, special: list[str] | None = None) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model("llama", chat=True))
    tokenizer.chat_template = template
    tokenizer.add_special_tokens({"additional_special_tokens": special or []}, replace_extra_special_tokens=False)
    return tokenizer


def opening(tag: str) -> str:
    """A chat template that always opens a reasoning block, whatever enable_thinking is."""
    return CHATML.replace("assistant\n{% endif", f"assistant\n{tag}{{% endif")


# --- replies ----------------------------------------------------------------------------------------------------------

HARMONY = "<|channel|>analysis<|message|>They ask for a river. A looks good, let me test D too<|end|>"


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        (f"{HARMONY}<|start|>assistant<|channel|>final<|message|>B", "B"),
        ("<|channel|>analysis<|message|>Perhaps the answer is C. Let me look at D again: it", None),
        ("[THINK]The answer is A. Hm, I should go through each of them[/THINK]B", "B"),
        ("[THINK]The answer is A. Hm, I should go", None),
    ],
)
def test_special_tokens_that_mark_reasoning_are_kept_for_the_parser(written: str, answer: str | None) -> None:
    tokens = PromptTokenizer(tokenizer_with(special=CHANNELS))
    ids = tokens.tokenizer(written, add_special_tokens=False).input_ids
    reply = tokens.decode_reply(ids, ends={1})
    assert reply.text == written
    assert parse_reply(reply.text, ABCD).label == answer
    assert "<|" not in tokens.tokenizer.decode(ids, skip_special_tokens=True), "the marks are special tokens"


def test_a_reply_ends_at_the_first_end_token_and_loses_only_padding_and_ends_of_text() -> None:
    tokens = PromptTokenizer(tokenizer_with())
    start, end, pad, turn = (
        tokens.tokenizer.convert_tokens_to_ids(each) for each in ("<s>", "</s>", "<pad>", "<|im_end|>")
    )
    letter = tokens.tokenizer("B", add_special_tokens=False).input_ids
    ended = tokens.decode_reply([start, *letter, end, pad, pad], ends=[end, turn])
    assert (ended.text, ended.finish, ended.tokens) == ("<s>B", "stop", 3)
    ended = tokens.decode_reply([*letter, turn, pad, *letter], ends=[end, turn])
    assert (ended.text, ended.finish, ended.tokens) == ("B", "stop", 2)
    cut = tokens.decode_reply([*letter, turn, *letter], ends=[end])
    assert (cut.text, cut.finish, cut.tokens) == ("B<|im_end|>B", "length", 3)
    assert tokens.decode_reply([end], ends=[end]).text == ""


# --- reasoning blocks that the chat template opens --------------------------------------------------------------------

OPENED = [
    ("<think>\n", "</think>"),
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>\n\n", "<|end_of_thought|>"),
    ("<reasoning>\n", "</reasoning>"),
]


@pytest.mark.parametrize(("tag", "closing"), OPENED)
def test_a_block_that_the_template_opens_is_closed_before_letters_are_scored(tag: str, closing: str) -> None:
    tokens = PromptTokenizer(tokenizer_with(opening(tag)))
    rendered = tokens.render("Which is even?\nA. 1\nB. 2\nAnswer:", thinking=False)
    assert rendered.text.endswith(f"{tag.rstrip()}\n\n{closing}\n\n")
    assert rendered.glue == rendered.opened == ""
    assert [tokens.tokenizer.decode(each.following) for each in tokens.encode_labels(rendered, ("A", "B"))] == [
        "A",
        "B",
    ]


@pytest.mark.parametrize(("tag", "closing"), OPENED)
def test_a_reply_that_begins_inside_a_block_gets_the_tag_that_opens_it(tag: str, closing: str) -> None:
    tokens = PromptTokenizer(tokenizer_with(opening(tag)))
    rendered = tokens.render("Which is even?", thinking=True)
    assert rendered.text.endswith(tag)
    assert rendered.opened == tag
    ids = tokens.tokenizer(f"Is it A?{closing}B", add_special_tokens=False).input_ids
    assert tokens.decode_reply(ids, [1], rendered.opened).text == f"{tag}Is it A?{closing}B"


def test_a_thought_that_was_cut_is_no_answer_although_the_template_opened_it() -> None:
    tokens = PromptTokenizer(tokenizer_with(opening("<think>\n")))
    ids = tokens.tokenizer("So the answer is C. Or", add_special_tokens=False).input_ids
    prompt = Prompt(question_id="q", content="Which is even?", labels=ABCD)
    reply = tokens.decode_reply(ids, [1], tokens.render(prompt.content, thinking=True).opened)
    assert ballot_from_reply(reply, prompt) == {}
    assert ballot_from_reply(tokens.decode_reply(ids, [1]), prompt) == {"C": 0.5}, "without the tag it is an answer"


def test_a_finished_reply_that_never_closed_the_block_is_no_thought() -> None:
    tokens = PromptTokenizer(tokenizer_with(opening("<think>\n")))
    prompt = Prompt(question_id="q", content="Which is even?", labels=ABCD)
    opened = tokens.render(prompt.content, thinking=True).opened
    for text, whole in (("2 is even. Answer: B", "2 is even. Answer: B"), ("A?</think>B", "<think>\nA?</think>B")):
        reply = tokens.decode_reply([*tokens.tokenizer(text, add_special_tokens=False).input_ids, 1], [1], opened)
        assert (reply.text, reply.finish) == (whole, "stop")
        assert ballot_from_reply(reply, prompt) == {"B": 1.0}


def test_a_block_that_cannot_be_closed_is_refused() -> None:
    tokens = PromptTokenizer(tokenizer_with(opening("<|think|>")))
    with pytest.raises(BadInput, match=r"ends in <\|think\|>, inside a reasoning block.*use method generate"):
        tokens.render("Which is even?")
    assert tokens.render("Which is even?", thinking=True).opened == "<|think|>"


@pytest.mark.parametrize(
    "template",
    [CHATML, opening("<think>\n\n</think>\n\n"), opening("<answer>"), opening("<|nothink|>"), opening("I think")],
)
def test_no_other_prompt_is_changed(template: str) -> None:
    tokenizer = tokenizer_with(template)
    expected = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Why?"}], tokenize=False, add_generation_prompt=True
    )
    rendered = PromptTokenizer(tokenizer).render("Why?")
    assert (rendered.text, rendered.opened) == (expected, "")


@pytest.mark.parametrize(
    "text", ["<think>Is it A?", "Is it A?</think>B", "Hm<|END_THINKING|>B", "\n[THINK]Hm[/THINK]B"]
)
def test_a_reply_that_begins_with_reasoning_is_recognised(text: str) -> None:
    assert begins_with_reasoning(text)
    assert not begins_with_reasoning(text.replace("<", "(").replace("[", "("))


def test_a_tag_is_found_at_the_end_of_a_long_prompt_only() -> None:
    assert find_opened_tag("<think>" + "word " * 50) == ""
    assert find_opened_tag("word " * 50_000 + "<think>\n") == "<think>\n"
    assert make_closing_tag("<think>\n") == "</think>"


# --- the start of a prompt --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["{{ bos_token }}" + CHATML, CHATML, None])
def test_a_prompt_has_one_bos_at_most_where_template_and_tokenizer_both_write_it(template: str | None) -> None:
    tokenizer = tokenizer_with()
    tokenizer.chat_template = template
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)]
    )
    assert tokenizer("a").input_ids[0] == 0
    tokens = PromptTokenizer(tokenizer)
    turns = (Message("system", "Be brief."), Message("user", "2+2?"))
    expected = 0 if template == CHATML else 1
    assert tokens.encode(tokens.render(turns)).count(0) == expected
    assert tokens.encode_labels(tokens.render(turns), ("A", "B"))[0].context.count(0) == expected
