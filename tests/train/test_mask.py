"""The proof of the label mask, on real tokenizers and on what breaks it."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.engine.tokens import PromptTokenizer
from quorum.errors import BadInput
from quorum.model.transformers import Transformers, TransformersSettings
from quorum.question import Message, Prompt, letters
from quorum.train.row import TrainingRow
from quorum.train.rows.encode import EncodedRow, describe_cut_prompts, encode_rows, find_stop_token
from quorum.train.rows.mask import prove_mask
from tests.support.tiny import tiny_model, tiny_tokenizer

STOP = 1  # </s>
PLAIN, CHAT = PromptTokenizer(tiny_tokenizer()), PromptTokenizer(tiny_tokenizer(chat=True))
ROW = TrainingRow(
    Prompt(
        question_id="q7",
        content="import os\nWhich is it?\nA. one\nB. two\nAnswer:",
        labels=("A", "B"),
        options=("one", "two"),
    ),
    "B",
    "B",
)
LONG = replace(ROW, completion="It is two, since one is not.\nAnswer: B")


def collated(encoded: list[EncodedRow]) -> list[dict[str, torch.Tensor]]:
    """One batch, padded on the right as TRL's collator pads."""
    width = max(len(row.ids) for row in encoded) + 2
    return [
        {
            "input_ids": torch.tensor([[*row.ids, *[2] * (width - len(row.ids))] for row in encoded]),
            "labels": torch.tensor([[*row.labels, *[-100] * (width - len(row.ids))] for row in encoded]),
            "attention_mask": torch.tensor([[1] * len(r.ids) + [0] * (width - len(r.ids)) for r in encoded]),
        }
    ]


def packed(encoded: list[EncodedRow]) -> list[dict[str, torch.Tensor]]:
    """One sequence out of all rows, as TRL packs them."""
    return [
        {
            "input_ids": torch.tensor([[id for row in encoded for id in row.ids]]),
            "labels": torch.tensor([[label for row in encoded for label in row.labels]]),
            "position_ids": torch.tensor([[place for row in encoded for place in range(len(row.ids))]]),
        }
    ]


def prove(batches: list[dict[str, torch.Tensor]], rows: list[TrainingRow], encoded: list[EncodedRow]) -> str:
    return str(prove_mask(batches, rows, encoded, CHAT, STOP))


@pytest.mark.parametrize("collate", [collated, packed])
def test_a_correct_mask_is_proven_and_a_row_is_printed(collate: Any) -> None:
    rows = [ROW, replace(LONG, prompt=replace(LONG.prompt, question_id="q8"))]
    encoded = encode_rows(CHAT, rows, 500, STOP)
    told = prove(collate(encoded), rows, encoded)
    assert "label mask checked on all 2 rows, and on 2 in the trainer's batches" in told
    assert told.endswith("Answer:<|im_end|>\n<|im_start|>assistant\n[[B|</s>]]")


def broken(change: Any, row: TrainingRow = ROW) -> str:
    """What the proof says of a batch that `change` has been through."""
    encoded = encode_rows(CHAT, [row], 500, STOP)
    (batch,) = collated(encoded)
    change(batch, encoded[0])
    with pytest.raises(BadInput) as error:
        prove([batch], [row], encoded)
    return str(error.value)


def test_labels_that_are_all_masked_are_refused() -> None:
    told = broken(lambda batch, row: batch["labels"].fill_(-100))
    assert "label mask, row q7: none of its" in told
    assert "every label is -100" in told


def test_a_prompt_that_would_be_learned_is_refused() -> None:
    def learn_all(batch: Any, row: EncodedRow) -> None:
        batch["labels"][0, : len(row.ids)] = torch.tensor(row.ids)

    assert "expected 'B'" in broken(learn_all)


def test_a_stop_token_that_is_masked_as_padding_is_refused() -> None:
    def mask_stop(batch: Any, row: EncodedRow) -> None:
        batch["labels"][batch["labels"] == STOP] = -100

    told = broken(mask_stop)
    assert "the stop token '</s>' has no label (the last label is none), so the model would never stop" in told


def test_an_answer_that_was_cut_away_is_refused() -> None:
    def cut(batch: Any, row: EncodedRow) -> None:
        for name in batch:
            batch[name] = batch[name][:, : row.first + 1]

    told = broken(cut, LONG)
    assert "row q7: the trainer truncated it to" in told
    assert "was left out" in told


def test_tokens_that_the_trainer_adds_at_the_start_are_refused() -> None:
    def another_bos(batch: Any, row: EncodedRow) -> None:
        batch["input_ids"] = torch.cat([torch.tensor([[0]]), batch["input_ids"]], dim=1)
        batch["labels"] = torch.cat([torch.tensor([[-100]]), batch["labels"]], dim=1)
        batch["attention_mask"] = torch.cat([torch.tensor([[1]]), batch["attention_mask"]], dim=1)

    told = broken(another_bos)
    assert "row q7: the trainer's tokens differ from those of a backend: from token 0 on they are '<s>" in told


def test_labels_that_are_shifted_already_are_refused() -> None:
    assert "has no label" in broken(lambda batch, row: batch.update(labels=batch["labels"].roll(-1)))


def test_a_tokenizer_whose_words_do_not_decode_to_the_answer_is_refused() -> None:
    class Lossy:
        """A tokenizer that reads B as A, as one without the letter in its vocabulary would."""

        def __init__(self, real: Any) -> None:
            self.real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def __call__(self, texts: str | list[str], **settings: Any) -> Any:
            if isinstance(texts, str):
                return self.real(texts.replace("B", "A"), **settings)
            return self.real([text.replace("B", "A") for text in texts], **settings)

    lossy = PromptTokenizer(Lossy(tiny_tokenizer(chat=True)))
    row = replace(ROW, completion="Answer: B")
    encoded = encode_rows(lossy, [row], 500, STOP)
    with pytest.raises(BadInput, match="the labels are 'Answer: A', but the completion is 'Answer: B'"):
        prove_mask(collated(encoded), [row], encoded, lossy, STOP)


def test_a_row_outside_the_first_batches_is_checked_too() -> None:
    later = replace(ROW, prompt=replace(ROW.prompt, question_id="q8"))
    encoded = encode_rows(CHAT, [ROW, later], 500, STOP)
    unstopped = replace(encoded[1], ids=(*encoded[1].ids[:-1], 9))
    with pytest.raises(BadInput, match="label mask, row q8: the stop token '</s>' has no label"):
        prove(collated(encoded[:1]), [ROW, later], [encoded[0], unstopped])
    whole = replace(encoded[1], first=len(encoded[1].ids) - 1)  # its answer is only read
    with pytest.raises(BadInput, match="row q8: the labels are '', but the completion is 'B'"):
        prove(collated(encoded[:1]), [ROW, later], [encoded[0], whole])


def test_prompts_that_lose_their_middle_are_counted() -> None:
    rows = [replace(ROW, prompt=replace(ROW.prompt, content=content)) for content in ("Which?", "Which? " * 50)]
    encoded = encode_rows(CHAT, rows, 60, STOP)
    left_out = [row.left_out for row in encoded]
    whole = encode_rows(CHAT, rows, 5000, STOP)
    assert left_out == [0, len(whole[1].ids) - len(encoded[1].ids)]
    told = describe_cut_prompts(left_out, 60)
    assert told.startswith("1 of 2 prompts are longer than 60 tokens")
    assert told.endswith(f"their middle is left out, up to {left_out[1]} tokens")
    assert describe_cut_prompts([0, 0], 60) == ""


def test_no_batches_are_no_proof() -> None:
    with pytest.raises(BadInput, match="there is nothing to learn"):
        prove([], [ROW], encode_rows(CHAT, [ROW], 500, STOP))


def test_completions_that_leave_no_room_for_their_prompt_are_counted_and_named() -> None:
    with pytest.raises(BadInput, match="1 of 2 completions leave no room for their prompt in 16 tokens.*: q7"):
        encode_rows(CHAT, [LONG, replace(ROW, prompt=replace(ROW.prompt, question_id="q8"))], 16, STOP)


@pytest.mark.parametrize(
    ("chat", "ends", "expected"),
    [
        (False, [], "</s>"),  # a base model: the end of text
        (True, [], "</s>"),  # the model does not stop at the end of a turn: that would not do
        (True, ["</s>", "<|im_end|>"], "<|im_end|>"),  # it does
        (True, ["<|im_end|>"], "<|im_end|>"),
        (False, ["<|im_end|>"], "<|im_end|>"),  # the tokenizer's end of text stops nothing
    ],
)
def test_the_stop_token_is_one_that_stops_the_model_and_its_templates_own_where_that_does(
    chat: bool, ends: list[str], expected: str
) -> None:
    tokenizer = tiny_tokenizer(chat)
    ids = tokenizer.convert_tokens_to_ids
    assert find_stop_token(tokenizer, [ids(end) for end in ends]) == ids(expected)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=40)


@st.composite
def lessons(draw: st.DrawFn) -> TrainingRow:
    labels = letters(draw(st.integers(2, 26)))
    options = tuple(draw(TEXT) for _ in labels) if draw(st.booleans()) else ()
    question = draw(TEXT) + draw(st.sampled_from(["\nAnswer:", "", "\n", " <|im_end|>"]))
    content: Any = question if draw(st.booleans()) else (Message("user", question), Message("assistant", "It is"))
    answer = draw(st.sampled_from(labels))
    written = draw(st.sampled_from([answer, f"Since so it is.\nAnswer: {answer}", "naïve 文 text"]))
    quoted = draw(st.booleans()) if options else False
    if quoted and options[labels.index(answer)].strip():
        written = options[labels.index(answer)]
    return TrainingRow(Prompt(question_id="q", content=content, labels=labels, options=options), answer, written)


@settings(deadline=None, max_examples=150)
@given(st.lists(lessons(), min_size=1, max_size=3), st.sampled_from([PLAIN, CHAT]), st.sampled_from([collated, packed]))
def test_the_mask_of_any_encoded_row_is_proven(rows: list[TrainingRow], tokens: PromptTokenizer, collate: Any) -> None:
    encoded = encode_rows(tokens, rows, 500, STOP)
    proof = prove_mask(collate(encoded), rows, encoded, tokens, STOP)
    assert proof.sequences == len(rows)
    assert proof.learned == sum(len(row.ids) - row.first for row in encoded)


@pytest.mark.parametrize("most", [500, 40])
@pytest.mark.parametrize("method", ["letter", "option"])
def test_the_learned_tokens_are_those_that_the_backend_scores(method: Any, most: int) -> None:
    backend = Transformers(
        TransformersSettings(model=str(tiny_model("qwen3", chat=True)), method=method, context_tokens=most)
    )
    prompt = Prompt(
        question_id="q",
        content="import os\n" * 9 + "Answer:",
        labels=("A", "B", "C"),
        options=("a path", "nothing at all", "文"),
    )
    asked = (backend._tokenize_labels if method == "letter" else backend._tokenize_options)(prompt)
    for label, option, each in zip(prompt.labels, prompt.options, asked, strict=True):
        row = TrainingRow(prompt, label, label if method == "letter" else option)
        (encoded,) = encode_rows(backend.tokens, [row], most, STOP)
        assert encoded.ids == (*each.context, *each.following, STOP)
        assert encoded.first <= len(each.context)


def test_reasoning_is_learned_with_thinking_on_and_a_letter_with_thinking_off() -> None:
    tokenizer = deepcopy(tiny_tokenizer(chat=True))
    silent = "assistant\n{% if not enable_thinking %}<think></think>{% endif %}"
    tokenizer.chat_template = tokenizer.chat_template.replace("assistant\n", silent)
    tokens = PromptTokenizer(tokenizer)
    for row, thinking in ((LONG, True), (ROW, False)):
        (encoded,) = encode_rows(tokens, [row], 500, STOP)
        asked = tokens.encode(tokens.render(row.prompt.content, thinking=thinking))
        assert encoded.ids[: encoded.first] == asked
        assert ("<think>" in tokenizer.decode(asked)) is not thinking


def test_a_reply_that_begins_with_the_block_that_the_prompt_opens_is_learned_without_its_first_tag() -> None:
    tokenizer = deepcopy(tiny_tokenizer(chat=True))
    tokenizer.chat_template += "{% if add_generation_prompt %}<think>\n{% endif %}"
    tokens = PromptTokenizer(tokenizer)
    row = replace(ROW, completion="<think>\nOne is not it.</think>\nAnswer: B")
    (encoded,) = encode_rows(tokens, [row], 400, STOP)
    assert tokenizer.decode(encoded.ids).count("<think>") == 1
    assert "".join(tokenizer.decode(encoded.ids[encoded.first : -1]).split()).endswith("Oneisnotit.</think>Answer:B")
    assert "1 in the trainer's batches" in str(prove_mask(collated([encoded]), [row], [encoded], tokens, STOP))
