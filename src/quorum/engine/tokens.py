"""Render and tokenize prompts and their possible answers for a model."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from quorum.engine.loading_limits import check_chat_template, list_chat_templates
from quorum.engine.prefixes import count_shared_tokens
from quorum.engine.shared_text import SharedTextTokenizer
from quorum.engine.thoughts import begins_with_reasoning, find_opened_tag, make_closing_tag
from quorum.errors import BadInput
from quorum.question import Message, Reply

# A prompt that is too long keeps its beginning (the instruction) in this share of its tokens, and its end in the rest.
_HEAD_SHARE = 0.25
# For further answers only this many characters of a long text are tokenized again ...
_TEXT_TAIL = 64
# ... and at least this many tokens before the answer have to equal those of the whole text.
_SEAM = 8
# What a broken chat template raises besides the errors of Jinja.
_TEMPLATE_FAULTS = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)


@dataclass(frozen=True, slots=True)
class Continuation:
    """Token ids of a context and of a possible continuation; neither is empty."""

    context: tuple[int, ...]
    following: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt as one text.

    `templated` is true if a chat template rendered it, with its special tokens. `glue` is the text between prompt and
    answer: empty after a generation prompt or white space, otherwise a space. `opened` is the tag (with the white space
    after it) of a reasoning block in which the prompt ends; empty if it ends in none.
    """

    text: str
    templated: bool
    glue: str
    opened: str = ""


class PromptTokenizer:
    """Renders prompts and encodes them with their answers by a model's tokenizer.

    Raises:
        BadInput: the tokenizer's chat template does not end, or fills the memory.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._texts = SharedTextTokenizer(tokenizer)
        for template in list_chat_templates(tokenizer.chat_template):
            check_chat_template(template, str(tokenizer.name_or_path))
        # tokens that it adds before every text (a BOS, or none); tokens added after a text must not precede an answer
        bare, whole = tokenizer("a", add_special_tokens=False).input_ids, tokenizer("a").input_ids
        self._opening = tuple(whole[: whole.index(bare[0])])
        candidates = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, 0)
        self.start = next(id for id in candidates if id is not None)  # context of a text that has no context
        self.pad = next(id for id in (tokenizer.pad_token_id, *candidates[1:]) if id is not None)
        special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
        longest_first = sorted((text for text in special if len(text) > 1), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def render(self, content: str | tuple[Message, ...], thinking: bool = False) -> RenderedPrompt:
        """Render `content` with the chat template; without a template, join the turns with blank lines.

        Text that equals a special token of the tokenizer ("<|im_end|>", "<s>") gets a space after its first character,
        so a question can neither end its turn nor start another one. A last turn by the assistant is continued. If the
        template refuses the system role, its text becomes the beginning of the next turn.

        A reasoning block that the template itself opens after the last turn is closed again unless `thinking`: labels
        that are scored inside it would not be answers.

        Raises:
            BadInput: the template refuses the turns, or opens a block and the tag that closes it is not known.
        """
        turns = (Message("user", content),) if isinstance(content, str) else content
        turns = tuple(Message(turn.role, self.escape_special_tokens(turn.content)) for turn in turns)
        if self.tokenizer.chat_template is None:
            text = "\n\n".join(turn.content for turn in turns)
            return RenderedPrompt(text, False, "" if text[-1:].isspace() or not text else " ")
        text = self._apply_chat_template(turns, thinking)
        continued = turns[-1].role == "assistant" and not text[-1:].isspace()
        opened = find_opened_tag(text)
        if opened and not thinking:
            return RenderedPrompt(f"{text.rstrip()}\n\n{make_closing_tag(opened)}\n\n", True, "")
        return RenderedPrompt(text, True, " " if continued else "", opened)

    def decode_reply(self, ids: Sequence[int], ends: Collection[int], opened: str = "") -> Reply:
        """Return the reply that a model generated: the text of its tokens up to the first of `ends`.

        Special tokens are kept, because they mark where reasoning and turns begin and end; only padding and the
        tokenizer's end of text are removed.

        Args:
            opened: tag of the reasoning block that the prompt opened; the text begins with it, unless the reply is
                finished and has not closed the block, so that it is no reasoning.
        """
        end = next((place for place, token in enumerate(ids) if token in ends), len(ids))
        fillers = {self.tokenizer.pad_token_id, self.tokenizer.eos_token_id}
        written = [token for token in ids[:end] if token not in fillers]
        text = self.tokenizer.decode(written, skip_special_tokens=False)
        if end < len(ids) and not begins_with_reasoning(text):
            opened = ""
        count = min(end + 1, len(ids))  # a token that ends the reply counts, as servers count it
        return Reply(text=opened + text, finish="stop" if end < len(ids) else "length", tokens=count)

    def encode(self, rendered: RenderedPrompt, answer: str | None = None) -> tuple[int, ...]:
        """Tokenize a prompt together with its answer, if given, so that tokens across their border are merged."""
        text = rendered.text if answer is None else rendered.text + rendered.glue + self.escape_special_tokens(answer)
        ids = self._texts.tokenize(text)
        return ids if rendered.templated else self._opening + ids

    def encode_labels(self, rendered: RenderedPrompt, labels: Sequence[str]) -> list[Continuation]:
        """Return one continuation per label: the first token in which the labels differ, after their common prefix.

        If labels share that token (10 and 11, but not 2), the continuation is the label's whole remainder.
        """
        sequences = self._encode_answers(rendered, labels)
        continuations = self._split_at(sequences, _count_common_tokens(sequences))
        if len({each.following[0] for each in continuations}) < len(labels):
            return continuations
        return [Continuation(each.context, each.following[:1]) for each in continuations]

    def encode_options(self, rendered: RenderedPrompt, options: Sequence[str]) -> list[Continuation]:
        """Return one continuation per option: all its tokens, after those of the prompt."""
        sequences = self._encode_answers(rendered, options)
        return self._split_at(sequences, _count_common_tokens([*sequences, self.encode(rendered)]))

    def escape_special_tokens(self, text: str) -> str:
        """Insert a space after the first character of every special token in `text`."""
        return self._special.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def _encode_answers(self, rendered: RenderedPrompt, answers: Sequence[str]) -> list[tuple[int, ...]]:
        """Encode the prompt with each answer; after the first answer only the tail of a long text is tokenized again.

        The shortcut applies if the tail's tokens equal those of the whole text, with `_SEAM` of them before the first
        difference.
        """
        sequences = [self.encode(rendered, answers[0])]
        if len(rendered.text) <= _TEXT_TAIL:
            return sequences + [self.encode(rendered, answer) for answer in answers[1:]]
        tail = rendered.text[-_TEXT_TAIL:] + rendered.glue
        first, *others = self._texts.tokenize_all([tail + self.escape_special_tokens(answer) for answer in answers])
        for answer, tokens in zip(answers[1:], others, strict=True):
            common = count_shared_tokens(first, tokens)
            seam = first[max(0, common - _SEAM) :]
            if common >= _SEAM and sequences[0][-len(seam) :] == seam:
                sequences.append(sequences[0][: len(sequences[0]) - (len(first) - common)] + tokens[common:])
            else:
                sequences.append(self.encode(rendered, answer))
        return sequences

    def _split_at(self, sequences: Sequence[tuple[int, ...]], common: int) -> list[Continuation]:
        # both parts need a token: an empty option has to be scored too, and no model predicts the first token
        while common < 1 or min(map(len, sequences)) < 2:
            sequences, common = [(self.start, *ids) for ids in sequences], common + 1
        common = min(common, *(len(ids) - 1 for ids in sequences))
        context = sequences[0][:common]  # one tuple for all, because there may be millions
        return [Continuation(context, ids[common:]) for ids in sequences]

    def _apply_chat_template(self, turns: tuple[Message, ...], thinking: bool) -> str:
        from jinja2 import TemplateError

        continued = turns[-1].role == "assistant"
        try:
            text: str = self.tokenizer.apply_chat_template(
                [{"role": turn.role, "content": turn.content} for turn in turns],
                tokenize=False,
                add_generation_prompt=not continued,
                continue_final_message=continued,
                enable_thinking=thinking,  # templates without thinking ignore it
            )
        except TemplateError as error:
            if len(turns) < 2 or turns[0].role != "system":
                roles = ", ".join(turn.role for turn in turns)
                raise BadInput(f"the model's chat template refuses the turns {roles}: {error}") from None
            system, first, *rest = turns
            merged = Message(first.role, f"{system.content}\n\n{first.content}")
            return self._apply_chat_template((merged, *rest), thinking)
        except _TEMPLATE_FAULTS as error:
            raise BadInput(f"the model's chat template is broken: {type(error).__name__}: {error}") from None
        return text


def count_head(limit: int) -> int:
    """Return how many of `limit` tokens are kept of the beginning of a text that is too long."""
    return int(limit * _HEAD_SHARE)


def truncate_middle(tokens: tuple[int, ...], limit: int) -> tuple[int, ...]:
    """Shorten `tokens` to at most `limit` by removing the middle."""
    if len(tokens) <= limit:
        return tokens
    head = count_head(limit)
    return tokens[:head] + tokens[len(tokens) - (limit - head) :]


def _count_common_tokens(sequences: Sequence[tuple[int, ...]]) -> int:
    """Return the length of the common prefix of all sequences."""
    return count_shared_tokens(min(sequences), max(sequences))  # the smallest and the largest differ earliest
