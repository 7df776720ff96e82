"""Tokenize rows: exactly the prompt tokens that a backend sends, and the completion after them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quorum.engine.tokens import PromptTokenizer, truncate_middle
from quorum.errors import BadInput, list_some
from quorum.train.row import TrainingRow


@dataclass(frozen=True, slots=True)
class SoftAnswer:
    """A teacher's distribution over the labels at the answer's token.

    `at` is the index of that token in the row, `tokens` are those of the labels, and `weights` are the probabilities
    times the teacher's weight.
    """

    at: int
    tokens: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedRow:
    """Token ids of prompt, completion and stop token; the loss counts those from `first` on."""

    ids: tuple[int, ...]
    first: int
    left_out: int = 0  # tokens cut from the middle of the prompt
    opened: str = ""  # tag of a reasoning block that the prompt opens; a completion that begins with it does not
    soft: SoftAnswer | None = None

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


def split_sequences(batch: Mapping[str, Any]) -> Iterator[tuple[int, list[int], tuple[int, ...]]]:
    """Yield each row in a batch as a trainer collates it: its line, the places of its tokens there, and their ids.

    Args:
        batch: input_ids, padded (attention_mask) or with several rows in a line (position_ids).
    """
    for line, ids in enumerate(batch["input_ids"].tolist()):
        if "attention_mask" in batch:
            places = [place for place, is_real in enumerate(batch["attention_mask"][line].tolist()) if is_real]
            yield line, places, tuple(ids[place] for place in places)
            continue
        positions = batch["position_ids"][line].tolist()
        starts = [place for place, position in enumerate(positions) if position == 0]
        for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
            yield line, list(range(start, end)), tuple(ids[start:end])


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
    completion = completion.removeprefix(rendered.opened)
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
    soft = None
    if row.soft:
        following = [each.following for each in candidates] if completion in prompt.labels else []
        if {len(each) for each in following} != {1}:
            found = f"has the completion {completion!r:.40}" if not following else "has labels of several tokens"
            raise BadInput(
                f"row {prompt.question_id} {found}; a causal model learns soft labels where every label is one token:"
                ' set rows.target = "letter", or remove [teacher]'
            )
        soft = SoftAnswer(len(read), tuple(each[0] for each in following), row.soft)
    return EncodedRow(
        ids=sequence,
        first=len(sequence) - 1 - learned,
        left_out=len(context) - len(read),
        opened=rendered.opened,
        soft=soft,
    )
