"""A row in a model's own tokens: exactly those that a backend will read, and what is to be written behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quorum.engine.tokens import PromptTokenizer, truncate_middle
from quorum.errors import BadInput, list_some
from quorum.train.rows.row import TrainingRow


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """Token ids of prompt, completion and stop token; those from `first` on are learnt, the others only read.

    Of the prompt's middle, so many tokens are `left_out` for want of room.
    """

    ids: tuple[int, ...]
    first: int
    left_out: int = 0

    @property
    def labels(self) -> list[int]:
        """`ids` with -100, which no loss counts, in place of what is only read."""
        return [-100] * self.first + list(self.ids[self.first :])


def encode_rows(tokens: PromptTokenizer, rows: Sequence[TrainingRow], most: int, stop: int) -> list[EncodedRow]:
    """Each row as the backends ask it, its completion, and the token that ends a reply.

    A completion that is one of the prompt's labels is what method letter scores, one of its options what method option
    scores; any other is what method generate writes, so its prompt lets the model think. A prompt that is longer than
    `most` tokens, answer included, loses its middle as it does when it is asked (`context_tokens`, `max_model_len`).

    Raises:
        BadInput: a completion leaves no room for its prompt.
    """
    encoded = [_encoded_row(tokens, row, most, stop) for row in rows]
    if long := [row.prompt.question_id for row, each in zip(rows, encoded, strict=True) if each is None]:
        raise BadInput(
            f"{len(long)} of {len(rows)} rows leave no room for their prompt in {most} tokens, which max_tokens and the"
            f" model allow: {list_some(long)}; more max_tokens or fewer long rows are the way out"
        )
    return [each for each in encoded if each is not None]


def report_left_out(left_out: Sequence[int], most: int) -> str:
    """A line about the prompts that lost their middle, by how many tokens each of all rows lost; empty where none."""
    cut = [count for count in left_out if count]
    return (
        f"{len(cut)} of {len(left_out)} prompts are too long for {most} tokens (max_tokens, or what the model reads):"
        f" their middle is left out, up to {max(cut)} tokens of it"
        if cut
        else ""
    )


def find_stop_token(tokenizer: Any, ends: Sequence[int]) -> int:
    """Of the tokens that end a reply when the model writes (`ends`), the one its chat template puts behind a reply.

    The tokenizer's end of text, or the first of `ends`, where there is no template or it ends turns with none of them.

    Raises:
        BadInput: there is no such token at all.
    """
    known = [*ends] if ends else [tokenizer.eos_token_id]
    if tokenizer.chat_template is not None:
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
        text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False)
        behind = tokenizer(text[text.rindex("!") + 1 :], add_special_tokens=False).input_ids
        if found := [token for token in behind if token in known]:
            return int(found[0])
    stop = tokenizer.eos_token_id if tokenizer.eos_token_id in known else known[0]
    if stop is None:
        raise BadInput("the tokenizer has no token that ends a text (eos_token), so a model can't learn to stop")
    return int(stop)


def _encoded_row(tokens: PromptTokenizer, row: TrainingRow, most: int, stop: int) -> EncodedRow | None:
    """None where the completion leaves no room."""
    prompt, written = row.prompt, row.completion
    scored = written in prompt.labels or written in prompt.options
    rendered = tokens.render(prompt.content, thinking=not scored)
    (whole,) = tokens.encode_options(rendered, [written])
    ids = whole.context + whole.following
    if written in prompt.labels:
        asked = tokens.encode_labels(rendered, prompt.labels)
    else:
        asked = tokens.encode_options(rendered, prompt.options) if scored else [whole]
    context = asked[0].context
    if ids[: len(context)] != context:
        raise BadInput(f"row {prompt.question_id}: its prompt is empty")  # what stands before it depends on the answer
    read = truncate_middle(context, most - min(most // 2, max(len(each.following) for each in asked)))
    rest = ids[len(context) :]
    learnt = len(whole.following)
    sequence = (*read, *rest, stop)
    if len(read) + len(rest) > most or learnt >= len(read) + len(rest):
        return None
    return EncodedRow(sequence, len(sequence) - 1 - learnt, len(context) - len(read))
