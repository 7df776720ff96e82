"""A causal language model through the transformers library: any hub id or folder, on a CPU or a GPU."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from quorum.console import Progress
from quorum.engine.checkpoint import Checkpoint, load_checkpoint, longest_sequence
from quorum.engine.generate import GenerationRequest, SamplingSettings, generate_after
from quorum.engine.likelihood import score_sequences
from quorum.engine.prefix_attention import score_with_shared_prefixes
from quorum.engine.probe import why_not_shared
from quorum.engine.scores import make_scored_reply
from quorum.engine.tokens import Continuation, PromptTokenizer, TokenizedPrompt, truncate_middle
from quorum.errors import BadInput
from quorum.question import Prompt, Reply

METHODS = ("letter", "option", "generate")
NORMALISATIONS = ("sum", "token", "byte", "pmi")
# What stands before an option when its unconditional likelihood is asked: Holtzman et al. 2021, arXiv:2104.08315.
BARE_CUE = "Answer:"


class Transformers:
    """A backend: letters or options scored by their log-likelihood, or text generated, by a model held in memory.

    `method`: *letter* scores the prompt's labels at the next token; *option* scores the text of each option after the
    prompt, `normalise`d to its sum, its mean a token or a byte (UTF-8), or minus its likelihood after a bare cue
    (pmi); *generate* writes up to `max_new_tokens`, greedily where `temperature` is 0. With letter and option a reply's
    text is the best label (a tie goes to the first), with generate what the model wrote.

    `context_tokens` is the longest prompt, answer included; the model's own limit where None. Of a longer one the
    middle is left out, so that instruction, question and cue survive; `shortened` counts them. `batch_tokens` bounds
    memory: at most so many tokens are in work at once. Beginnings that prompts share are read once; a model that cannot
    be read so is read plainly, one sequence at a time, and `why_not_shared` says why (None otherwise).

    Raises:
        BadInput: the model or its adapter cannot be loaded, a setting is none of those allowed.
    """

    def __init__(
        self,
        model: str,
        *,
        method: Literal["letter", "option", "generate"] = "letter",
        normalise: Literal["sum", "token", "byte", "pmi"] = "sum",
        dtype: str = "auto",
        device: str = "auto",
        adapter: str | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        batch_tokens: int = 2048,
        context_tokens: int | None = None,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        if method not in METHODS:
            raise BadInput(f"method {method!r}; allowed are {', '.join(METHODS)}")
        if normalise not in NORMALISATIONS:
            raise BadInput(f"normalise {normalise!r}; allowed are {', '.join(NORMALISATIONS)}")
        self.method, self.normalise = method, normalise
        self.batch_tokens, self.max_new_tokens = batch_tokens, max_new_tokens
        self.temperature, self.top_p, self.seed = temperature, top_p, seed
        self.shortened = 0
        self._asked: Counter[tuple[tuple[int, ...], int]] = Counter()
        self._progress = progress
        checkpoint = Checkpoint(model, revision, adapter, trust_remote_code)
        tokenizer, self.model = load_checkpoint(checkpoint, dtype, device)
        self.tokens = PromptTokenizer(tokenizer)
        self.context_tokens = longest_sequence(self.model, tokenizer, context_tokens)
        self.why_plain = why_not_shared(self.model)

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order; a prompt without labels, or options, to score stays unread."""
        if self.method == "generate":
            return self._generated(prompts)
        scored = [bool(prompt.labels if self.method == "letter" else prompt.options) for prompt in prompts]
        replies = iter(self._scored([prompt for prompt, has in zip(prompts, scored, strict=True) if has]))
        return [next(replies) if has else Reply("") for has in scored]

    def logprobs(self, continuations: Sequence[Continuation]) -> list[list[float]]:
        """For each continuation, the log-probability of each of its following tokens."""
        if self.why_plain is None:
            return score_with_shared_prefixes(self.model, continuations, self.batch_tokens, self._progress)
        return score_sequences(self.model, continuations, self._progress)

    def _by_letter(self, prompt: Prompt) -> list[Continuation]:
        return self._within_context(self.tokens.labels(self.tokens.rendering(prompt.content), prompt.labels))

    def _by_option(self, prompt: Prompt) -> list[Continuation]:
        return self._within_context(self.tokens.options(self.tokens.rendering(prompt.content), prompt.options))

    def _within_context(self, continuations: list[Continuation]) -> list[Continuation]:
        """The continuations of one prompt with the middle of their context left out where they are too long."""
        most = self.context_tokens // 2
        following = [each.following[:most] for each in continuations]
        context = truncate_middle(continuations[0].context, self.context_tokens - max(map(len, following)))
        if len(context) < len(continuations[0].context) or any(len(each.following) > most for each in continuations):
            self.shortened += 1
        return [Continuation(context, each) for each in following]

    def _scored(self, prompts: Sequence[Prompt]) -> list[Reply]:
        asked = [self._by_letter(prompt) if self.method == "letter" else self._by_option(prompt) for prompt in prompts]
        logprobs = iter(self.logprobs([each for continuations in asked for each in continuations]))
        per_label = [[next(logprobs) for _ in continuations] for continuations in asked]
        if self.method == "letter":
            scores = [[sum(tokens) for tokens in labels] for labels in per_label]
        else:
            scores = self._normalised(prompts, per_label)
        return [make_scored_reply(prompt.labels, values) for prompt, values in zip(prompts, scores, strict=True)]

    def _normalised(self, prompts: Sequence[Prompt], per_label: list[list[list[float]]]) -> list[list[float]]:
        sums = [[sum(tokens) for tokens in labels] for labels in per_label]
        match self.normalise:
            case "sum":
                return sums
            case "token":
                return [[sum(tokens) / len(tokens) for tokens in labels] for labels in per_label]
            case "byte":
                return [
                    [value / max(1, len(option.encode())) for value, option in zip(values, prompt.options, strict=True)]
                    for values, prompt in zip(sums, prompts, strict=True)
                ]
            case "pmi":
                alone = self._unconditional({option for prompt in prompts for option in prompt.options})
                return [
                    [value - alone[option] for value, option in zip(values, prompt.options, strict=True)]
                    for values, prompt in zip(sums, prompts, strict=True)
                ]

    def _unconditional(self, options: set[str]) -> dict[str, float]:
        cue = TokenizedPrompt(BARE_CUE, False, " ")
        ordered = sorted(options)
        shortened = self.shortened  # the bare cue is not a prompt of the user's
        asked = [self._within_context(self.tokens.options(cue, [option]))[0] for option in ordered]
        self.shortened = shortened
        return {option: sum(tokens) for option, tokens in zip(ordered, self.logprobs(asked), strict=True)}

    def _generated(self, prompts: Sequence[Prompt]) -> list[Reply]:
        room = self.context_tokens - self.max_new_tokens
        if room < 1:
            raise BadInput(f"max_new_tokens {self.max_new_tokens} leaves no room in {self.context_tokens} of context")
        whole = [
            self.tokens.ids(self.tokens.rendering(prompt.content, thinking=True)) or (self.tokens.start,)
            for prompt in prompts
        ]
        self.shortened += sum(len(ids) > room for ids in whole)
        asked = self._asked.copy()
        drafts = [
            self._draft(truncate_middle(ids, room), prompt.repeat, asked)
            for ids, prompt in zip(whole, prompts, strict=True)
        ]
        sampling = SamplingSettings(self.max_new_tokens, self.temperature, self.top_p)
        # padding behind a shared beginning would count as distance in a sliding window
        share = self.why_plain is None and not getattr(self.model.config.get_text_config(), "sliding_window", None)
        written = generate_after(
            self.model, drafts, self.tokens.pad, sampling, self.batch_tokens, share, self._progress
        )
        self._asked = asked  # only now: where it failed, what is asked again is the same draw
        return [Reply(text) for text in self.tokens.tokenizer.batch_decode(written, skip_special_tokens=True)]

    def _draft(
        self, context: tuple[int, ...], repeat: int, asked: Counter[tuple[tuple[int, ...], int]]
    ) -> GenerationRequest:
        """The context with a seed of its own, by its repeat: asked again, even in a later call, it is another one."""
        asked[context, repeat] += 1
        known = repr((self.seed, repeat, asked[context, repeat], context)).encode()
        return GenerationRequest(context, int.from_bytes(hashlib.sha256(known).digest()[:7]))
