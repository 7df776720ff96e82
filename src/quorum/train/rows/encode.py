"""Tokenize rows: exactly the prompt tokens that a backend sends, and the completion after them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quorum.engine.tokens import PromptTokenizer, truncate_middle
from quorum.errors import BadInput, list_some
from quorum.train.row import TrainingRow


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """Token ids of prompt, completion and stop token; the loss counts those from `first` on."""

    ids: tuple[int, ...]
    first: int
    left_out: int = 0  # tokens cut from the middle of the prompt

    @property
    def labels(self) -> list[int]:
        """Return `ids` with -100, which the loss ignores, in place of the prompt."""
        return [-100] * self.first + list(self.ids[self.first :])


def encode_rows(tokens: PromptTokenizer, rows: Sequence[TrainingRow], most: int, stop: int) -> list[EncodedRow]:
    """Tokenize each row: the prompt as a backend sends it, the completion, and the stop token.

    The prompt is tokenized for method letter if the completion is one of its labels, and for method option if it is one
    of its options; otherwise for method generate, with the chat template's thinking mode on. A prompt longer than
    `most` tokens, answer included, loses its middle as in a backend (`context_tokens`, `max_model_len`).

    Raises:
        BadInput: a completion leaves no room for its prompt.
    """
    encoded = [_encode_row(tokens, row, most, stop) for row in rows]
    if long := [row.prompt.question_id for row, each in zip(rows, encoded, strict=True) if each is None]:
        raise BadInput(
            f"{len(long)} of {len(rows)} completions leave no room for their prompt in {most} tokens (max_tokens or the"
            f" model's limit): {list_some(long)}; raise max_tokens, or leave out long rows"
        )
    return [each for each in encoded if each is not None]


def describe_cut_prompts(left_out: Sequence[int], most: int) -> str:
    """Return a line about the prompts that lost their middle; empty if none did.

    Args:
        left_out: number of tokens that each row lost.
        most: token limit of a row.
    """
    cut = [count for count in left_out if count]
    return (
        f"{len(cut)} of {len(left_out)} prompts are longer than {most} tokens (max_tokens or the model's limit):"
        f" their middle is left out, up to {max(cut)} tokens"
        if cut
        else ""
    )


def find_stop_token(tokenizer: Any, ends: Sequence[int]) -> int:
    """Return the token that ends a reply: the one of `ends` that the chat template puts after a reply.

    Without a template, or if it ends turns with another token, return the tokenizer's end of text or the first of
    `ends`.

    Args:
        ends: the tokens at which the model stops generating.

    Raises:
        BadInput: there is no such token.
    """
    known = [*ends] if ends else [tokenizer.eos_token_id]
    if tokenizer.chat_template is not None:
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
        text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False)
        after_reply = tokenizer(text[text.rindex("!") + 1 :], add_special_tokens=False).input_ids
        if stops := [token for token in after_reply if token in known]:
            return int(stops[0])
    stop = tokenizer.eos_token_id if tokenizer.eos_token_id in known else known[0]
    if stop is None:
        raise BadInput("the tokenizer has no token that ends a text (eos_token), so the model cannot learn to stop")
    return int(stop)


def _encode_row(tokens: PromptTokenizer, row: TrainingRow, most: int, stop: int) -> EncodedRow | None:
    """Return None if the completion leaves no room for the prompt."""
    prompt, completion = row.prompt, row.completion
    scored = completion in prompt.labels or completion in prompt.options
    rendered = tokens.render(prompt.content, thinking=not scored)
    (whole,) = tokens.encode_options(rendered, [completion])
    ids = whole.context + whole.following
    if completion in prompt.labels:
        candidates = tokens.encode_labels(rendered, prompt.labels)
    else:
        candidates = tokens.encode_options(rendered, prompt.options) if scored else [whole]
    context = candidates[0].context
    if ids[: len(context)] != context:  # without a prompt, the first token depends on the answer
        raise BadInput(f"row {prompt.question_id}: the prompt is empty")
    read = truncate_middle(context, most - min(most // 2, max(len(each.following) for each in candidates)))
    rest = ids[len(context) :]
    learned = len(whole.following)
    sequence = (*read, *rest, stop)
    if len(read) + len(rest) > most or learned >= len(read) + len(rest):
        return None
    return EncodedRow(sequence, len(sequence) - 1 - learned, len(context) - len(read))
