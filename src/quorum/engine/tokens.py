"""A prompt in a model's own tokens: what it reads, and what may follow."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quorum.engine.prefixes import count_shared_tokens
from quorum.errors import BadInput
from quorum.question import Message

# A prompt that is too long keeps its beginning (the instruction) in this share of its room, and its end in the rest.
_HEAD_SHARE = 0.25
# So many characters of a long text are tokenised again for a second answer; so many tokens must come out the same.
_TEXT_TAIL, _SEAM = 120, 8


@dataclass(frozen=True, slots=True)
class Continuation:
    """Token ids: the context that a model has read, and what may follow it; neither is empty."""

    context: tuple[int, ...]
    following: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt as one text.

    `templated`: a chat template wrote it, special tokens included. `glue` stands between it and an answer: nothing
    after a generation prompt or white space, a blank after any other text.
    """

    text: str
    templated: bool
    glue: str


class PromptTokenizer:
    """A tokenizer, and what Quorum asks of it."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        # what it puts before every text (a BOS, or nothing); what it may put behind one has no place before an answer
        bare, whole = tokenizer("a", add_special_tokens=False).input_ids, tokenizer("a").input_ids
        self._opening = tuple(whole[: whole.index(bare[0])])
        known = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, 0)
        self.start = next(id for id in known if id is not None)  # what stands before a text that has nothing before it
        self.pad = next(id for id in (tokenizer.pad_token_id, *known[1:]) if id is not None)
        special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
        longest_first = sorted((text for text in special if len(text) > 1), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def rendering(self, content: str | tuple[Message, ...], thinking: bool = False) -> TokenizedPrompt:
        """`content` through the chat template; the text itself (turns joined by blank lines) where there is none.

        Text that spells one of the tokenizer's special tokens ("<|im_end|>", "<s>") gets a blank after its first
        character: a question can neither end its turn nor open another. A last turn by the assistant is continued.
        Where the template refuses the system role, its text opens the next turn.

        Raises:
            BadInput: the template refuses the turns.
        """
        turns = (Message("user", content),) if isinstance(content, str) else content
        turns = tuple(Message(turn.role, self.harmless(turn.content)) for turn in turns)
        if self.tokenizer.chat_template is None:
            text = "\n\n".join(turn.content for turn in turns)
            return TokenizedPrompt(text, False, "" if text[-1:].isspace() or not text else " ")
        text = self._templated(turns, thinking)
        continued = turns[-1].role == "assistant" and not text[-1:].isspace()
        return TokenizedPrompt(text, True, " " if continued else "")

    def ids(self, rendered: TokenizedPrompt, answer: str | None = None) -> tuple[int, ...]:
        """A rendering, and an answer glued to it, tokenised together: merges over the seam are the model's own."""
        text = rendered.text if answer is None else rendered.text + rendered.glue + self.harmless(answer)
        return self._pieces(text) if rendered.templated else self._opening + self._pieces(text)

    def labels(self, rendered: TokenizedPrompt, labels: Sequence[str]) -> list[Continuation]:
        """One continuation a label: the one token at which the labels part, after all that they have in common.

        Where two labels share that token too (10 and 11, beside 2), every label's whole rest is taken.
        """
        whole = self._whole(rendered, labels)
        parted = self._parted(whole, _count_common_tokens(whole))
        one_each = len({each.following[0] for each in parted}) == len(labels)
        return [Continuation(each.context, each.following[:1]) for each in parted] if one_each else parted

    def options(self, rendered: TokenizedPrompt, options: Sequence[str]) -> list[Continuation]:
        """One continuation an option: all its tokens, after those of the prompt."""
        whole = self._whole(rendered, options)
        return self._parted(whole, _count_common_tokens([*whole, self.ids(rendered)]))

    def harmless(self, text: str) -> str:
        """`text` with a blank inside whatever spells a special token."""
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def _whole(self, rendered: TokenizedPrompt, answers: Sequence[str]) -> list[tuple[int, ...]]:
        """`ids` with each answer; of a long text only the tail is tokenised again after the first.

        That is taken where the tail's tokens were the whole's, and some of them stand before the place of difference.
        """
        whole = [self.ids(rendered, answers[0])]
        if len(rendered.text) <= _TEXT_TAIL:
            return whole + [self.ids(rendered, answer) for answer in answers[1:]]
        tail = rendered.text[-_TEXT_TAIL:] + rendered.glue
        first, *others = (self._pieces(tail + self.harmless(answer)) for answer in answers)
        for answer, pieces in zip(answers[1:], others, strict=True):
            common = count_shared_tokens(first, pieces)
            known = first[max(0, common - _SEAM) :]
            if common >= _SEAM and whole[0][-len(known) :] == known:
                whole.append(whole[0][: len(whole[0]) - (len(first) - common)] + pieces[common:])
            else:
                whole.append(self.ids(rendered, answer))
        return whole

    def _pieces(self, text: str) -> tuple[int, ...]:
        # not verbose: what is too long is cut by us, and the tokenizer would warn that it is not
        return tuple(self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids)

    def _parted(self, whole: Sequence[tuple[int, ...]], common: int) -> list[Continuation]:
        # something must follow, even for an empty option, and something stand before: nothing predicts the first token
        while common < 1 or min(map(len, whole)) < 2:
            whole, common = [(self.start, *ids) for ids in whole], common + 1
        common = min(common, *(len(ids) - 1 for ids in whole))
        context = whole[0][:common]  # one tuple for all: there may be millions
        return [Continuation(context, ids[common:]) for ids in whole]

    def _templated(self, turns: tuple[Message, ...], thinking: bool) -> str:
        from jinja2 import TemplateError

        continued = turns[-1].role == "assistant"
        try:
            text: str = self.tokenizer.apply_chat_template(
                [{"role": turn.role, "content": turn.content} for turn in turns],
                tokenize=False,
                add_generation_prompt=not continued,
                continue_final_message=continued,
                enable_thinking=thinking,  # a template that knows no thinking ignores it
            )
        except TemplateError as error:
            if len(turns) < 2 or turns[0].role != "system":
                roles = ", ".join(turn.role for turn in turns)
                raise BadInput(f"the model's chat template refuses the turns {roles}: {error}") from None
            system, first, *rest = turns
            return self._templated((Message(first.role, f"{system.content}\n\n{first.content}"), *rest), thinking)
        return text


def truncate_middle(tokens: tuple[int, ...], room: int) -> tuple[int, ...]:
    """`tokens`, or where they are more than `room`, their beginning and their end: the middle is left out."""
    if len(tokens) <= room:
        return tokens
    head = int(room * _HEAD_SHARE)
    return tokens[:head] + tokens[len(tokens) - (room - head) :]


def _count_common_tokens(sequences: Sequence[tuple[int, ...]]) -> int:
    """How many tokens all sequences begin with."""
    return count_shared_tokens(min(sequences), max(sequences))  # the first and the last in order differ earliest
